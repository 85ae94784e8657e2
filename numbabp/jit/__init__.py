"""Networks within functions that you compile with Numba: what `Network.compiled` returns learns there.

Nothing of Python is called and nothing allocated, and functions compiled with ``cache=True`` are cached with
the steps. In `prange` each thread takes a learner of its own from a `numba.typed.List` of them. Such a call
from Python takes some 20 us, so let it learn much. Each function takes a learner, and x,
any array of one dimension or tuple of numbers; y is a number for a network with one output, an array or tuple
of numbers, or with categorical cross-entropy the index of a class, an integer.

An x or y of another length is a ValueError, and so is one that is not finite; a loss that is not finite is a
`DivergenceError`. Nothing has been changed then.

>>> import numba, numpy as np, numbabp as nbp
>>> from numbabp import jit
>>> @numba.njit
... def learn(learner, X, y):
...     for i in range(len(X)):
...         jit.step(learner, X[i], y[i])
>>> X, y = np.random.RandomState(0).standard_normal((1000, 2)), np.ones(1000)
>>> net = nbp.Network((2, 3, 1), random_state=0)
>>> learn(net.compiled(learning_rate=0.1), X, y)
>>> bool(abs(net.predict(X) - 1).max() < 0.1)
True
"""

from typing import Any

from ..kernels.online import told

__all__ = ["forward", "gradient", "step"]


@told.of_learner(told.look)
def forward(learner: Any, x: Any, out: Any) -> None:
    """Outputs for one sample, into `out`, an array of shape (n_outputs,)."""
    told.look(learner, x, out)


@told.of_learner(told.learn)
def step(learner: Any, x: Any, y: Any, sample_weight: Any = 1.0) -> float:
    """Learn from one sample; `sample_weight` >= 0 is a factor of its gradient, and with 0 nothing is learnt.

    Returns
    -------
    float
        The loss before the update, without the weight.
    """
    return told.learn(learner, x, y, sample_weight)


@told.of_learner(told.differentiate)
def gradient(learner: Any, x: Any, y: Any, out: Any) -> float:
    """Gradient of the loss of one sample with respect to all parameters; nothing is learnt.

    Parameters
    ----------
    out : ndarray of shape (n_parameters,)
        Where to put it, as `Network.parameters` lie; of the network's dtype.

    Returns
    -------
    float
        The loss.
    """
    return told.differentiate(learner, x, y, out)
