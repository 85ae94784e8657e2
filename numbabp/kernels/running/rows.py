"""Running standardisation of one sample, in its own memory: what a stream's rows go through one by one.

An estimator packs a row into `memory` and calls `standardise`, which leaves the network's inputs. `memory` is
one float64 array, since each further argument of a call costs time: HEADER numbers, then a row of n numbers
for each of `VALUES` and its kin, one an input.

The t-th row of a feature has the share 1 - ((t - 1) / t)^4 in its mean and variance, which are those of
weighted rows of which the t-th weighs as t^3 (West 1979, "Updating Mean and Variance Estimates: An Improved
Method", Communications of the ACM 22), as in `numbabp.estimators.standardizing`: what a stream began with is
forgotten, a first value of a million adds 1 / t^4 times its square to the variance. Weights of rows take the
place of counts.
"""

import math
from typing import Any

from ...compiler.compiling import scalar_function, short_kernel

# The header: the sum of the weights of all rows so far; the weight of this row, 0 to look only; the running
# mean of the squared length of what a network gets, and what that was when the caller was last told; the
# target, its mean and variance, and the standardised target; and how large a feature may be.
(
    TOTAL,
    WEIGHT,
    SQUARES,
    TOLD,
    TARGET,
    TARGET_MEAN,
    TARGET_VARIANCE,
    STANDARD_TARGET,
    LIMIT,
    HEADER,
) = range(10)
# Rows behind it: what came (NaN where nothing did), mean and variance where something did, the sum of the
# weights of these rows, TOTAL before the first of them, and 1 for inputs that stay as they are.
VALUES, MEANS, VARIANCES, WEIGHTS, SINCE, PLAIN = range(6)
ROWS = 6

# What `standardise` returns, if not the number of an input that is larger than LIMIT, or how many there are,
# for a target larger than HIGHEST; then nothing has changed.
DONE, NEW_SQUARES = -1, -2
HIGHEST = 1e150
"""Squares of larger numbers overflow."""
MOSTLY = 0.5
"""A feature that came in this part of the rows since its first one, and more, is centred, zeros too,"""
ALWAYS = 1 - 1e-9
"""and a constant if it came in this part of them, up to rounding."""
ROUNDING = 10 * 2.0**-52
"""A spread of so many times the mean is none."""
CHANGED = 0.01
"""Relative change of SQUARES that is told."""


@scalar_function
def kept_share(before: Any, weight: Any) -> Any:
    """Share that rows which weighed `before` keep beside a row of this weight."""
    kept = before / (before + weight)
    kept *= kept
    return kept * kept


@scalar_function
def spread_of(mean: Any, variance: Any) -> Any:
    """Standard deviation; 0 for a constant, up to rounding."""
    spread = math.sqrt(variance)
    return 0.0 if spread <= ROUNDING * abs(mean) else spread


@scalar_function
def refused(memory: Any, n: Any) -> int:
    """Number of the input that is too large, n for the target, DONE for none; missing values are NaN."""
    for i in range(n):
        if abs(memory[HEADER + i]) > memory[LIMIT]:
            return i
    return DONE if abs(memory[TARGET]) <= HIGHEST else n  # which must not be NaN


@scalar_function
def learn_feature(memory: Any, at: Any, n: Any, value: Any, weight: Any) -> None:
    """Mean, variance and weight of one feature with another value; its column begins at `at`."""
    mean, variance = memory[at + MEANS * n], memory[at + VARIANCES * n]
    seen = memory[at + WEIGHTS * n]
    if seen == 0:
        memory[at + SINCE * n] = memory[TOTAL]
    kept = kept_share(seen, weight)
    step = value - mean
    memory[at + MEANS * n] = value - kept * step  # what is equal stays equal
    memory[at + VARIANCES * n] = kept * (variance + (1.0 - kept) * step * step)
    memory[at + WEIGHTS * n] = seen + weight


@scalar_function
def standardised(memory: Any, at: Any, n: Any, value: Any, total: Any) -> Any:
    """One value in units of its feature."""
    mean, variance = memory[at + MEANS * n], memory[at + VARIANCES * n]
    spread = spread_of(mean, variance)
    part = memory[at + WEIGHTS * n] / (total - memory[at + SINCE * n])  # of the rows since its first one
    if part < MOSTLY or (spread == 0 and part < ALWAYS):
        spread = math.sqrt(variance + mean * mean)
        mean = 0.0
    return 0.0 if spread == 0 else (value - mean) / spread


@scalar_function
def learn_row(memory: Any, squares: Any) -> int:
    """Weights, the squared length, and the target."""
    weight = memory[WEIGHT]
    kept = kept_share(memory[TOTAL], weight)
    memory[TOTAL] += weight
    memory[SQUARES] = squares - kept * (squares - memory[SQUARES])
    step = memory[TARGET] - memory[TARGET_MEAN]
    memory[TARGET_MEAN] = memory[TARGET] - kept * step
    memory[TARGET_VARIANCE] = kept * (memory[TARGET_VARIANCE] + (1.0 - kept) * step * step)
    spread = spread_of(memory[TARGET_MEAN], memory[TARGET_VARIANCE])
    memory[STANDARD_TARGET] = 0.0 if spread == 0 else (memory[TARGET] - memory[TARGET_MEAN]) / spread
    if abs(memory[SQUARES] - memory[TOLD]) <= CHANGED * memory[TOLD]:
        return DONE
    memory[TOLD] = memory[SQUARES]
    return NEW_SQUARES


@short_kernel
def standardise(memory: Any, inputs: Any) -> int:
    """Inputs of a network T (n,) from the values in memory; with a weight, learn from these beforehand.

    Whatever is missing is 0: the mean of a feature that mostly comes. Of one that mostly doesn't, or is the
    same wherever it comes, as words are, presence is what tells: it isn't centred, but divided by its root
    mean square.
    """
    n = inputs.size
    real = inputs.dtype.type
    status = refused(memory, n)
    if status != DONE:
        return status
    weight = memory[WEIGHT]
    total = memory[TOTAL] + weight
    squares = 1.0
    for i in range(n):
        at = HEADER + i
        value = memory[at]
        if value != value:
            inputs[i] = real(0)
        elif memory[at + PLAIN * n] != 0:
            inputs[i] = real(value)
            squares += value * value
        else:
            if weight > 0:
                learn_feature(memory, at, n, value, weight)
            inputs[i] = real(standardised(memory, at, n, value, total))
            squares += 1.0
    return learn_row(memory, squares) if weight > 0 else DONE
