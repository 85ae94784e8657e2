"""numbabp against its peers, in one process and in turn: medians, spread and ratios.

    python benchmarks/peers/run.py [--repeats 7] [--seconds 0.25] [--json FILE]

Training rows are per-sample SGD of one hidden layer, all sigmoid, binary cross-entropy, on the same samples
from the same weights in the same order. Before anything is timed, each peer takes 100 steps and has to arrive
at numbabp's parameters; only the shuffled rows, in which each system draws orders of its own, do without.
Every timing takes at least --seconds of steps, with its preparation left out; a ratio is the median of the
ratios within each repeat. The C twin needs gcc; without it its rows are missing.
"""

import argparse
import ctypes
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import handwritten
import numba
import numpy as np
import sklearn
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import numbabp as nbp
from numbabp.datasets import xor

RATE = 0.05
STEPS_COMPARED = 100
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

NETWORKS = [
    ((2, 10, 1), "float64"),
    ((2, 10, 1), "float32"),
    ((64, 32, 10), "float32"),
    ((64, 32, 10), "float64"),
    ((784, 128, 10), "float32"),
    ((784, 128, 10), "float64"),
]
BOTH = ("float64", "float32")
TARGETS = {  # peer, network: dtypes, smallest peer's time / numbabp's
    ("C", "2-10-1"): (BOTH, 1 / 1.5),
    ("C", "64-32-10"): (("float32",), 1 / 1.25),
    ("C", "784-128-10"): (("float32",), 1 / 1.25),
    ("NumPy", "2-10-1"): (BOTH, 150),
    ("scikit-learn", "2-10-1"): (BOTH, 700),
    ("scikit-learn", "2-10-1 shuffled"): (BOTH, 700),
    ("scikit-learn", "784-128-10"): (BOTH, 25),
    ("hand-written Numba", "2-10-1"): (BOTH, 1 / 1.3),
    ("hand-written Numba", "64-32-10"): (BOTH, 1 / 1.3),
    ("hand-written Numba", "784-128-10"): (BOTH, 1 / 1.3),
    ("scikit-learn", "predict"): (BOTH, 1),
    ("C", "50000-64-10 sparse, 60 non-zeros"): (("float32",), 1 / 1.3),
}


class Problem:
    """Samples and initial weights: exclusive or for 2-10-1, else 1000 random samples."""

    def __init__(self, sizes, dtype, shuffle=False):
        self.sizes, self.dtype, self.shuffle = sizes, np.dtype(dtype), shuffle
        self.name = "-".join(map(str, sizes)) + (" shuffled" if shuffle else "")
        if sizes == (2, 10, 1):
            X, y = xor()
            Y = y[:, np.newaxis]
        else:
            generator = np.random.default_rng(0)
            X, Y = generator.standard_normal((1000, sizes[0])), generator.random((1000, sizes[-1])) < 0.5
        self.X, self.Y = X.astype(dtype), Y.astype(dtype)

    def network(self):
        return nbp.Network(self.sizes, loss="binary_cross_entropy", dtype=self.dtype, random_state=0)


class Peer:
    """One system on one problem: `prepare` sets the initial weights, `train` takes n * epochs steps."""

    def __init__(self, problem):
        self.problem = problem
        self.net = problem.network()
        self.start = self.net.parameters.copy()
        self.net.parameters = self.allocate()

    def allocate(self):
        """Parameters on a cache line's boundary: where they lie by chance is worth up to a fifth."""
        memory = np.empty(self.start.nbytes + 64, np.uint8)
        skip = -memory.ctypes.data % 64
        return memory[skip : skip + self.start.nbytes].view(self.start.dtype)

    def prepare(self):
        self.net.parameters[:] = self.start

    def parameters(self):
        return self.net.parameters


class Numbabp(Peer):
    name = "numbabp"

    def allocate(self):
        return self.net.parameters  # as it comes

    def train(self, n, epochs):
        X, Y = self.problem.X[:n], self.problem.Y[:n]
        shuffle = self.problem.shuffle
        self.net.fit(X, Y, learning_rate=RATE, epochs=epochs, shuffle=shuffle, progress=False)


class Twin(Peer):
    """The C twin; with constant sizes, a build of its own for each network."""

    name = "C"
    source = "twin.c"
    constant_sizes = False

    def __init__(self, problem, folder):
        super().__init__(problem)
        inputs, hidden, outputs = problem.sizes
        flags = ["-DREAL=" + ("float" if problem.dtype == np.float32 else "double")]
        if self.constant_sizes:
            flags += [f"-DINPUTS={inputs}", f"-DHIDDEN={hidden}", f"-DOUTPUTS={outputs}"]
        source = Path(__file__).with_name(self.source)
        library = Path(folder) / f"{self.name}-{problem.name}-{problem.dtype}.so".replace(" ", "")
        command = ["gcc", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", *flags, source]
        subprocess.run([*command, "-o", library, "-lm"], check=True)
        self.function = ctypes.CDLL(str(library)).train
        self.function.restype = ctypes.c_double
        self.scratch = [np.empty(size, problem.dtype) for size in (hidden, outputs, hidden, outputs)]

    def samples(self):
        return self.problem.X, self.problem.Y

    def train(self, n, epochs):
        self.function(
            *(pointer(array) for array in (self.net.parameters, *self.samples())),
            *(ctypes.c_long(number) for number in (n, epochs, *self.problem.sizes)),
            ctypes.c_double(RATE),
            *map(pointer, self.scratch),
        )


class SparseProblem(Problem):
    """20,000 random samples with so many non-zeros each."""

    def __init__(self, sizes, dtype, n_nonzeros):
        self.sizes, self.dtype, self.shuffle = sizes, np.dtype(dtype), False
        self.name = "-".join(map(str, sizes)) + f" sparse, {n_nonzeros} non-zeros"
        generator = np.random.default_rng(0)
        n, columns = 20_000, sizes[0]
        named = np.sort([generator.choice(columns, n_nonzeros, replace=False) for _ in range(n)], axis=1)
        values = generator.standard_normal(n * n_nonzeros).astype(dtype)
        starts = np.arange(0, n * n_nonzeros + 1, n_nonzeros, dtype=np.int32)
        self.X = sparse.csr_matrix((values, named.ravel().astype(np.int32), starts), (n, columns))
        self.Y = (generator.random((n, sizes[-1])) < 0.5).astype(dtype)


class SparseTwin(Twin):
    """The C twin over the non-zeros."""

    source = "sparse_twin.c"

    def samples(self):
        return self.problem.X.data, self.problem.X.indices, self.problem.X.indptr, self.problem.Y


class ConstantTwin(Twin):
    name = "C, constant sizes"
    constant_sizes = True


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


class Handwritten(Peer):
    name = "hand-written Numba"

    def __init__(self, problem):
        super().__init__(problem)
        inputs, hidden, outputs = problem.sizes
        units = (inputs, hidden, hidden, outputs, hidden, outputs)
        self.scratch = [np.empty(size, problem.dtype) for size in units]

    def train(self, n, epochs):
        (W1, W2), (b1, b2) = self.net.weights, self.net.biases
        X, Y = self.problem.X[:n], self.problem.Y[:n]
        rate, losses = self.problem.dtype.type(RATE), np.zeros(epochs)
        handwritten.train(W1.ravel(), b1, W2.ravel(), b2, X, Y, epochs, rate, *self.scratch, losses)


class NumPy(Peer):
    """As notebooks write it: a sample at a time, products of vectors and matrices."""

    name = "NumPy"

    def train(self, n, epochs):
        (W1, W2), (b1, b2) = self.net.weights, self.net.biases
        X, Y = self.problem.X, self.problem.Y
        for _ in range(epochs):
            loss = 0.0
            for s in range(n):
                x, y = X[s], Y[s]
                a1 = 1 / (1 + np.exp(-(np.dot(x, W1) + b1)))
                a2 = 1 / (1 + np.exp(-(np.dot(a1, W2) + b2)))
                loss -= np.sum(y * np.log(a2) + (1 - y) * np.log(1 - a2))
                delta2 = a2 - y
                delta1 = np.dot(W2, delta2) * a1 * (1 - a1)
                W2 -= RATE * np.outer(a1, delta2)
                b2 -= RATE * delta2
                W1 -= RATE * np.outer(x, delta1)
                b1 -= RATE * delta1


class ScikitLearn(Peer):
    """MLPClassifier made to do the same: batch_size=1, plain SGD, multi-label targets for several outputs."""

    name = "scikit-learn"

    def prepare(self):
        super().prepare()
        self.model = MLPClassifier(
            hidden_layer_sizes=self.problem.sizes[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=0,
            batch_size=1,
            learning_rate_init=RATE,
            shuffle=self.problem.shuffle,
            momentum=0,
            nesterovs_momentum=False,
            tol=0,
            n_iter_no_change=10**9,
            warm_start=True,
            max_iter=1,
        )
        self.fit(len(self.problem.X), 1)  # makes its arrays, which are then overwritten
        own = (*self.model.coefs_, *self.model.intercepts_)
        for array, start in zip(own, (*self.net.weights, *self.net.biases), strict=True):
            array[...] = start

    def fit(self, n, epochs):
        Y = self.problem.Y[:n].astype(int)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.set_params(max_iter=epochs).fit(self.problem.X[:n], Y[:, 0] if Y.shape[1] == 1 else Y)

    def train(self, n, epochs):
        self.fit(n, epochs)

    def parameters(self):
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return np.concatenate([array.ravel() for pair in pairs for array in pair])


def seconds(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def check_trajectory(peers, n):
    """Every peer arrives at the first one's parameters; compiles what needs compiling."""
    for peer in peers:
        peer.prepare()
        peer.train(n, STEPS_COMPARED // n)
        difference = np.abs(peer.parameters() - peers[0].parameters()).max()
        if not difference <= TOLERANCE[peer.problem.dtype.name]:
            raise SystemExit(
                f"{peer.name} at {peer.problem.name}, {peer.problem.dtype}: after {STEPS_COMPARED} steps "
                f"parameters differ by {difference:.1e} from numbabp's"
            )


def time_training(problem, peers, repeats, least):
    """Nanoseconds a step, (repeats, peers); the peers take turns."""
    n = problem.X.shape[0]
    if not problem.shuffle:
        check_trajectory(peers, min(n, STEPS_COMPARED))
    epochs = []
    for peer in peers:
        count = 1
        peer.prepare()
        while (taken := seconds(peer.train, n, count)) < least / 4:
            count *= 4
        epochs.append(max(1, round(count * least / taken)))
    times = np.empty((repeats, len(peers)))
    for repeat in range(repeats):
        for p, peer in enumerate(peers):
            peer.prepare()
            times[repeat, p] = seconds(peer.train, n, epochs[p]) / (n * epochs[p]) * 1e9
    return times


def time_prediction(dtype, repeats):
    """Seconds of the two estimators' predict, (repeats, 2); 100,000 x 64 rows through 64-100-10."""
    generator = np.random.default_rng(0)
    X, y = generator.standard_normal((100_000, 64), dtype=dtype), generator.integers(0, 10, 1000)
    models = [nbp.MLPClassifier(max_iter=1), MLPClassifier(max_iter=1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in models:
            model.fit(X[:1000], y).predict(X)
    return np.array([[seconds(model.predict, X) for model in models] for _ in range(repeats)])


class Report:
    """Rows, printed as Markdown while they come."""

    def __init__(self):
        self.rows = []
        print("| network | dtype | system | time | least to most | time / numbabp's | target | |")
        print("|---|---|---|---:|---:|---:|---:|---|", flush=True)

    def add(self, network, dtype, names, times, unit):
        for name, column, ratios in zip(names, times.T, (times / times[:, :1]).T, strict=True):
            dtypes, target = TARGETS.get((name, network), ((), None))
            target = target if dtype in dtypes else None
            median, ratio = float(np.median(column)), float(np.median(ratios))
            low, high = float(column.min()), float(column.max())
            passed = None if target is None else ratio >= target
            wanted = "" if target is None else f">= {target:.3g}"
            verdict = {None: "", True: "pass", False: "MISS"}[passed]
            print(
                f"| {network} | {dtype} | {name} | {median:,.5g} {unit} | {low:,.4g} to {high:,.4g} "
                f"| {ratio:,.3g} | {wanted} | {verdict} |",
                flush=True,
            )
            self.rows.append(
                {
                    "network": network,
                    "dtype": dtype,
                    "system": name,
                    "unit": unit,
                    "median": median,
                    "least": low,
                    "most": high,
                    "ratio": ratio,
                    "ratio_least": float(ratios.min()),
                    "ratio_most": float(ratios.max()),
                    "target": target,
                    "passed": passed,
                }
            )


def environment():
    found = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numbabp": nbp.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    if shutil.which("gcc"):
        command = ["gcc", "-dumpfullversion"]
        found["gcc"] = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="timings of each system (default 7)")
    parser.add_argument("--seconds", type=float, default=0.25, help="least length of a timing (default 0.25)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    arguments = parser.parse_args()
    about = environment()
    print(", ".join(f"{name} {version}" for name, version in about.items()), end="\n\n")
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for sizes, dtype in NETWORKS:
            problem = Problem(sizes, dtype)
            peers = [Numbabp(problem), Handwritten(problem), NumPy(problem), ScikitLearn(problem)]
            if "gcc" in about:
                peers[1:1] = [Twin(problem, folder), ConstantTwin(problem, folder)]
            times = time_training(problem, peers, arguments.repeats, arguments.seconds)
            report.add(problem.name, dtype, [peer.name for peer in peers], times, "ns/step")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in BOTH if "gcc" in about else ():
            problem = SparseProblem((50_000, 64, 10), dtype, 60)
            peers = [Numbabp(problem), SparseTwin(problem, folder)]
            times = time_training(problem, peers, arguments.repeats, arguments.seconds)
            report.add(problem.name, dtype, [peer.name for peer in peers], times, "ns/step")
    for dtype in BOTH:
        problem = Problem((2, 10, 1), dtype, shuffle=True)
        peers = [Numbabp(problem), ScikitLearn(problem)]
        times = time_training(problem, peers, arguments.repeats, arguments.seconds)
        report.add(problem.name, dtype, [peer.name for peer in peers], times, "ns/step")
    for dtype in BOTH:
        times = time_prediction(dtype, arguments.repeats) * 1e3
        report.add("predict", dtype, ["numbabp", "scikit-learn"], times, "ms")
    if arguments.json:
        arguments.json.write_text(json.dumps({"environment": about, "rows": report.rows}, indent=1))
    sys.exit(any(row["passed"] is False for row in report.rows))


if __name__ == "__main__":
    main()
