"""Networks written as C: compiled by gcc, and called."""

import ctypes
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import reference
from problems import draw_problem, network_of

GCC = shutil.which("gcc")
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2")
STRICTER = (*FLAGS, "-Wconversion", "-Wdouble-promotion", "-Wshadow", "-Wstrict-prototypes")

OWN_LOSS = {output: loss for loss, output in reference.REQUIRED_OUTPUT.items() if output != "sigmoid"}


def gcc(*arguments, compiler=GCC):
    done = subprocess.run([compiler, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def library(folder, sources, flags=STRICTER):
    """Sources, or all of a folder, as one library of functions."""
    path = folder / "library.so"
    gcc(*flags, "-Wmissing-prototypes", "-shared", "-fPIC", *sources, "-o", path, "-lm")
    return ctypes.CDLL(str(path))


class InC:
    """A network in such a library, for inference, by arrays of NumPy."""

    def __init__(self, functions, network, name):
        self.dtype, self.n_outputs = network.dtype, network.n_outputs
        self._functions, self._name = functions, name
        self.of_model = ()

    def _call(self, name, *arguments, result=None):
        function = getattr(self._functions, f"{self._name}_{name}")
        function.restype = result
        pointers = [x.ctypes.data_as(ctypes.c_void_p) if isinstance(x, np.ndarray) else x for x in arguments]
        return function(*pointers)

    def rows(self, values):
        return np.ascontiguousarray(values, self.dtype)

    def forward(self, X):
        outputs = np.full((len(X), self.n_outputs), np.nan, self.dtype)
        for row, of_row in zip(self.rows(X), outputs, strict=True):
            self._call("forward", *self.of_model, row, of_row)
        return outputs

    def classify(self, X):
        return [self._call("classify", *self.of_model, row, result=ctypes.c_int) for row in self.rows(X)]

    def predict(self, X):
        result = ctypes.c_float if self.dtype == np.float32 else ctypes.c_double
        return [self._call("predict", *self.of_model, row, result=result) for row in self.rows(X)]

    def check(self, model=()):
        return self._call("check", *model, result=ctypes.c_int)


class LearningInC(InC):
    """One that learns."""

    def __init__(self, functions, network, name, has_velocity=False):
        super().__init__(functions, network, name)
        n = network.n_parameters
        # the struct, whose members are all of one type
        self.model = np.full(2 * n + 2 if has_velocity else n + 1, np.nan, self.dtype)
        self.parameters = self.model[:n]
        self.of_model = (self.model,)
        self._call("init", self.model)
        assert np.isfinite(self.model).all()

    def learn(self, X, Y):
        """One pass; outputs of before each step, and losses of these."""
        outputs = np.full((len(X), self.n_outputs), np.nan, self.dtype)
        losses = []
        result = ctypes.c_float if self.dtype == np.float32 else ctypes.c_double
        for row, of_row, y in zip(self.rows(X), outputs, self.rows(Y), strict=True):
            self._call("learn", self.model, row, y, of_row)
            losses.append(self._call("loss", of_row, y, result=result))
        return outputs, losses

    def learn_classes(self, X, indices):
        outputs = np.empty(self.n_outputs, self.dtype)
        for row, index in zip(self.rows(X), indices, strict=True):
            self._call("learn_class", self.model, row, ctypes.c_int(int(index)), outputs)

    def weights_and_biases(self, layer_sizes):
        """The parameters as a network has them."""
        weights, biases, start = [], [], 0
        for fan_in, fan_out in pairwise(layer_sizes):
            rows = self.parameters[start : start + (fan_in + 1) * fan_out].reshape(fan_out, fan_in + 1)
            weights.append(rows[:, 1:].T)
            biases.append(rows[:, 0])
            start += rows.size
        return weights, biases


def one_of_each_activation():
    """Every activation, hidden (but for two) and of the outputs, in both dtypes, by name."""
    found = {}
    hidden = list(reference.ELEMENTWISE)
    for i, output in enumerate(reference.ACTIVATIONS):
        activations = (hidden[i % 9], hidden[(i + 4) % 9], output)
        problem = draw_problem(i, (5, 7, 4, 3), activations, OWN_LOSS.get(output, "squared_error"))
        for dtype in ("float64", "float32"):
            found[f"{output}_{dtype}"] = network_of(problem, dtype)
    return found


def as_in_c(rows):
    """Rows of floats as what an array begins with."""
    return "{" + ", ".join("{" + ", ".join(f"{np.float32(x)!s}f" for x in row) + "}" for row in rows) + "}"
