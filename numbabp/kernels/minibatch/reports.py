"""Losses as scikit-learn reports them, of outputs whose activation is canonical.

An output layer of sigmoid, softmax, exp or identity goes with the binary or categorical cross-entropy, the
deviance of Poisson's distribution or the squared error: dLoss/dz is the output less the target.
"""

import math
from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ...functions import activations as act
from ..layout import ACTIVATION, FAN_OUT, OUTPUTS
from ..state import EPOCH, LOSS, WEIGHT


@scalar_function
def _x_log_y(x: Any, y: Any) -> float:
    """X log y, and 0 where x is 0."""
    return 0.0 if x == 0 else x * math.log(y)


@scalar_function
def _loss(code: Any, a: Any, y: Any, epsilon: Any, n: Any) -> float:
    """Part of one of n outputs in a sample's loss; probabilities are kept `epsilon` away from 0 and 1."""
    if code == act.IDENTITY:
        return 0.5 * (y - a) * (y - a) / n
    if code == act.EXP:
        return _x_log_y(y, y / a) - y + a
    p = min(max(a, epsilon), 1 - epsilon) if a == a else a
    loss = -_x_log_y(y, p)
    return loss - _x_log_y(1 - y, 1 - p) if code == act.SIGMOID else loss


@subroutine
def observe_canonical(model: Any, samples: Any, run: Any, s: Any, weight: Any, a: Any, delta: Any) -> None:
    """Loss of sample s on record, finite or not, and dLoss/dz of its outputs."""
    last = len(model.layout) - 1
    code, out, n = model.layout[last, ACTIVATION], model.layout[last, OUTPUTS], model.layout[last, FAN_OUT]
    epsilon = np.float64(np.finfo(a.dtype).eps)
    loss = 0.0
    for k in range(n):
        y = samples.targets[s, k]
        loss += _loss(code, np.float64(a[out + k]), np.float64(y), epsilon, n)
        delta[out + k] = a[out + k] - y
    sums = run.sums[run.position[EPOCH]]
    sums[LOSS] += weight * loss
    sums[WEIGHT] += weight
