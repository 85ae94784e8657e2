"""Searches for hyper-parameters: 60 candidates on five folds of the digits.

    python benchmarks/peers/search.py [--repeats 3] [--markdown FILE]

All on two threads or processes, in turns: numbabp's PopulationSearchCV; scikit-learn's GridSearchCV over
numbabp's MLPClassifier and the same grid, whose results have to be the same; and GridSearchCV over
scikit-learn's own MLPClassifier with its default solver and mini-batches, with as many candidates - the same
architectures and penalties, and five learning rates about its default. The last takes minutes and is run
once, in the middle of the others' repeats. The digits are scaled to [0, 1], in float32; folds are stratified,
in the order of the samples. Searches that are not timed come first and compile, or load, the kernels and
start the processes.

The exit status is 1 if numbabp's choice differs from that of GridSearchCV, is more than half a point below
scikit-learn's, or takes more than a tenth of the time.
"""

import argparse
import statistics
import time
import warnings
from pathlib import Path

import machine
import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import numbabp as nbp

N_FOLDS, N_JOBS = 5, 2
ARCHITECTURES = [(32,), (64,), (100,)]
GRID = {
    "hidden_layer_sizes": ARCHITECTURES,
    "learning_rate_init": [0.01, 0.02, 0.05, 0.1, 0.2],
    "alpha": [0.0, 1e-4, 1e-3, 1e-2],
}
GRID_OF_THEIRS = GRID | {"learning_rate_init": [0.0003, 0.001, 0.003, 0.01, 0.03]}
OURS = nbp.MLPClassifier(learning_rate="cosine", max_iter=10, random_state=0)
THEIRS = sklearn.neural_network.MLPClassifier(random_state=0)

POPULATIONS = "numbabp PopulationSearchCV"
ONE_BY_ONE = "GridSearchCV over numbabp's MLPClassifier"
PEER = "GridSearchCV over scikit-learn's MLPClassifier"
SEARCHES = {
    POPULATIONS: lambda: nbp.PopulationSearchCV(OURS, GRID, cv=N_FOLDS, n_threads=N_JOBS),
    ONE_BY_ONE: lambda: GridSearchCV(OURS, GRID, cv=N_FOLDS, n_jobs=N_JOBS),
    PEER: lambda: GridSearchCV(THEIRS, GRID_OF_THEIRS, cv=N_FOLDS, n_jobs=N_JOBS),
}
TARGET, TOLERANCE = 10.0, 0.005


def measure(repeats):
    """The last search of each kind, and the seconds of all."""
    images, y = load_digits(return_X_y=True)
    X = (images / 16).astype(np.float32)
    nbp.PopulationSearchCV(OURS, GRID | {"alpha": [0.0]}, cv=2, n_threads=N_JOBS).fit(X, y)
    GridSearchCV(OURS, {"alpha": [0.0, 0.1]}, cv=2, n_jobs=N_JOBS).fit(X, y)  # starts the processes
    found, seconds = {}, {name: [] for name in SEARCHES}
    for repeat in range(repeats):
        for name in SEARCHES:
            if name == PEER and repeat != repeats // 2:
                continue
            started = time.perf_counter()
            found[name] = SEARCHES[name]().fit(X, y)
            seconds[name].append(time.perf_counter() - started)
            print(f"{name}: {seconds[name][-1]:.2f} s", flush=True)
    return found, seconds


def report(found, seconds):
    """Lines of a table, and what missed its target."""
    own = statistics.median(seconds[POPULATIONS])
    lines = ["| search | s | least to most | times numbabp's | best score | best parameters |"]
    lines.append("|---|---:|---:|---:|---:|---|")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        choice = ", ".join(f"{key}={value}" for key, value in found[name].best_params_.items())
        lines.append(
            f"| {name} | {median:.2f} | {min(taken):.2f} to {max(taken):.2f} | {median / own:.3g} "
            f"| {found[name].best_score_:.4f} | {choice} |"
        )
    missed = []
    if found[POPULATIONS].best_params_ != found[ONE_BY_ONE].best_params_:
        missed.append("the choice differs from that of GridSearchCV")
    if found[POPULATIONS].best_score_ < found[PEER].best_score_ - TOLERANCE:
        missed.append("the best score is more than half a point below scikit-learn's")
    if statistics.median(seconds[PEER]) < TARGET * own:
        missed.append(f"scikit-learn does not take {TARGET:g} times as long")
    return lines, missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of numbabp's searches")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ConvergenceWarning, 60 x 5 times
        found, seconds = measure(arguments.repeats)
    lines, missed = report(found, seconds)
    print("\n".join(lines))
    about = machine.environment() | {"threads": str(N_JOBS)}
    if arguments.markdown:
        text = ["# Searches and their peers", "", *__doc__.split("\n\n", 2)[2].strip().splitlines(), ""]
        text += [*lines, "", "Measured on", "", *(f"- {key}: {value}" for key, value in about.items())]
        arguments.markdown.write_text("\n".join(text) + "\n")
    if missed:
        raise SystemExit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
