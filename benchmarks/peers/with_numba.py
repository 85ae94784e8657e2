"""numbabp itself, and its kernel of one hidden layer written by hand."""

import handwritten
import numpy as np
from peer import BOTH_LOSSES, OutOfScope, Peer

LONG = 1000
"""Epochs of a run that saves the compiling of any kernel, which those that are timed here do not."""


class Numbabp(Peer):
    name = "numbabp"

    @classmethod
    def check(cls, problem):
        """Does everything."""

    def allocate(self):
        return self.net.parameters  # as it comes

    def prepare(self):
        super().prepare()
        self.net._rule_state = None  # momentum begins at zero

    def __init__(self, problem):
        super().__init__(problem)
        self.options = {}
        if problem.adam:
            self.options = {"update_rule": "adam"}
        elif not problem.plain:
            self.options = {"update_rule": "momentum", "momentum": problem.momentum, "l2": problem.l2}
        self.kernel = problem.kernel
        if self.kernel == "auto" and not problem.nonzeros:
            self.kernel = self.net.plan(problem.X, epochs=LONG, n_threads=1, **self.options).kernel

    def train(self, n, epochs):
        problem = self.problem
        self.net.fit(
            problem.X[:n],
            problem.Y[:n],
            learning_rate=self.rate,
            epochs=epochs,
            shuffle=problem.shuffle,
            kernel=self.kernel,
            progress=False,
            **self.options,
        )


class Handwritten(Peer):
    name = "hand-written Numba"
    losses = BOTH_LOSSES

    @classmethod
    def check(cls, problem):
        super().check(problem)
        if len(problem.sizes) != 3 or not problem.plain:
            raise OutOfScope

    def __init__(self, problem):
        super().__init__(problem)
        inputs, hidden, outputs = problem.sizes
        units = (inputs, hidden, hidden, outputs, hidden, outputs)
        self.scratch = [np.empty(size, problem.dtype) for size in units]

    def train(self, n, epochs):
        (W1, W2), (b1, b2) = self.net.weights, self.net.biases
        X, Y = self.problem.X[:n], self.problem.Y[:n]
        rate, losses = X.dtype.type(self.rate), np.zeros(epochs)
        train = handwritten.make_train(self.problem.loss == "squared_error")
        train(W1.ravel(), b1, W2.ravel(), b2, X, Y, epochs, rate, *self.scratch, losses)
