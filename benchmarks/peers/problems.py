"""What is trained: networks, samples, initial weights. The same for every system."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

import numbabp as nbp
from numbabp.datasets import xor


@dataclass
class Problem:
    """Per-sample SGD of an all-sigmoid network on binary cross-entropy.

    Samples are exclusive or for 2-10-1, else random ones: standard normal inputs, each target 0 or 1.
    """

    sizes: tuple[int, ...]
    dtype: str
    rate: float = 0.05
    momentum: float = 0.0
    l2: float = 0.0
    samples: int = 1000
    shuffle: bool = False
    loss: str = "binary_cross_entropy"
    X: np.ndarray = field(init=False, repr=False)
    Y: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        if self.sizes == (2, 10, 1):
            X, y = xor()
            Y = y[:, np.newaxis]
        else:
            generator = np.random.default_rng(0)
            X = generator.standard_normal((self.samples, self.sizes[0]))
            Y = generator.random((self.samples, self.sizes[-1])) < 0.5
        self.X, self.Y = X.astype(self.dtype), Y.astype(self.dtype)

    @property
    def name(self):
        extra = " momentum+L2" if self.momentum or self.l2 else " shuffled" if self.shuffle else ""
        return "-".join(map(str, self.sizes)) + extra

    @property
    def n_weights(self):
        return sum(a * b for a, b in pairwise(self.sizes))

    @property
    def plain(self):
        """Whether a step is W -= rate * gradient and no more."""
        return not (self.momentum or self.l2)

    def network(self):
        return nbp.Network(
            self.sizes, output_activation="sigmoid", loss=self.loss, dtype=self.dtype, random_state=0
        )

    def but(self, **changes):
        return replace(self, **changes)


def problems():
    """The rows of the table, in its order. Made as they come: samples take memory."""
    yield Problem((2, 10, 1), "float64")
    yield Problem((2, 10, 1), "float32")
    yield Problem((64, 32, 10), "float32")
    yield Problem((64, 32, 10), "float64")
    yield Problem((784, 32, 10), "float32")
    yield Problem((784, 128, 10), "float32")
    yield Problem((784, 128, 10), "float64")
    yield Problem((784, 512, 10), "float32")
    # smaller rates where those of the others saturate the units, which hides differences or blows them up
    yield Problem((784, 512, 512, 10), "float32", rate=0.01)
    yield Problem((784, 512, 10), "float32", rate=0.005, momentum=0.9, l2=1e-4)
    yield Problem((2, 10, 1), "float64", shuffle=True)
    yield Problem((2, 10, 1), "float32", shuffle=True)
