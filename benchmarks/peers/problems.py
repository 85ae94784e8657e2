"""What is trained: networks, samples, initial weights. The same for every system."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy import sparse

import numbabp as nbp
from numbabp.data.datasets import xor


@dataclass
class Problem:
    """Per-sample SGD of an all-sigmoid network on binary cross-entropy, or `loss`.

    Samples are exclusive or for 2-10-1, else random ones: standard normal inputs, each target 0 or 1. With
    `nonzeros`, so many of a sample's inputs are, in columns drawn at random. `kernel` is numbabp's.
    """

    sizes: tuple[int, ...]
    dtype: str
    rate: float = 0.05
    momentum: float = 0.0
    l2: float = 0.0
    adam: bool = False
    samples: int = 1000
    shuffle: bool = False
    nonzeros: int = 0
    kernel: str = "auto"
    loss: str = "binary_cross_entropy"
    X: np.ndarray = field(init=False, repr=False)
    Y: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        if self.sizes == (2, 10, 1):
            X, y = xor()
            Y = y[:, np.newaxis]
        else:
            generator = np.random.default_rng(0)
            X = self._sparse(generator) if self.nonzeros else self._dense(generator)
            Y = generator.random((self.samples, self.sizes[-1])) < 0.5
        self.X, self.Y = X.astype(self.dtype), Y.astype(self.dtype)

    def _dense(self, generator):
        return generator.standard_normal((self.samples, self.sizes[0]))

    def _sparse(self, generator):
        rows, columns = self.samples, self.sizes[0]
        named = np.sort(
            [generator.choice(columns, self.nonzeros, replace=False) for _ in range(rows)], axis=1
        ).astype(np.int32)
        starts = np.arange(0, named.size + 1, self.nonzeros, dtype=np.int32)
        values = generator.standard_normal(named.size)
        return sparse.csr_matrix((values, named.ravel(), starts), (rows, columns))

    @property
    def name(self):
        extra = {
            "momentum+L2": self.momentum or self.l2,
            "adam": self.adam,
            "shuffled": self.shuffle,
            "sparse": self.nonzeros,
            "squared error": self.loss == "squared_error",
            self.kernel: self.kernel != "auto",
        }
        return " ".join(["-".join(map(str, self.sizes)), *(word for word, said in extra.items() if said)])

    @property
    def n_weights(self):
        """That a step changes."""
        return sum(a * b for a, b in pairwise((self.nonzeros or self.sizes[0], *self.sizes[1:])))

    @property
    def plain(self):
        """Whether a step is W -= rate * gradient and no more."""
        return not (self.momentum or self.l2 or self.adam)

    def network(self):
        return nbp.Network(
            self.sizes, output_activation="sigmoid", loss=self.loss, dtype=self.dtype, random_state=0
        )

    def but(self, **changes):
        return replace(self, **changes)


BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Of adam, where it is asked for, as everybody has them."""


def problems():
    """The rows of the table, in its order. Made as they come: samples take memory."""
    yield Problem((2, 10, 1), "float64")
    yield Problem((2, 10, 1), "float32")
    yield Problem((2, 10, 1), "float64", loss="squared_error")
    yield Problem((2, 10, 1), "float32", loss="squared_error")
    yield Problem((64, 32, 10), "float32")
    yield Problem((64, 32, 10), "float64")
    yield Problem((784, 32, 10), "float32")
    yield Problem((784, 128, 10), "float32")
    yield Problem((784, 128, 10), "float64")
    yield Problem((784, 512, 10), "float32")
    # smaller rates where those of the others saturate the units, which hides differences or blows them up
    yield Problem((784, 2048, 10), "float32", rate=0.01)
    yield Problem((784, 512, 512, 10), "float32", rate=0.01)
    yield Problem((784, 2048, 2048, 10), "float32", rate=0.002)
    yield Problem((784, 512, 10), "float32", rate=0.005, momentum=0.9, l2=1e-4)
    for sizes in ((64, 32, 10), (784, 128, 10), (784, 512, 10)):
        yield Problem(sizes, "float32", rate=0.001, adam=True)
        yield Problem(sizes, "float64", rate=0.001, adam=True)
    yield Problem((50_000, 64, 10), "float32", samples=20_000, nonzeros=60)
    yield Problem((2, 10, 1), "float64", shuffle=True)
    yield Problem((2, 10, 1), "float32", shuffle=True)
