"""Fully connected networks of LeCun, Bottou, Bengio and Haffner 1998 on MNIST, from your own files.

    python examples/published/mnist.py FOLDER [--only 300 300-100] [--epochs 20] [--seeds 3]

FOLDER holds the four files of MNIST in the IDX format, with `.gz` or without: train-images-idx3-ubyte,
train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte. They are not part of numbabp.

"Gradient-based learning applied to document recognition", Proceedings of the IEEE 86(11), 1998, 2278-2324,
gives test errors (section III, figure 9) of networks trained on 60,000 plain images of 28 x 28 and tested on
10,000: 12.0 % linear, 4.7 % with 300 hidden units, 4.5 % with 1000, 3.05 % with 300-100, 2.95 % with 500-150.
They were trained a sample at a time as here, with scaled tanh units, squared error, and rates from an
estimate of the second derivatives.

Here: pixels in [0, 1], softmax and cross-entropy, plain SGD with a step for every sample, float32, a rate
that falls to 0 along a cosine. Rate and penalty were chosen for 300-100 on the last 10,000 training images,
which `--validation` sets aside and measures instead of the test images; these are then seen once.
"""

import argparse
import gzip
import math
import statistics
import time
from pathlib import Path

import numpy as np

import numbabp as nbp

PUBLISHED = {"linear": 12.0, "300": 4.7, "1000": 4.5, "300-100": 3.05, "500-150": 2.95}
"""Test errors in percent by hidden units."""
SETTINGS = {"hidden_activation": "relu", "init": "he_normal"}
TRAINING = {"learning_rate": 0.01, "l2": 1e-5, "schedule": "cosine"}
N_VALIDATION = 10_000


def read_idx(path):
    """Array of uint8 from an IDX file, compressed by gzip or not."""
    opened = gzip.open(path) if path.suffix == ".gz" else open(path, "rb")  # noqa: SIM115
    with opened as file:
        content = file.read()
    n_dimensions = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * n_dimensions
    shape = np.frombuffer(content[4:start], ">i4") if n_dimensions and len(content) >= start else ()
    if not len(shape) or math.prod(map(int, shape)) != len(content) - start:
        raise ValueError(f"{path}: not a whole IDX file of bytes.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_part(folder, part):
    """Images of a part, "train" or "t10k", as float32 in [0, 1], shape (n, pixels), and their digits."""
    arrays = []
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        names = [f"{part}-{kind}{ending}" for ending in ("", ".gz")]
        names += [name.replace("-idx", ".idx") for name in names]
        found = [folder / name for name in names if (folder / name).is_file()]
        if not found:
            raise FileNotFoundError(f"{folder}: there is no {names[0]}, with .gz or without.")
        arrays.append(read_idx(found[0]))
    images, digits = arrays
    if len(images) != len(digits):
        raise ValueError(f"{folder}: {part} has {len(images)} images, but {len(digits)} labels.")
    return images.reshape(len(images), -1).astype(np.float32) / 255, digits.astype(np.int64)


def train_and_test(name, train, test, epochs, seed):
    """Test error in percent, and seconds of the processor that training one network took."""
    hidden = () if name == "linear" else tuple(map(int, name.split("-")))
    net = nbp.Network(
        (train[0].shape[1], *hidden, 10),
        output_activation="softmax",
        loss="categorical_cross_entropy",
        dtype="float32",
        random_state=seed,
        **SETTINGS,
    )
    started = time.process_time()
    net.fit(*train, epochs=epochs, progress=False, **TRAINING)
    seconds = time.process_time() - started
    return 100 * (net.predict(test[0]) != test[1]).mean(), seconds


def main(folder, only=tuple(PUBLISHED), epochs=20, n_seeds=3, validation=False):
    """Print a row for each network; return the test errors of all seeds by name."""
    train = read_part(folder, "train")
    if validation:
        test = tuple(part[-N_VALIDATION:] for part in train)
        train = tuple(part[:-N_VALIDATION] for part in train)
    else:
        test = read_part(folder, "t10k")
    print(f"{len(train[0]):,} images to train, {len(test[0]):,} to test; {epochs} epochs, {n_seeds} seeds")
    print("hidden    published %    here: mean %    deviation    least    most    processor s each")
    errors = {}
    for name in only:
        train_and_test(name, [part[:64] for part in train], test, 1, 0)  # compiles, or loads from the cache
        errors[name], seconds = zip(
            *(train_and_test(name, train, test, epochs, seed) for seed in range(n_seeds)), strict=True
        )
        deviation = statistics.stdev(errors[name]) if n_seeds > 1 else math.nan
        print(
            f"{name:8} {PUBLISHED.get(name, math.nan):12.2f} {statistics.mean(errors[name]):15.2f} "
            f"{deviation:12.2f} {min(errors[name]):8.2f} {max(errors[name]):7.2f} "
            f"{statistics.median(seconds):19.1f}",
            flush=True,
        )
    return errors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with MNIST's four files")
    parser.add_argument("--only", nargs="+", default=list(PUBLISHED), help="hidden units, such as 300-100")
    parser.add_argument("--epochs", type=int, default=20, help="that each network trains")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each kind")
    parser.add_argument("--validation", action="store_true", help="measure on the last training images")
    given = parser.parse_args()
    if given.epochs < 1 or given.seeds < 1:
        parser.error("--epochs and --seeds must be at least 1.")
    main(given.folder, given.only, given.epochs, given.seeds, given.validation)
