"""numbabp against its peers, in one process and interleaved: medians, spread and ratios.

    python benchmarks/peers/run.py [--repeats 7] [--json FILE]

Rows are per-sample SGD of one hidden layer, all sigmoid, binary cross-entropy, on the same data from the
same weights in the same order; before anything is timed, each peer's parameters after 100 steps are
compared with numbabp's. The C twin is compiled when gcc is there, with -O3 -march=native -ffast-math.
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

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, str(Path(__file__).parent))

import handwritten

import numbabp as nbp
from numbabp.datasets import xor

RATE = 0.05
HERE = Path(__file__).parent


class Problem:
    """Data and initial weights of one row."""

    def __init__(self, sizes, dtype, n, epochs):
        self.sizes, self.dtype, self.n, self.epochs = sizes, np.dtype(dtype), n, epochs
        generator = np.random.default_rng(0)
        X, Y = generator.standard_normal((n, sizes[0])), generator.random((n, sizes[-1])) < 0.5
        if sizes == (2, 10, 1):  # exclusive or
            X, y = xor()
            Y = y[:, np.newaxis]
        self.X, self.Y = X.astype(dtype), Y.astype(dtype)
        self.start = self.network().parameters

    def network(self):
        return nbp.Network(self.sizes, loss="binary_cross_entropy", dtype=self.dtype, random_state=0)


class Numbabp:
    name = "numbabp"
    share = 1.0

    def __init__(self, problem):
        self.problem, self.net = problem, problem.network()

    def train(self, n, epochs):
        self.net.parameters[:] = self.problem.start
        X, Y = self.problem.X[:n], self.problem.Y[:n]
        self.net.fit(X, Y, learning_rate=RATE, epochs=epochs, shuffle=False, progress=False)
        return self.net.parameters


class Twin:
    """The C twin."""

    share = 1.0

    def __init__(self, problem, folder, constant):
        self.name = "C, constant sizes" if constant else "C"
        self.problem = problem
        real = "float" if problem.dtype == np.float32 else "double"
        inputs, hidden, outputs = problem.sizes
        flags = [f"-DREAL={real}"]
        if constant:
            flags += [f"-DINPUTS={inputs}", f"-DHIDDEN={hidden}", f"-DOUTPUTS={outputs}"]
        library = Path(folder) / f"twin-{'-'.join(map(str, problem.sizes))}-{real}-{constant}.so"
        command = ["gcc", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", *flags]
        subprocess.run([*command, str(HERE / "twin.c"), "-o", str(library), "-lm"], check=True)
        self.function = ctypes.CDLL(str(library)).train
        self.function.restype = ctypes.c_double
        self.scratch = [np.empty(size, problem.dtype) for size in (hidden, outputs, hidden, outputs)]

    def train(self, n, epochs):
        parameters = self.problem.start.copy()
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (parameters, self.problem.X, self.problem.Y)]
        numbers = [ctypes.c_long(value) for value in (n, epochs, *self.problem.sizes)]
        scratch = [ctypes.c_void_p(a.ctypes.data) for a in self.scratch]
        self.function(*pointers, *numbers, ctypes.c_double(RATE), *scratch)
        return parameters


class Handwritten:
    name = "hand-written Numba"
    share = 1.0

    def __init__(self, problem):
        self.problem = problem
        _, hidden, outputs = problem.sizes
        self.scratch = [np.empty(size, problem.dtype) for size in (hidden, hidden, outputs, hidden, outputs)]

    def train(self, n, epochs):
        problem = self.problem
        net = problem.network()
        (W1, W2), (b1, b2) = net.weights, net.biases
        handwritten.train(
            W1, b1, W2, b2, problem.X[:n], problem.Y[:n], np.arange(n), epochs, problem.dtype.type(RATE),
            *self.scratch, np.zeros(epochs),
        )  # fmt: skip
        return net.parameters


class NumPy:
    """The notebook's style: one sample at a time, matrices and outer products."""

    name = "NumPy"
    share = 0.005

    def __init__(self, problem):
        self.problem = problem

    def train(self, n, epochs):
        net = self.problem.network()
        (W1, W2), (b1, b2) = net.weights, net.biases
        X, Y = self.problem.X, self.problem.Y
        loss = 0.0
        for _ in range(epochs):
            for t in range(n):
                x, y = X[t], Y[t]
                a1 = 1 / (1 + np.exp(-(np.dot(x, W1) + b1)))
                a2 = 1 / (1 + np.exp(-(np.dot(a1, W2) + b2)))
                loss -= np.sum(y * np.log(a2) + (1 - y) * np.log(1 - a2))
                delta2 = a2 - y
                delta1 = np.dot(W2, delta2) * a1 * (1 - a1)
                W2 -= RATE * np.outer(a1, delta2)
                b2 -= RATE * delta2
                W1 -= RATE * np.outer(x, delta1)
                b1 -= RATE * delta1
        return net.parameters


class ScikitLearn:
    """MLPClassifier, batch_size=1, plain SGD; multi-label targets give sigmoid outputs."""

    name = "scikit-learn"
    share = 0.002

    def __init__(self, problem):
        self.problem = problem
        self.model = MLPClassifier(
            hidden_layer_sizes=problem.sizes[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=0,
            batch_size=1,
            learning_rate_init=RATE,
            shuffle=False,
            momentum=0,
            nesterovs_momentum=False,
            random_state=0,
            tol=0,
            n_iter_no_change=10**9,
            warm_start=True,
        )

    def train(self, n, epochs):
        X, Y = self.problem.X[:n], self.problem.Y[:n].astype(int)
        if Y.shape[1] == 1:
            Y = Y[:, 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.partial_fit(X, Y, classes=np.arange(self.problem.sizes[-1] if Y.ndim == 2 else 2))
            net = self.problem.network()
            for own, start in zip(self.model.coefs_, net.weights, strict=True):
                own[...] = start
            for own, start in zip(self.model.intercepts_, net.biases, strict=True):
                own[...] = start
            self.model.set_params(max_iter=epochs).fit(X, Y)
        parts = [
            part.ravel()
            for pair in zip(self.model.coefs_, self.model.intercepts_, strict=True)
            for part in pair
        ]
        return np.concatenate(parts)


def rows(quick):
    scale = 10 if quick else 1
    return [
        Problem((2, 10, 1), "float64", 4, 500_000 // scale),
        Problem((2, 10, 1), "float32", 4, 500_000 // scale),
        Problem((64, 32, 10), "float32", 1000, 300 // scale),
        Problem((64, 32, 10), "float64", 1000, 300 // scale),
        Problem((784, 128, 10), "float32", 1000, 20 // min(scale, 5)),
        Problem((784, 128, 10), "float64", 1000, 10 // min(scale, 5)),
    ]


# Ratios asked for: peer's time / numbabp's, at least.
TARGETS = {
    ((2, 10, 1), "C"): 1 / 1.5,
    ((2, 10, 1), "NumPy"): 150,
    ((2, 10, 1), "scikit-learn"): 700,
    ((64, 32, 10), "C"): 1 / 1.25,
    ((784, 128, 10), "C"): 1 / 1.25,
    ((784, 128, 10), "scikit-learn"): 25,
    ((2, 10, 1), "hand-written Numba"): 1 / 1.3,
    ((64, 32, 10), "hand-written Numba"): 1 / 1.3,
    ((784, 128, 10), "hand-written Numba"): 1 / 1.3,
}
FLOAT32_ONLY = {((64, 32, 10), "C"), ((784, 128, 10), "C")}


def measure(problem, peers, repeats):
    """Nanoseconds a step, (repeats, peers), all peers in turn within each repeat."""
    for peer in peers:
        n = min(100, problem.n)
        epochs = 100 // n
        difference = np.abs(peer.train(n, epochs) - peers[0].train(n, epochs)).max()
        tolerance = 1e-12 if problem.dtype == np.float64 else 1e-5
        if not difference < tolerance:
            raise SystemExit(f"{peer.name} leaves numbabp's trajectory at {problem.sizes}: {difference:.1e}")
    times = np.empty((repeats, len(peers)))
    for repeat in range(repeats):
        for p, peer in enumerate(peers):
            epochs = max(1, round(problem.epochs * peer.share))
            n = (
                problem.n
                if problem.epochs * peer.share >= 1
                else max(20, int(problem.n * problem.epochs * peer.share))
            )
            started = time.perf_counter()
            peer.train(n, epochs)
            times[repeat, p] = (time.perf_counter() - started) / (n * epochs) * 1e9
    return times


def predict_row(repeats):
    """Seconds of predict on 100,000 x 64 rows, numbabp's estimator and scikit-learn's."""
    generator = np.random.default_rng(0)
    X, y = generator.standard_normal((100_000, 64)), generator.integers(0, 10, 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [nbp.MLPClassifier(max_iter=1).fit(X[:1000], y), MLPClassifier(max_iter=1).fit(X[:1000], y)]
    times = np.empty((repeats, 2))
    for repeat in range(repeats):
        for m, model in enumerate(models):
            started = time.perf_counter()
            model.predict(X)
            times[repeat, m] = time.perf_counter() - started
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps: to see that it runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results, failed = [], False
    print(
        f"{platform.platform()}, {platform.processor()}, numpy {np.__version__}, scikit-learn {sklearn.__version__}"
    )
    print("| network | dtype | peer | ns/step | spread | peer / numbabp | wanted at least | |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for problem in rows(arguments.quick):
            peers = [Numbabp(problem), Handwritten(problem), NumPy(problem), ScikitLearn(problem)]
            if shutil.which("gcc"):
                peers[1:1] = [Twin(problem, folder, False), Twin(problem, folder, True)]
            times = measure(problem, peers, arguments.repeats)
            for p, peer in enumerate(peers):
                low, median, high = np.percentile(times[:, p], [0, 50, 100])
                ratio = float(np.median(times[:, p] / times[:, 0]))
                key = (problem.sizes, peer.name)
                target = TARGETS.get(key)
                if key in FLOAT32_ONLY and problem.dtype != np.float32:
                    target = None
                verdict = "" if target is None else "pass" if ratio >= target else "MISS"
                failed |= verdict == "MISS"
                network = "-".join(map(str, problem.sizes))
                wanted = "" if target is None else f"{target:.3g}"
                print(
                    f"| {network} | {problem.dtype} | {peer.name} | {median:.1f} | {low:.1f} to {high:.1f} "
                    f"| {ratio:.3g} | {wanted} | {verdict} |",
                    flush=True,
                )
                results.append(
                    {"network": network, "dtype": str(problem.dtype), "peer": peer.name, "ns_per_step": median,
                     "low": low, "high": high, "ratio": ratio, "target": target}
                )  # fmt: skip
    times = predict_row(arguments.repeats)
    own, peer = np.median(times, axis=0)
    ratio = float(np.median(times[:, 1] / times[:, 0]))
    failed |= ratio < 1
    print(
        f"\npredict on 100,000 x 64 rows, 64-100-10, float64: numbabp {own:.4f} s, scikit-learn {peer:.4f} s, "
        f"ratio {ratio:.2f} (wanted at least 1) {'pass' if ratio >= 1 else 'MISS'}"
    )
    results.append(
        {"network": "predict 100000 x 64", "peer": "scikit-learn", "seconds": [own, peer], "ratio": ratio}
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
