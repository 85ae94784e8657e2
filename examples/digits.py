"""Handwritten digits: per-sample SGD beside scikit-learn's default MLPClassifier.

scikit-learn's 1797 images of 8 x 8 grey values, 0 to 16, divided by 16; several splits into 75 % for training
and 25 % for testing, stratified. Run as `python examples/digits.py`.

The settings: one hidden layer of 100 relu units, learning rate 0.05 falling to 0 along a cosine over 30
epochs, alpha 0.001, everything else by default: plain SGD, a step a sample, float32 because the images are.
"""

import statistics
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier

from numbabp import MLPClassifier

SETTINGS = {
    "hidden_layer_sizes": (100,),
    "learning_rate_init": 0.05,
    "learning_rate": "cosine",
    "max_iter": 30,
    "alpha": 0.001,
}


def main(n_splits: int = 10) -> None:
    """Print accuracy and time of fit for each."""
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    # both run for a set number of epochs, and say so
    warnings.simplefilter("ignore", ConvergenceWarning)
    MLPClassifier(max_iter=1).fit(images, digits)  # compiles the kernel, once and for all: it is kept on disk

    models = {
        "numbabp": lambda seed: MLPClassifier(random_state=seed, **SETTINGS),
        "scikit-learn's default": lambda seed: TheirMLPClassifier(random_state=seed),
    }
    print(f"{n_splits} splits           accuracy: mean  least   seconds to fit: median")
    for name, make in models.items():
        accuracies, seconds = [], []
        for seed in range(n_splits):
            train, test, y_train, y_test = train_test_split(
                images, digits, test_size=0.25, random_state=seed, stratify=digits
            )
            model = make(seed)
            started = time.perf_counter()
            model.fit(train, y_train)
            seconds.append(time.perf_counter() - started)
            accuracies.append(model.score(test, y_test))
        mean, least = statistics.mean(accuracies), min(accuracies)
        print(f"{name:30} {mean:8.2%} {least:7.2%} {statistics.median(seconds):16.3f}")


if __name__ == "__main__":
    main()
