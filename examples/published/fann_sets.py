"""FANN's benchmark on FANN's own data: error against time, beside FANN's own training.

    python examples/published/fann_sets.py FOLDER [--only mushroom thyroid] [--seconds 2] [--seeds 3]
        [--plot fann_sets.png]

FOLDER is `datasets` of FANN's source code, which holds a NAME.train and a NAME.test for each set; it is not
part of numbabp. On Debian `apt source libfann` gets it (with a line deb-src among the sources of packages);
`apt install libfann2` gets the library, without which FANN's rows are left out. Both are LGPL 2.1.

The Fast Artificial Neural Network Library of S. Nissen measures itself on these sets by a program `quality`
that its source code once had: a network of sigmoid units for each, errors against the seconds of training,
seconds of measuring apart. Here with the same sizes and units, float32, one thread, time of the processor:

    FANN rprop        its default: iRprop- on all samples, with its tanh error function
    FANN incremental  a step a sample in the order of the file, rate 0.7, momentum 0.4, as that program has it
    rprop             the same rule here, on all samples, from a first step of 0.1
    incremental       FANN's incremental here: the same rate, momentum and order
    sgd               plain SGD in shuffled order. Its rate is the best of RATES after a quarter of the time
                      on four fifths of the training samples, measured on the others

FANN draws initial weights from [-0.1, 0.1], numbabp here from its default, normal with variance 1/fan_in. The
error is the mean square over all outputs; a bit fails where an output is 0.5 or more off its target.
"""

import argparse
import ctypes
import ctypes.util
import math
import time
from pathlib import Path

import numpy as np

import numbabp as nbp

HIDDEN = {
    "abelone": (16,),
    "bank32fm": (16,),
    "bank32nh": (16,),
    "building": (16,),
    "census-house": (16,),
    "diabetes": (4,),
    "gene": (4, 2),
    "kin32fm": (16,),
    "mushroom": (32,),
    "parity13": (26,),
    "parity8": (16,),
    "pumadyn-32fm": (10,),
    "robot": (96,),
    "soybean": (16, 8),
    "thyroid": (16, 8),
    "two-spiral": (20, 10),
}
"""Hidden units of each set, as FANN's benchmark has them."""
RATES = (0.03, 0.1, 0.3, 1, 3)
OF_FANN = {"learning_rate": 0.7, "momentum": 0.4}
N_REPORTS = 40
FROM_FANN = "FANN rprop", "FANN incremental"
ALGORITHMS = *FROM_FANN, "rprop", "incremental", "sgd"


def read(path):
    """Inputs and targets from a file in FANN's format, float32."""
    header, numbers = path.read_text().split("\n", 1)
    n, n_inputs, n_outputs = map(int, header.split())
    values = np.array(numbers.split(), np.float32)
    if values.size != n * (n_inputs + n_outputs):
        raise ValueError(f"{path}: {values.size} numbers are not {n} pairs of {n_inputs} and {n_outputs}.")
    return np.split(values.reshape(n, -1), [n_inputs], axis=1)


def errors(outputs, targets):
    """Mean square error over all outputs, and the share of them that are 0.5 off or more."""
    off = np.abs(outputs - targets)
    return np.mean(off**2, dtype=float), np.mean(off >= 0.5)


class Here:
    """A network of numbabp, trained some epochs at a time."""

    def __init__(self, sizes, train, seed, **settings):
        self.train, self.settings = train, {"n_threads": 1, "progress": False, **settings}
        self.net = nbp.Network(sizes, output_activation="sigmoid", dtype="float32", random_state=seed)

    def go_on(self, epochs):
        """Train so many epochs more."""
        self.net.fit(*self.train, epochs=epochs, **self.settings)

    def measure(self, X, Y):
        """Test error, and share of the bits that fail."""
        return errors(self.net.forward(X), Y)


class Library:
    """libfann, called by ctypes."""

    RPROP, INCREMENTAL, SIGMOID, LINEAR_ERROR = 2, 0, 3, 0

    def __init__(self):
        name = ctypes.util.find_library("floatfann")
        if name is None:
            raise OSError("libfann is not installed (Debian: apt install libfann2).")
        self.library, self.c = ctypes.CDLL(name), ctypes.CDLL(None)
        of_results = {
            "create_standard_array": ctypes.c_void_p,
            "read_train_from_file": ctypes.c_void_p,
            "test_data": ctypes.c_float,
            "train_epoch": ctypes.c_float,
            "get_bit_fail": ctypes.c_uint,
        }
        for function, result in of_results.items():
            getattr(self.library, f"fann_{function}").restype = result

    def call(self, function, *arguments):
        """Call fann_FUNCTION."""
        return getattr(self.library, f"fann_{function}")(*arguments)


class There:
    """A network of FANN's."""

    def __init__(self, library, sizes, files, seed, incremental):
        self.library, number = library, ctypes.c_float
        self.train, self.test = (
            ctypes.c_void_p(library.call("read_train_from_file", str(path).encode())) for path in files
        )
        self.n_tested = read(files[1])[1].size
        self.ann = ctypes.c_void_p(
            library.call("create_standard_array", len(sizes), (ctypes.c_uint * len(sizes))(*sizes))
        )
        library.c.srand(seed)  # what it draws from
        library.call("randomize_weights", self.ann, number(-0.1), number(0.1))
        for layers in ("hidden", "output"):
            library.call(f"set_activation_function_{layers}", self.ann, library.SIGMOID)
        library.call("set_bit_fail_limit", self.ann, number(0.5))
        library.call(
            "set_training_algorithm", self.ann, library.INCREMENTAL if incremental else library.RPROP
        )
        if incremental:
            library.call("set_train_error_function", self.ann, library.LINEAR_ERROR)
            library.call("set_learning_rate", self.ann, number(OF_FANN["learning_rate"]))
            library.call("set_learning_momentum", self.ann, number(OF_FANN["momentum"]))

    def __del__(self):
        self.library.call("destroy", self.ann)
        for data in (self.train, self.test):
            self.library.call("destroy_train", data)

    def go_on(self, epochs):
        """Train so many epochs more."""
        for _ in range(epochs):
            self.library.call("train_epoch", self.ann, self.train)

    def measure(self, X, Y):
        """Test error, and share of the bits that fail; it has the test samples itself."""
        error = self.library.call("test_data", self.ann, self.test)
        return error, self.library.call("get_bit_fail", self.ann) / self.n_tested


def run(model, test, seconds):
    """Train for so long: a row for each report, of seconds, epochs, test error and share of failed bits."""
    rows, trained, epochs, step = [(0.0, 0, *model.measure(*test))], 0.0, 0, 1
    while trained < seconds:
        started = time.process_time()
        model.go_on(step)
        took = time.process_time() - started
        trained, epochs = trained + took, epochs + step
        rows.append((trained, epochs, *model.measure(*test)))
        # so many epochs that the next report comes in time, but no more than the last few tell of
        step = max(1, min(4 * step, int(step * seconds / N_REPORTS / max(took, 1e-6))))
    return np.array(rows)


def chosen_rate(sizes, train, seconds):
    """The rate of plain SGD that leaves the smallest error on a fifth of the training samples."""
    order = np.random.default_rng(0).permutation(len(train[0]))
    rest, held_out = np.split(order, [len(order) * 4 // 5])
    part, validation = [[values[rows] for values in train] for rows in (rest, held_out)]
    ends = {}
    for rate in RATES:
        rows = run(Here(sizes, part, 0, learning_rate=rate), validation, seconds)
        ends[rate] = rows[-1, 2]
    return min(ends, key=ends.get)


def compare(name, folder, seconds, n_seeds, library):
    """Runs of all seeds by algorithm; libfann may be None."""
    files = [folder / f"{name}.train", folder / f"{name}.test"]
    train, test = map(read, files)
    sizes = train[0].shape[1], *HIDDEN[name], train[1].shape[1]
    settings = {
        "rprop": {"update_rule": "rprop", "batch_size": len(train[0]), "learning_rate": 0.1},
        "incremental": {"update_rule": "momentum", "shuffle": False, **OF_FANN},
        "sgd": {"learning_rate": 1.0},
    }
    for of_rule in settings.values():
        Here(sizes, train, 0, **of_rule).go_on(1)  # compiles, or loads from the cache
    settings["sgd"]["learning_rate"] = chosen_rate(sizes, train, seconds / 4)
    print(f"\n{name} {'-'.join(map(str, sizes))}, {len(train[0]):,} samples; sgd with", end=" ")
    print(f"rate {settings['sgd']['learning_rate']:g}")
    runs = {}
    for algorithm in ALGORITHMS:
        if algorithm in FROM_FANN and library is None:
            continue
        runs[algorithm] = []
        for seed in range(n_seeds):
            if algorithm in FROM_FANN:
                model = There(library, sizes, files, seed, algorithm == "FANN incremental")
            else:
                model = Here(sizes, train, seed, **settings[algorithm])
            runs[algorithm].append(run(model, test, seconds))
    return runs


def time_to(rows, error):
    """Seconds until a run's test error was as low, or inf."""
    there = rows[:, 2] <= error
    return rows[there.argmax(), 0] if there.any() else math.inf


def show(runs):
    """A row for each algorithm; the last column is the time to the error with which FANN's rprop ends."""
    aim = np.mean([rows[-1, 2] for rows in runs[FROM_FANN[0]]]) if FROM_FANN[0] in runs else math.nan
    print(f"{'':16}   epochs   test MSE: mean    least     most   bits failed   seconds to FANN rprop's MSE")
    for algorithm, of_seeds in runs.items():
        ends = np.array([rows[-1] for rows in of_seeds])
        reached = np.median([time_to(rows, aim) for rows in of_seeds])
        print(
            f"{algorithm:16} {ends[:, 1].mean():8,.0f} {ends[:, 2].mean():16.5f} {ends[:, 2].min():8.5f} "
            f"{ends[:, 2].max():8.5f} {ends[:, 3].mean():12.2%} {reached:16.3f}",
            flush=True,
        )


def plot(found, picture):
    """Test error against time, a panel for each set: median of the seeds."""
    import matplotlib.pyplot as plt

    columns = min(4, len(found))
    n_rows = math.ceil(len(found) / columns)
    figure, axes = plt.subplots(
        n_rows, columns, figsize=(3.4 * columns, 2.6 * n_rows), layout="constrained", squeeze=False
    )
    colours = dict(zip(ALGORITHMS, ("#000000", "#777777", "#0072B2", "#009E73", "#D55E00"), strict=True))
    for axis, (name, runs) in zip(axes.ravel(), found.items(), strict=False):
        for algorithm, of_seeds in runs.items():
            last = max(rows[-1, 0] for rows in of_seeds)
            times = np.geomspace(last / 1000, last, 100)
            curves = [np.interp(times, rows[:, 0], rows[:, 2]) for rows in of_seeds]
            dashes = "--" if algorithm in FROM_FANN else "-"
            axis.plot(times, np.median(curves, axis=0), dashes, color=colours[algorithm], label=algorithm)
        axis.set(title=name, xscale="log", yscale="log")
        axis.grid(alpha=0.3)
    for axis in axes.ravel()[len(found) :]:
        axis.axis("off")
    figure.supxlabel("seconds of training")
    figure.supylabel("test MSE, median of the seeds")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(ALGORITHMS), frameon=False)
    figure.savefig(picture, dpi=90)
    plt.close(figure)


def main(folder, only=tuple(HIDDEN), seconds=2.0, n_seeds=3, picture=None):
    """Print a table for each set; return the runs by set and algorithm."""
    try:
        library = Library()
    except OSError as error:
        library = None
        print(error)
    found = {}
    for name in only:
        found[name] = compare(name, folder, seconds, n_seeds, library)
        show(found[name])
    if picture is not None:
        plot(found, picture)
        print(f"wrote {picture}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="datasets of FANN's source code")
    parser.add_argument("--only", nargs="+", default=list(HIDDEN), choices=list(HIDDEN), metavar="SET")
    parser.add_argument("--seconds", type=float, default=2.0, help="of training of each network")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each algorithm")
    parser.add_argument("--plot", type=Path, help="where to draw error against time; needs matplotlib")
    given = parser.parse_args()
    if not given.seconds > 0 or given.seeds < 1:
        parser.error("--seconds must be positive, --seeds at least 1.")
    main(given.folder, given.only, given.seconds, given.seeds, given.plot)
