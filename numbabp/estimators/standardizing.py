"""Standardisation inside the estimators: inputs, and a regressor's targets, of mean 0 and variance 1.

The network that is trained sees standardised numbers. Users are given one for numbers as theirs are: with
x' = (x - m) / s in front, z = x' W + b is x (W / s) + (b - (m / s) W), which changes nothing but rounding.

Counts keep their zero: they are only divided, by mean(y^2) / mean(y), about the mean where they are large and
1 where they are small. So the largest are not far above the e^0 that outputs begin with. Divided by their
mean, rare events would be: 1 in a hundred rows would be a count of 100, whose first steps make the
exponential overflow. The logarithm of the scale goes into the bias.

Where mean and scale come in parts, each part is merged with what has been seen (Chan, Golub and LeVeque 1983,
"Algorithms for Computing the Sample Variance"), but later rows count more: the t-th as t^3. So what a
stream began with is forgotten: a first value of a million adds 4 / n^4 times its square to the variance after
n rows, and not 1 / n times. What repeats leaves mean and scale as they are, to the last bit.
"""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..devices import memory
from ..devices.exact_sums import Terms, column_sums, rows_at_once, sum_of
from ..devices.placement import beside, is_on_device, module_of
from ..kernels.running.moments import HUGE, take_row
from ..kernels.running.rows import MOSTLY, ROUNDING
from ..network import Network
from .weights import kept_share

NARROW = 1e3
"""Targets whose mean is so many times their scale are more than float32 can tell apart."""


class Moments(NamedTuple):
    """Mean and spread of columns; float64 (n_columns,), in the host's memory."""

    mean: np.ndarray
    spread: np.ndarray
    """Standard deviation, with 1 / n."""
    density: np.ndarray
    """The part of a column that is not zero; 1 for dense ones, whatever they hold."""
    rows: float
    """Rows seen, or the sum of their weights."""

    @classmethod
    def of(cls, values: Any, weights: Any = None) -> "Moments":
        """Of (n, n_columns) numbers, dense or sparse, there or on a GPU; rows of weight 0 are left out."""
        unequal = None
        n: float = values.shape[0]
        if weights is not None:
            some = weights > 0
            if not bool(some.all()):
                values, weights = values[some], weights[some]
            n = sum_of(weights)
            # equal weights are none, to the last bit
            if bool((weights != weights[0]).any()):
                unequal = weights.astype(np.float64)
        if sparse.issparse(values):
            return cls(*_of_sparse(values, None if unequal is None else unequal / n), n)
        mean, spread = _of_dense(values, unequal, n)
        return cls(mean, spread, np.ones(len(mean)), n)

    def about_zero(self) -> "Moments":
        """What divides counts, and shifts none; columns that are all zero stay as they are."""
        mean = np.where(self.mean > 0, self.mean, 1.0)
        return self._replace(mean=np.zeros_like(mean), spread=mean + self.spread * (self.spread / mean))

    def merged(self, later: "Moments") -> "Moments":
        """With the rows that came later."""
        rows = self.rows + later.rows
        kept = kept_share(self.rows, rows)
        step = self.mean - later.mean
        # what is equal stays equal
        between = np.sqrt(kept * (1 - kept)) * np.abs(step)
        within = np.where(
            self.spread == later.spread,
            self.spread,
            np.hypot(np.sqrt(kept) * self.spread, np.sqrt(1 - kept) * later.spread),
        )
        return Moments(
            later.mean + kept * step,
            np.where(between == 0, within, np.hypot(within, between)),
            later.density + kept * (self.density - later.density),
            rows,
        )

    def with_row(self, row: np.ndarray, out: np.ndarray) -> "Moments | None":
        """`merged` with one dense row, which is written standardised; None if it is not of usual size."""
        kept = kept_share(self.rows, self.rows + 1.0)
        after = np.empty((3, len(row)))
        if not take_row(row, self.mean, self.spread, self.density, kept, after, out):
            return None
        return Moments(after[0], after[1], after[2], self.rows + 1.0)

    @property
    def is_constant(self) -> np.ndarray:
        """Whether a column has one value, up to rounding."""
        return self.spread <= ROUNDING * np.abs(self.mean)

    @property
    def shift(self) -> np.ndarray:
        """What is subtracted: the mean, but nothing from sparse columns."""
        return np.where(self.density >= MOSTLY, self.mean, 0.0)

    @property
    def scale(self) -> np.ndarray:
        """What is divided by: the standard deviation, or a sparse column's root mean square of what it holds.

        Infinite where a column is constant: it tells nothing, whatever comes in it later.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(
                self.density >= MOSTLY,
                self.spread,
                np.hypot(self.spread, self.mean) / np.sqrt(self.density),
            )
        return np.where(self.is_constant | ~(scale > 0), np.inf, scale)


def _of_dense(values: Any, weights: Any, total: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of columns; rows have float64 weights with a `total`, or None for 1.

    They have the same bits wherever the numbers lie, and in whatever order the rows come.
    """
    xp = module_of(values)
    n = len(values)
    lowest, highest = (memory.to_host(end).astype(float) for end in (values.min(axis=0), values.max(axis=0)))
    largest = np.maximum(np.abs(lowest), np.abs(highest))
    # a power of two, so that nothing is rounded; 2^1024 is none
    exponents = np.where(largest > HUGE, np.clip(np.frexp(largest)[1], 0, 1022), 0)
    unit = np.ldexp(1.0, -exponents)
    units = beside(values, unit) if exponents.any() else None

    def numbers(rows: slice, out: Any) -> Any:
        return values[rows] if units is None else xp.multiply(values[rows], units, out=out)

    def mean_of(terms: Terms, largest: np.ndarray, roughly: bool = False) -> np.ndarray:
        if weights is None:
            return column_sums(terms, values.shape, values, largest, n)

        def weighted(rows: slice, out: Any) -> Any:
            return xp.multiply(terms(rows, out), weights[rows, None], out=out)

        # what is largest may weigh next to nothing, and others would be lost beside such a bound
        bound = largest * float(weights.max()) if roughly else None
        return column_sums(weighted, values.shape, values, bound) / total

    def mean_about(middle: np.ndarray, power: int) -> np.ndarray:
        middles = beside(values, middle)

        def terms(rows: slice, out: Any) -> Any:
            xp.subtract(numbers(rows, out), middles, out=out)
            return out if power == 1 else xp.multiply(out, out, out=out)

        # rounding leaves differences, and their squares, in order
        furthest = np.maximum(highest * unit - middle, middle - lowest * unit)
        return mean_of(terms, furthest if power == 1 else furthest * furthest)

    # what is not finite is found, and named, where samples are checked
    with np.errstate(invalid="ignore", over="ignore"):
        mean = mean_of(numbers, largest * unit, roughly=True)
        if weights is not None:
            mean = mean + mean_about(mean, 1)  # rounded products make a constant's mean another number
        spread = np.sqrt(mean_about(mean, 2))
    return np.ldexp(mean, exponents), np.ldexp(spread, exponents)


def _of_sparse(values: Any, shares: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation, and the part that is not zero, of columns of a CSR matrix."""
    values = _canonical(values)
    n, n_columns = values.shape
    columns = values.indices
    share = np.full(values.nnz, 1 / n) if shares is None else np.repeat(shares, np.diff(values.indptr))
    data = values.data.astype(float)

    def sum_of(numbers: np.ndarray) -> np.ndarray:
        return np.bincount(columns, share * numbers, minlength=n_columns)

    is_full = np.bincount(columns, minlength=n_columns) == n
    density = np.where(is_full, 1.0, sum_of(np.ones(values.nnz)))
    zeros = np.maximum(1 - density, 0.0)
    mean = sum_of(data)
    mean = mean + sum_of(data - mean[columns]) - zeros * mean
    unit = np.maximum(1.0, np.abs(data).max(initial=0.0) / HUGE)
    squares = sum_of(((data - mean[columns]) / unit) ** 2) + zeros * (mean / unit) ** 2
    return mean, np.sqrt(squares) * unit, density


class Standardization(NamedTuple):
    """What stands before and behind an estimator's network; nothing where a part is None."""

    inputs: Moments | None = None
    targets: Moments | None = None
    of_counts: bool = False
    """Whether targets are only divided, and outputs are exponentials."""

    @classmethod
    def of(
        cls, X: Any, Y: Any, weights: Any, with_targets: bool, of_counts: bool = False
    ) -> "Standardization":
        """For samples to be trained with, of which Y is standardised only `with_targets`."""
        targets = Moments.of(Y, weights) if with_targets else None
        if targets is not None and of_counts:
            targets = targets.about_zero()
        return cls(Moments.of(X, weights), targets, of_counts)

    def with_more(self, X: Any, Y: Any, weights: Any) -> "Standardization":
        """With further samples."""
        if self.inputs is None or (weights is not None and not bool((weights > 0).any())):
            return self
        more = Standardization.of(X, Y, weights, self.targets is not None, self.of_counts)
        assert more.inputs is not None
        if self.targets is None or more.targets is None:
            return self._replace(inputs=self.inputs.merged(more.inputs))
        merged = self.inputs.merged(more.inputs), self.targets.merged(more.targets)
        return Standardization(*merged, self.of_counts)

    def with_row(self, X: np.ndarray, Y: np.ndarray) -> "tuple[Standardization, Any, Any] | None":
        """`with_more` for one dense row, and what `of_inputs` and `of_targets` then make of it.

        None for what takes the general way: counts, and numbers that are not of usual size.
        """
        if self.inputs is None:
            return self, X, Y
        inputs, targets = np.empty_like(X), Y
        of_inputs, of_targets = self.inputs.with_row(X[0], inputs[0]), self.targets
        if of_targets is not None:
            targets = np.empty(Y.shape)
            of_targets = None if self.of_counts else of_targets.with_row(Y[0], targets[0])
            if of_targets is None:
                return None
        if of_inputs is None:
            return None
        return Standardization(of_inputs, of_targets, self.of_counts), inputs, targets

    def of_inputs(self, X: Any) -> Any:
        """Standardised inputs in X's dtype, where X lies; a sparse X stays sparse."""
        if self.inputs is None:
            return X
        shift, scale = self.inputs.shift, self.inputs.scale
        if sparse.issparse(X):
            return _standardized_sparse(X, shift, scale)
        return _standardized(X, shift, scale)

    def of_targets(self, Y: Any) -> Any:
        """Standardised targets."""
        if self.targets is None:
            return Y
        return _standardized(Y.astype(float), self.targets.mean, self.targets.scale)

    def of_outputs(self, outputs: Any) -> Any:
        """Outputs in the units of the targets, in their dtype or in float64 where that is too coarse."""
        if self.targets is None:
            return outputs
        mean, scale = self.back
        raw = outputs * beside(outputs, scale) + beside(outputs, mean)
        return raw.astype(self.dtype_of_outputs(outputs.dtype), copy=False)

    @property
    def back(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of targets that are standardised; the scale of constant ones is 0."""
        assert self.targets is not None
        return self.targets.mean, np.where(np.isinf(self.targets.scale), 0.0, self.targets.scale)

    def dtype_of_outputs(self, dtype: np.dtype) -> np.dtype:
        """What `of_outputs` makes of outputs of a dtype."""
        if self.targets is None:
            return dtype
        mean, scale = self.back
        coarse = (np.abs(mean) > NARROW * scale).any() or np.abs(mean).max() + scale.max() > 1e30
        return np.dtype(np.float64) if coarse else dtype

    def folded(self, network: Network) -> Network:
        """A network that takes inputs and gives outputs as users have them; a copy, or the network itself."""
        if self.inputs is None:
            return network
        weights = [W.astype(float) for W in network.weights]
        biases = [b.astype(float) for b in network.biases]
        biases[0] -= (self.inputs.shift / self.inputs.scale) @ weights[0]
        weights[0] /= self.inputs.scale[:, None]
        if self.targets is not None and self.of_counts:
            biases[-1] += np.log(self.targets.scale)
        elif self.targets is not None:
            mean, scale = self.back
            weights[-1] *= scale
            biases[-1] = biases[-1] * scale + mean
        parameters = np.concatenate(
            [part.ravel() for pair in zip(weights, biases, strict=True) for part in pair]
        ).astype(network.dtype)
        return Network.of(
            network.architecture,
            parameters,
            init=network.init,
            random_state=copy.deepcopy(network.random_state),
            history=network.history,
        )

    def unfolded(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
        """Parameters of a network for standardised numbers, from those for numbers as users have them.

        Raises
        ------
        ValueError
            If a column or a target that was constant in training, and so is left out, is to have an effect.
        """
        assert self.inputs is not None
        W, b = ([part.astype(float) for part in parts] for parts in (weights, biases))
        left_out = np.isinf(self.inputs.scale)
        if W[0][left_out].any():
            column = int(np.flatnonzero(left_out & W[0].any(axis=1))[0])
            raise ValueError(
                f"coefs_[0][{column}] must be 0: the column was constant in training, and is left out with "
                "standardize=True."
            )
        b[0] += self.inputs.shift @ W[0]
        W[0] *= np.where(left_out, 1.0, self.inputs.scale)[:, None]
        if self.targets is not None and self.of_counts:
            b[-1] -= np.log(self.targets.scale)
        elif self.targets is not None:
            mean, scale = self.targets.mean, self.targets.scale
            constant = np.isinf(scale)
            if W[-1][:, constant].any() or (b[-1] - mean)[constant].any():
                raise ValueError(
                    "the last of coefs_ must be 0, and of intercepts_ the target's value, where the target "
                    "was constant in training, with standardize=True."
                )
            scale = np.where(constant, 1.0, scale)
            W[-1] /= scale
            b[-1] = (b[-1] - mean) / scale
        return np.concatenate([part.ravel() for pair in zip(W, b, strict=True) for part in pair])


def _standardized(values: Any, shift: np.ndarray, scale: np.ndarray) -> Any:
    """Dense numbers, worked out in float64 and given in their own dtype."""
    make = memory.empty if is_on_device(values) else np.empty
    standardized = make(values.shape, values.dtype)
    shift, scale = beside(values, shift), beside(values, scale)
    step = rows_at_once(values, values.shape[1])
    # what is infinite or not a number is found, and named, where samples are checked
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            standardized[rows] = (values[rows] - shift) / scale
    return standardized


def _standardized_sparse(values: Any, shift: np.ndarray, scale: np.ndarray) -> Any:
    """A CSR matrix; columns with a shift come to have all their rows."""
    values = _canonical(values)
    columns = values.indices
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values.copy()
        scaled.data = ((values.data - shift[columns]) / scale[columns]).astype(values.dtype)
        centred = np.flatnonzero(shift)
        if not len(centred):
            return scaled
        # zeros of centred columns, beside what the matrix holds
        place = np.full(values.shape[1], -1)
        place[centred] = np.arange(len(centred))
        rows = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
        held = place[columns] >= 0
        absent = np.ones((values.shape[0], len(centred)), bool)
        absent[rows[held], place[columns[held]]] = False
        rows, places = np.nonzero(absent)
        numbers = (-shift / scale)[centred[places]].astype(values.dtype)
        return type(values)(scaled + type(values)((numbers, (rows, centred[places])), values.shape))


def _canonical(values: Any) -> Any:
    """A CSR matrix that holds each number once; a copy if that has to be made so."""
    if values.has_canonical_format:
        return values
    values = values.copy()
    values.sum_duplicates()
    return values
