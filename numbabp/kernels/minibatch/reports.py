"""Losses as scikit-learn reports them, of outputs whose activation is canonical.

An output layer of sigmoid, softmax, exp or identity goes with the binary or categorical cross-entropy, the
deviance of Poisson's distribution or the squared error: dLoss/dz is the output less the target.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ...functions import activations as act
from ...functions.elementary import log
from ..layout import ACTIVATION, FAN_OUT, OUTPUTS
from ..state import EPOCH, LOSS, WEIGHT


@scalar_function
def _cross_entropy(p: Any, y: Any, epsilon: Any) -> float:
    """-y log p, with p kept `epsilon` away from 0 and 1."""
    if y == 0:
        return 0.0
    p = np.float64(p)
    return -y * log(min(max(p, epsilon), 1 - epsilon) if p == p else p)


@scalar_function
def _deviance(a: Any, y: Any) -> float:
    """Half of Poisson's, for a mean of a."""
    a = np.float64(a)
    return a - y + (0.0 if y == 0 else y * log(y / a))


@subroutine
def observe_canonical(model: Any, samples: Any, run: Any, s: Any, weight: Any, a: Any, delta: Any) -> None:
    """Loss of sample s on record, finite or not, and dLoss/dz of its outputs."""
    last = len(model.layout) - 1
    code, out, n = model.layout[last, ACTIVATION], model.layout[last, OUTPUTS], model.layout[last, FAN_OUT]
    epsilon = np.float64(np.finfo(a.dtype).eps)
    loss = 0.0
    for k in range(n):
        y = samples.targets[s, k]
        delta[out + k] = a[out + k] - y
        if code == act.SOFTMAX or code == act.SIGMOID:
            loss += _cross_entropy(a[out + k], y, epsilon)
            if code == act.SIGMOID:
                loss += _cross_entropy(1 - np.float64(a[out + k]), 1 - y, epsilon)
        elif code == act.EXP:
            loss += _deviance(a[out + k], y)
        else:
            residual = np.float64(delta[out + k])
            loss += 0.5 * residual * residual / n
    sums = run.sums[run.position[EPOCH]]
    sums[LOSS] += weight * loss
    sums[WEIGHT] += weight
