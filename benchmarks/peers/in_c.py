"""The C twins, built for each network as it comes, and FANN called from C."""

import ctypes
import platform
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from peer import BOTH_LOSSES, OutOfScope, Peer, Unavailable
from problems import BETA_1, BETA_2, EPSILON

HERE = Path(__file__).parent
FLAGS = ["-O3", "-march=native", "-ffast-math"]
WIDE = "-mprefer-vector-width=512"
TUNING_SECONDS = 0.02


@cache
def _folder():
    return tempfile.TemporaryDirectory()  # goes when the process ends


def build(source, flags, libraries=("-lm",)):
    """Shared library of one source file, in C's real type and with the sizes that the flags tell.

    Compiled and linked apart: gcc before 13 links code into a shared library made with -ffast-math that turns
    subnormal numbers off in the whole process, numbabp and NumPy included.
    """
    if shutil.which("gcc") is None:
        raise Unavailable("not measured: no gcc")
    path = Path(tempfile.mkdtemp(dir=_folder().name))
    commands = (
        ["gcc", "-c", "-fPIC", *flags, HERE / source, "-o", path / "object.o"],
        ["gcc", "-shared", path / "object.o", "-o", path / "library.so", *libraries],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
            raise Unavailable(f"not measured: {source} does not build: {first.strip()}")
    return ctypes.CDLL(str(path / "library.so"))


@contextmanager
def flushed_subnormals():
    """Subnormal numbers are zero, as they are in a program that is linked with -ffast-math."""
    if platform.machine() not in ("x86_64", "AMD64"):
        yield
        return
    switch = _switch()
    before = switch.flush()
    try:
        yield
    finally:
        switch.put_back(before)


@cache
def _switch():
    library = build("flushing.c", ["-O1"])
    library.flush.restype = ctypes.c_uint
    library.put_back.argtypes = [ctypes.c_uint]
    return library


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def definitions(problem):
    loss = ["-DSQUARED_ERROR"] if problem.loss == "squared_error" else []
    return ["-DREAL=" + ("float" if problem.dtype == "float32" else "double"), *loss]


class OneHiddenLayer:
    """twin.c: plain SGD of one hidden layer."""

    source = "twin.c"

    def __init__(self, problem, flags, constant_sizes):
        inputs, hidden, outputs = self.sizes = problem.sizes
        if constant_sizes:
            flags = [*flags, f"-DINPUTS={inputs}", f"-DHIDDEN={hidden}", f"-DOUTPUTS={outputs}"]
        self.function = build(self.source, [*flags, *definitions(problem)]).train
        self.function.restype = ctypes.c_double
        self.scratch = [np.empty(size, problem.dtype) for size in (hidden, outputs, hidden, outputs)]

    def __call__(self, peer, n, epochs):
        self.function(
            pointer(peer.net.parameters),
            *map(pointer, self.samples(peer.problem.X)),
            pointer(peer.problem.Y),
            *(ctypes.c_long(number) for number in (n, epochs, *self.sizes)),
            ctypes.c_double(peer.rate),
            *map(pointer, self.scratch),
        )

    def samples(self, X):
        return (X,)


class Sparse(OneHiddenLayer):
    """sparse_twin.c: the same over the non-zeros of compressed sparse rows."""

    source = "sparse_twin.c"

    def samples(self, X):
        return X.data, X.indices, X.indptr


class AnyLayers:
    """twin_layers.c: any number of layers, momentum, L2, adam."""

    source = "twin_layers.c"

    def __init__(self, problem, flags, constant_sizes):
        if constant_sizes:
            flags = [*flags, "-DLAYER_SIZES=" + ",".join(map(str, problem.sizes))]
        self.function = build(self.source, [*flags, *definitions(problem)]).train
        self.function.restype = ctypes.c_double
        self.sizes = np.array(problem.sizes, np.dtype("l"))
        self.scratch = [np.empty(sum(problem.sizes[1:]), problem.dtype) for _ in range(2)]

    def __call__(self, peer, n, epochs):
        problem = peer.problem
        self.function(
            *(pointer(array) for array in (peer.net.parameters, peer.velocity, problem.X, problem.Y)),
            *(ctypes.c_long(number) for number in (n, epochs, len(self.sizes) - 1)),
            pointer(self.sizes),
            *(ctypes.c_double(number) for number in (peer.rate, problem.momentum, problem.l2)),
            *(ctypes.c_double(number) for number in (BETA_1 if problem.adam else 0.0, BETA_2, EPSILON)),
            *map(pointer, self.scratch),
        )


class Twin(Peer):
    """Plain C: sizes that arrive as arguments, the compiler flags that everybody writes."""

    name = "C"
    losses = BOTH_LOSSES
    constant_sizes = False
    has_adam = True

    @classmethod
    def check(cls, problem):
        if not problem.nonzeros:
            super().check(problem)

    def __init__(self, problem):
        super().__init__(problem)
        self.velocity = np.zeros(2 * self.start.size, self.start.dtype)  # or both of adam's moments
        self.step = self.build()

    def build(self):
        return self.sources()[0](self.problem, FLAGS, self.constant_sizes)

    def sources(self):
        if self.problem.nonzeros:
            return [Sparse]
        simple = len(self.problem.sizes) == 3 and self.problem.plain
        return [OneHiddenLayer, AnyLayers] if simple else [AnyLayers]

    def prepare(self):
        super().prepare()
        self.velocity[:] = 0

    def train(self, n, epochs):
        with flushed_subnormals():
            self.step(self, n, epochs)


class ConstantTwin(Twin):
    """With a build of its own for each network."""

    name = "C constant sizes"
    constant_sizes = True


class TunedTwin(Twin):
    """The fastest of all builds: either source, sizes constant or not, vectors of usual width or 512 bit."""

    name = "C fastest build"

    def build(self):
        fastest = float("inf"), None
        for source in self.sources():
            for constant in (False, True):
                for width in [[], [WIDE]] if platform.machine() in ("x86_64", "AMD64") else [[]]:
                    step = source(self.problem, [*FLAGS, *width], constant)
                    taken = self.time(step)
                    if taken < fastest[0]:
                        fastest = taken, step
                        sizes = "constant sizes" if constant else "runtime sizes"
                        self.note = ", ".join([source.source, sizes, *width])
        return fastest[1]

    def time(self, step):
        """Seconds a step, the least of three."""
        n, epochs, least = len(self.problem.Y), 1, float("inf")
        while True:
            self.prepare()
            started = time.perf_counter()
            step(self, n, epochs)
            taken = time.perf_counter() - started
            if taken >= TUNING_SECONDS:
                break
            epochs *= 4
        for _ in range(3):
            self.prepare()
            started = time.perf_counter()
            step(self, n, epochs)
            least = min(least, (time.perf_counter() - started) / (n * epochs))
        return least


class Fann(Peer):
    """FANN 2.2, fann_train in a loop in C: squared error, since it has no other.

    Its slope of the sigmoid is cut to outputs from 0.01 to 0.99, so that the comparison with numbabp's
    squared error takes a small rate, which keeps the outputs in there.
    """

    name = "FANN"
    losses = BOTH_LOSSES  # since it is compared on its own
    loss = "squared_error"
    check_rate = 2**-10  # FANN keeps it as a float
    note = "squared error: it has no cross-entropy"

    @classmethod
    def check(cls, problem):
        super().check(problem)
        if problem.l2:
            raise OutOfScope

    def __init__(self, problem):
        super().__init__(problem)
        name = "floatfann" if problem.dtype == "float32" else "doublefann"
        if shutil.which("gcc") and not any(Path(folder, "fann.h").exists() for folder in _include_folders()):
            raise Unavailable("not installed (Debian: libfann-dev)")
        self.library = build("fann_loop.c", [*FLAGS, f"-DHEADER=<{name}.h>"], [f"-l{name}", "-lm"])
        self.library.create.restype = ctypes.c_void_p
        sizes = (ctypes.c_uint * len(problem.sizes))(*problem.sizes)
        self.ann = ctypes.c_void_p(self.library.create(ctypes.c_uint(len(problem.sizes)), sizes))
        self.own = np.empty_like(self.start)
        if self.library.n_weights(self.ann) != self.start.size:
            raise Unavailable("not measured: FANN lays its weights out in another way than expected")

    def __del__(self):
        if hasattr(self, "ann"):
            self.library.destroy(self.ann)

    def prepare(self):
        """FANN's weights lie unit by unit, those of a unit's inputs and then its bias."""
        super().prepare()
        layers = zip(self.net.weights, self.net.biases, strict=True)
        self.own[:] = np.concatenate([np.vstack([W, b]).T.ravel() for W, b in layers])
        self.library.set_weights(self.ann, pointer(self.own))

    def train(self, n, epochs):
        self.library.train(
            self.ann,
            pointer(self.problem.X),
            pointer(self.problem.Y),
            ctypes.c_long(n),
            ctypes.c_long(epochs),
            ctypes.c_double(self.rate),
            ctypes.c_double(self.problem.momentum),
        )

    def parameters(self):
        self.library.get_weights(self.ann, pointer(self.own))
        start, arrays = 0, []
        for W in self.net.weights:
            fan_in, fan_out = W.shape
            layer = self.own[start : start + (fan_in + 1) * fan_out].reshape(fan_out, fan_in + 1).T
            start += layer.size
            arrays.append(layer.ravel())  # weights, then biases
        return np.concatenate(arrays)


@cache
def _include_folders():
    """Where gcc looks for headers."""
    found = subprocess.run(["gcc", "-E", "-Wp,-v", "-x", "c", "/dev/null"], capture_output=True, text=True)
    return [line.strip() for line in found.stderr.splitlines() if line.startswith(" /")]
