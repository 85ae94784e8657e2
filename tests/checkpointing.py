"""What tests of checkpoints share: slices that end anywhere, and every checkpoint that is written."""

import numpy as np

from numbabp.training import loop, population_loop
from numbabp.training.checkpoints import files, keeper


def slices_end_anywhere(monkeypatch, n):
    """Let slices take any number of samples below 2 n."""

    class RandomSlices:
        def __init__(self, length):
            self._draw = np.random.RandomState(n)
            self.took(0, 0, 0)

        def took(self, done, elapsed, seconds, asked=None):
            self.length = int(self._draw.randint(1, 2 * n))

    monkeypatch.setattr(loop, "Slices", RandomSlices)
    monkeypatch.setattr(population_loop, "Slices", RandomSlices)


def all_versions(monkeypatch):
    """A list of all checkpoints written from now on, as whole files, each before training goes on."""
    written, real = [], files.write

    def write(path, identity, standing):
        real(path, identity, standing)
        with open(path, "rb") as file:
            written.append(file.read())

    monkeypatch.setattr(keeper.Keeper, "_start", lambda self, work: work())
    monkeypatch.setattr(files, "write", write)
    return written
