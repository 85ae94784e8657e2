"""What is trained: networks, samples, rates. The same for every system."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

import numbabp as nbp


@dataclass
class Task:
    """Per-sample SGD of sigmoid networks on a cross-entropy, samples in their order.

    Attributes
    ----------
    n_networks : int
        More than 1: a population.
    kernels : tuple of str
        numbabp's that are measured, the one held to targets first; "kernel, numerics" if these are not fast.
    X, Y : ndarray of shape (n, n_inputs) and (n, n_outputs)
    """

    name: str
    sizes: tuple[int, ...]
    n_networks: int
    loss: str
    rate: float
    kernels: tuple[str, ...]
    X: np.ndarray = field(repr=False)
    Y: np.ndarray = field(repr=False)
    dtype: str = "float32"

    def __post_init__(self):
        self.X, self.Y = (np.ascontiguousarray(array, self.dtype) for array in (self.X, self.Y))

    @property
    def n_weights(self):
        """Connections, which CUPS counts."""
        return sum(a * b for a, b in pairwise(self.sizes))

    @property
    def n_parameters(self):
        """Weights and biases."""
        return self.n_weights + sum(self.sizes[1:])

    @property
    def softmax(self):
        """Whether the outputs are those of softmax; else of sigmoids."""
        return self.loss == "categorical_cross_entropy"

    def model(self, numerics="fast"):
        """A population, or one network, at its initial parameters."""
        options = {"loss": self.loss, "dtype": self.dtype, "random_state": 0, "numerics": numerics}
        if self.n_networks > 1:
            return nbp.Population(self.sizes, self.n_networks, **options)
        return nbp.Network(self.sizes, **options)

    def fit(self, model, epochs, n=None, **options):
        """Train it by numbabp on the first n samples, all by default."""
        return model.fit(
            self.X[:n],
            self.Y[:n],
            epochs=epochs,
            learning_rate=self.rate,
            shuffle=False,
            progress=False,
            **options,
        )

    def layers(self, parameters):
        """Copies of weights and biases by layer, from an array (..., n_parameters)."""
        layers, at = [], 0
        for fan_in, fan_out in pairwise(self.sizes):
            W = parameters[..., at : at + fan_in * fan_out].reshape(*parameters.shape[:-1], fan_in, fan_out)
            at += fan_in * fan_out
            layers.append((W.copy(), parameters[..., at : at + fan_out].copy()))
            at += fan_out
        return layers

    def flat(self, layers):
        """Parameters (..., n_parameters) from weights and biases by layer."""
        leading = np.shape(layers[0][1])[:-1]
        arrays = [np.reshape(np.asarray(array), (*leading, -1)) for pair in layers for array in pair]
        return np.concatenate(arrays, axis=-1)


def noisy_xor(n):
    """Corners of the unit square with noise of standard deviation 0.1; the target is exclusive or."""
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 2, (n, 2))
    return corners + 0.1 * generator.standard_normal((n, 2)), (corners[:, :1] != corners[:, 1:])


def digits():
    """scikit-learn's digits, from 0 to 1, and one output for each class."""
    from sklearn.datasets import load_digits

    images, y = load_digits(return_X_y=True)
    return images / 16, np.eye(10)[y]


def random_classes(n, n_inputs, n_classes):
    """Standard normal inputs, classes drawn at random."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((n, n_inputs), np.float32)
    return X, np.eye(n_classes, dtype=np.float32)[generator.integers(0, n_classes, n)]


BINARY, CLASSES = "binary_cross_entropy", "categorical_cross_entropy"
SMALL, DIGITS, BIG = (
    "65,536 x 2-10-1, noisy XOR",
    "4,096 x 64-32-10, digits",
    "784-2048-2048-10, random samples",
)


def tasks():
    """Those of the tables, by name. Made as they come: samples take memory."""
    of_small = ("thread", "thread, approximate", "thread, strict", "warp")
    yield Task(SMALL, (2, 10, 1), 65536, BINARY, 0.05, of_small, *noisy_xor(1024))
    yield Task(DIGITS, (64, 32, 10), 4096, CLASSES, 0.05, ("warp", "warp, strict", "block"), *digits())
    sizes, of_big = (784, 2048, 2048, 10), ("resident", "blocked")
    yield Task(BIG, sizes, 1, CLASSES, 0.01, of_big, *random_classes(4096, 784, 10))


def toy_tasks():
    """The same in name, so small that the simulator can train them, by all kernels but `NOT_SIMULATED`."""
    of_small = ("thread", "thread, approximate", "thread, strict", "warp")
    yield Task(SMALL, (2, 3, 1), 2, BINARY, 0.05, of_small, *noisy_xor(2))
    yield Task(
        DIGITS, (4, 3, 2), 2, CLASSES, 0.05, ("warp", "warp, strict", "block"), *random_classes(2, 4, 2)
    )
    yield Task(BIG, (4, 3, 3, 2), 1, CLASSES, 0.01, ("blocked",), *random_classes(4, 4, 2))


@dataclass(frozen=True)
class Check:
    """A trajectory of a kernel that is compared with the CPU's."""

    kernel: str
    dtype: str
    update_rule: str = "sgd"

    @property
    def tolerance(self):
        """Largest difference of parameters allowed, relative to the largest parameter."""
        return {"float64": 1e-10, "float32": 1e-4}[self.dtype]


CHECKS = tuple(
    Check(kernel, dtype, rule)
    for kernel in ("thread", "warp", "block", "persistent", "blocked")
    for dtype, rule in (("float64", "sgd"), ("float32", "sgd"), ("float64", "momentum"))
) + tuple(Check("resident", dtype) for dtype in ("float64", "float32"))
NOT_SIMULATED = ("resident",)
"""Kernels whose blocks wait for each other, which the simulator runs one after the other."""


def checks(simulated):
    """Those that can be made."""
    return [check for check in CHECKS if not (simulated and check.kernel in NOT_SIMULATED)]


_CHECKED = {  # kernel: layer sizes, networks
    "thread": ((2, 10, 1), 40),
    "warp": ((64, 32, 10), 12),
    "block": ((64, 40, 10), 6),
    "persistent": ((64, 40, 10), 1),
    "blocked": ((300, 256, 128, 10), 1),
    "resident": ((300, 256, 128, 10), 1),
}
_FIT_INTO_REGISTERS = {  # kernel, dtype, rule: smaller layers, where those above take too many
    ("thread", "float64", "momentum"): (2, 6, 1),
    ("warp", "float64", "sgd"): (32, 16, 4),
    ("warp", "float64", "momentum"): (12, 10, 3),
}
_CHECKED_IN_SIMULATOR = {
    "thread": ((2, 3, 1), 2),
    "warp": ((4, 3, 2), 2),
    "block": ((4, 3, 2), 2),
    "persistent": ((4, 3, 2), 1),
    "blocked": ((4, 3, 3, 2), 1),
}
STEPS, SIMULATED_STEPS = 200, 6


def checked_task(check, simulated):
    """Networks and samples of a check, and the epochs that make its steps."""
    sizes, n_networks = (_CHECKED_IN_SIMULATOR if simulated else _CHECKED)[check.kernel]
    if not simulated:
        sizes = _FIT_INTO_REGISTERS.get((check.kernel, check.dtype, check.update_rule), sizes)
    epochs = 2 if simulated else 4
    n = (SIMULATED_STEPS if simulated else STEPS) // epochs
    if sizes[-1] == 1:
        loss, samples = BINARY, noisy_xor(n)
    else:
        loss, samples = CLASSES, random_classes(n, sizes[0], sizes[-1])
    rate = 0.02 if check.update_rule == "sgd" else 0.005
    task = Task(check.kernel, sizes, n_networks, loss, rate, (check.kernel,), *samples, dtype=check.dtype)
    return task, epochs
