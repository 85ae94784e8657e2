"""What every system offers: initial weights, steps, parameters to compare."""

import numpy as np


class Unavailable(Exception):
    """The system is not here; its row says so."""


class OutOfScope(Exception):
    """The system does not do this problem, and gets no row."""


BOTH_LOSSES = ("binary_cross_entropy", "squared_error")


class Peer:
    """One system on one problem: `prepare` sets the initial weights, `train` takes n * epochs steps.

    `check` raises `Unavailable` or `OutOfScope` before anything is built, the latter for losses other than
    `losses`, and for adam unless a peer `has_adam`. A peer whose loss is not the problem's names its own, and
    is compared with numbabp's network of that loss; `check_rate` replaces the rate in this comparison. One
    that is not `comparable` is not compared. `note` and the `difference` found go into the row.
    """

    name = ""
    losses = ("binary_cross_entropy",)
    loss = None
    check_rate = None
    least_seconds = 0.0  # that a call has to take for what it costs once to be little
    comparable = True
    has_adam = False
    note = ""
    difference = None

    def __init__(self, problem):
        self.check(problem)
        self.problem, self.rate = problem, problem.rate
        self.net = problem.network()
        self.start = self.net.parameters.copy()
        self.net.parameters = self.allocate()

    @classmethod
    def check(cls, problem):
        if problem.shuffle or problem.nonzeros or problem.loss not in cls.losses:
            raise OutOfScope  # draws no orders of its own here, knows no sparse samples
        if problem.adam and not cls.has_adam:
            raise OutOfScope

    def allocate(self):
        """Parameters on a cache line's boundary: where they lie by chance is worth up to a fifth."""
        memory = np.empty(self.start.nbytes + 64, np.uint8)
        skip = -memory.ctypes.data % 64
        return memory[skip : skip + self.start.nbytes].view(self.start.dtype)

    def prepare(self):
        self.net.parameters[:] = self.start

    def train(self, n, epochs):
        raise NotImplementedError

    def parameters(self):
        return self.net.parameters


def flat(weights, biases):
    """Parameters in numbabp's order: weights and biases of the first layer, of the second, ..."""
    pairs = zip(weights, biases, strict=True)
    return np.concatenate([np.asarray(array).ravel() for pair in pairs for array in pair])
