"""Running means and variances of a stream's inputs, by which they are standardised on their way.

Row by row, so that it does not matter how the stream is cut: each row is taken into the statistics, and then
standardised by them (Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares and Products";
with weights West 1979, "Updating Mean and Variance Estimates: An Improved Method").
"""

from typing import Any

import numpy as np

from ...compiler.compiling import kernel


@kernel
def standardize_rows(values: Any, weights: Any, total: Any, mean: Any, squares: Any, out: Any) -> None:
    """Take rows into the statistics, one after the other, and write them standardised.

    Parameters
    ----------
    values
        float64 (n, n_columns)
    weights
        T (n,), or (0,) where every row weighs 1.
    total, mean, squares
        See `training.state.Statistics`; changed in place.
    out
        T (n, n_columns)
    """
    real = out.dtype.type
    n, n_columns = values.shape
    seen = total[0]
    for i in range(n):
        weight = np.float64(weights[i]) if weights.size > 0 else 1.0
        if weight > 0:
            seen += weight
            share = weight / seen
            left = weight * (1.0 - share)
            for j in range(n_columns):
                step = values[i, j] - mean[j]
                mean[j] += share * step
                squares[j] += left * step * step
        root = np.sqrt(seen)
        for j in range(n_columns):
            z = (values[i, j] - mean[j]) * (root / np.sqrt(squares[j]))
            out[i, j] = real(z if squares[j] > 0 else 0.0)
    for j in range(n_columns):
        total[j] = seen


@kernel
def fill_rows(
    values: Any, weights: Any, total: Any, mean: Any, squares: Any, out: Any, standardize: Any
) -> None:
    """The same where values may be missing, as NaN: the column's mean so far stands in for them.

    Without `standardize` the others are written as they are.
    """
    real = out.dtype.type
    n, n_columns = values.shape
    for i in range(n):
        weight = np.float64(weights[i]) if weights.size > 0 else 1.0
        for j in range(n_columns):
            value = values[i, j]
            if np.isnan(value):
                value = mean[j]
            elif weight > 0:
                total[j] += weight
                share = weight / total[j]
                step = value - mean[j]
                mean[j] += share * step
                squares[j] += weight * (1.0 - share) * step * step
            if standardize:
                z = (value - mean[j]) * np.sqrt(total[j] / squares[j])
                value = z if squares[j] > 0 else 0.0
            out[i, j] = real(value)
