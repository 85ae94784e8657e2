"""Weights of an estimator's samples: what they mean, whatever solver and batch size.

A sample's weight is its sample_weight times the class_weight of its label. Then

- *a weight of 0 is no sample*: the row is taken away before anything is looked at, so that classes, rates,
  the validation split, orders, steps and the end of training are those of the other rows;
- *only ratios count*: weights are divided by their mean over the rows that are trained with (in a stream by
  the mean over all rows so far, of which the t-th counts as t^3), and weights that are all the same are no
  weights, to the last bit;
- *a mini-batch's step is the mean over its rows of weight times gradient*, with one row gradient times
  weight. With all rows in one batch that is the weighted mean, in which weights are worth as many copies.

Their mean being 1, weights leave the mean length of a step as it is. scikit-learn divides the gradient of a
mini-batch by the sum of its own weights, which is the same for all rows in one batch, and nearly so in large
batches; in a batch of one it would cancel the weight, and in small ones most of it. A weight that is tiny but
not 0 still is a row's: with one batch for all that makes no difference, but in smaller ones it takes a place
in the order, and the other rows' weights are larger for it.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..devices import memory
from ..devices.exact_sums import column_sums, sum_of
from ..devices.placement import is_on_device, module_of

POWER = 4
"""The first n of n + k rows of a stream have the share (n / (n + k))^POWER; 1 would count all alike."""


def kept_share(before: float, total: float) -> float:
    """What part earlier rows, which weigh so much of the total, keep of running means of a stream.

    A mean is then ``later + kept * (earlier - later)``, which is `later` to the last bit where nothing is
    kept, and where both are equal.
    """
    return (before / total) ** POWER


class MeanWeight(NamedTuple):
    """Mean weight of the rows of a stream so far, in which what it began with is forgotten."""

    mean: float = 0.0
    n: int = 0
    unit: float = 0.0
    """Mean weight of the first call's."""

    def and_of(self, weights: Any, n: int) -> "MeanWeight":
        """With `n` more rows, of these weights or of 1.

        Means of calls that are all the same stay what they are to the last bit.
        """
        if weights is None:
            mean = 1.0
        else:
            largest = float(weights.max())  # divided by first: a sum may overflow
            mean = largest * sum_of(weights / largest, len(weights))
        total = self.n + n
        kept = kept_share(self.n, total)
        return MeanWeight(mean + kept * (self.mean - mean), total, self.unit if self.n else mean)

    def counted(self, factors: Any, n: int, like: Any) -> Any:
        """Weights of `n` rows with such factors among all rows of a stream; None where all of them are 1.

        Unlike factors, which are divided by what is the mean by then, they may be compared with those of
        earlier calls. They lie where `like` does.
        """
        ratio = self.mean / self.unit
        if ratio == 1.0:
            return factors
        return module_of(like).full(n, ratio) if factors is None else factors * ratio


def normalised(weights: Any, n: int, mean: MeanWeight, dtype: Any) -> Any:
    """Factors of the gradients of `n` rows, where the weights lie; None where all of them are 1."""
    if weights is None:
        return None if mean.mean == 1.0 else np.full(n, 1 / mean.mean, dtype)
    factors = weights / mean.mean
    if bool((factors == 1.0).all()):
        return None
    return factors.astype(dtype)


def rows_with_weight(weights: Any) -> np.ndarray | None:
    """Numbers of the rows whose weight is not 0; None for all.

    Raises
    ------
    ValueError
        If there is none.
    """
    if weights is None or bool((weights > 0).all()):
        return None
    positive = weights > 0
    rows = np.flatnonzero(memory.to_host(positive) if is_on_device(positive) else positive)
    if not len(rows):
        raise ValueError("sample_weight, times class_weight, must not be 0 for every sample.")
    return rows


def times(weights: Any, factors: Any) -> Any:
    """Their product, either of which may be None for ones."""
    if weights is None or factors is None:
        return factors if weights is None else weights
    return weights * factors


def excess(factors: Any, n: int, batch_size: int) -> float:
    """How much more weights let the lengths of steps vary: the mean of their squares, at a mean of 1.

    What is meant are the sums of weights of mini-batches, drawn without replacement (Cochran 1977, "Sampling
    Techniques", section 2.5): 1 for equal weights, and for all rows in one batch.
    """
    if factors is None or n < 2:
        return 1.0
    wide = factors.astype(np.float64)
    variance = sum_of(module_of(wide).square(wide - sum_of(wide, n)), n)
    return 1.0 + variance * (n - batch_size) / (batch_size * (n - 1))


def root_mean_square(values: Any, factors: Any) -> float:
    """Of the lengths of rows, weighted; of `values` (n, n_columns)."""
    with np.errstate(over="ignore"):
        if len(values) == 1 and not is_on_device(values):  # the same, in a tenth of the time
            return math.sqrt(sum_of(np.square(values[0], dtype=float)))
        return math.sqrt(sum_of(column_means(values, factors, power=2)))


def column_means(values: Any, factors: Any, power: int = 1) -> np.ndarray:
    """Means of columns or, with `power` 2, of their squares, weighted by the factors of rows, or None for 1.

    The same bits wherever values lie; in the host's memory.
    """
    xp = module_of(values)

    def terms(rows: slice, out: Any) -> Any:
        out[...] = values[rows]
        if power == 2:
            xp.multiply(out, out, out=out)
        return out if factors is None else xp.multiply(out, factors[rows, None], out=out)

    if factors is None:
        return column_sums(terms, values.shape, values, divisor=len(values))
    return column_sums(terms, values.shape, values) / sum_of(factors)
