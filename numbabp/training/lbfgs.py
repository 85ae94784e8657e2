"""Training by all samples at once: SciPy's L-BFGS-B over the compiled gradient.

(Byrd, Lu, Nocedal and Zhu 1995, "A Limited Memory Algorithm for Bound Constrained Optimization", SIAM Journal
on Scientific Computing 16(5) 1190; there are no bounds here.) All is in float64, whatever the network's
dtype: line searches compare losses that differ in the last digits of a float32.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..devices.processor import one_blas_thread
from ..kernels import state
from ..kernels.minibatch.batch import BatchSamples, batch_layout, batch_samples, make_batch
from ..kernels.minibatch.gradient import mean_gradient
from ..kernels.sparse import sparse_samples
from ..options import Options
from ..samples import Samples

CHUNK = 256
"""Samples at a time, whose activations stay in the cache while gradients are added up."""
OPERATIONS_A_CALL = 2e8
"""Multiply-adds of a call of the kernel, some 20 ms, between which there is room for Ctrl-C."""
FALL = 2.2e-5
"""With scikit-learn's tol=1e-4 that is SciPy's least fall of 2.2e-9, as its perceptrons have it.

Without it a network of 64-100-10 with relu took 3000 iterations instead of 1900 to predict the same.
"""


class Objective:
    """The mean loss of all samples with an L2 penalty, and its gradient, for any parameters of a network.

    Parameters
    ----------
    architecture
        The network's.
    samples
        In the host's memory and float64; inputs may be a CSR matrix.
    l2
        Of the weights: l2/2 times the sum of their squares is added.
    """

    def __init__(self, architecture: Architecture, samples: Samples, l2: float) -> None:
        self._of, self._l2 = architecture, l2
        order = np.arange(samples.n)
        if samples.n_nonzeros is None:
            of_kernel: Any = state.Samples(samples.inputs, samples.targets, samples.weights, order)
        else:
            of_kernel = sparse_samples(samples.inputs, samples.targets, samples.weights, order)
        self._samples: BatchSamples = batch_samples(of_kernel)
        self._n = int(np.count_nonzero(samples.weights)) if samples.weights.size else samples.n
        options = Options(batch_size=samples.n)
        rows = min(CHUNK, samples.n)
        self._batch, gradient = make_batch(
            architecture.layout, self._samples, samples.n, options.rule, most=rows
        )
        n_parameters = architecture.n_parameters
        self._in_call = max(rows, int(OPERATIONS_A_CALL / (3 * n_parameters)))
        self._model = state.Model(
            np.empty(n_parameters),
            np.empty((0, n_parameters)),
            gradient,
            np.empty((3, 0)),
            np.empty(0),
            batch_layout(architecture.layout, rows, samples.n_nonzeros is not None),
            architecture.loss_code,
            level=architecture.quantile,
        )
        self.sample = -1
        """The first whose loss was not finite at the last parameters; -1 for none."""

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss, and its gradient in an array of its own; infinity and 0 where a sample's is not finite."""
        self.sample = -1
        self._model.parameters[:] = parameters
        total, gradient = 0.0, np.zeros_like(parameters)
        order = self._samples.order
        for start in range(0, order.size, self._in_call):
            total += self._add_part(order[start : start + self._in_call], gradient)
            if self.sample >= 0:
                return math.inf, np.zeros_like(parameters)
        gradient /= self._n
        pairs = zip(self._of.weights_of(parameters), self._of.weights_of(gradient), strict=True)
        for weights, of_weights in pairs:
            of_weights += self._l2 * weights
        return total / self._n + self.penalty(parameters), gradient

    def _add_part(self, order: np.ndarray, gradient: np.ndarray) -> float:
        """Sum of the losses of these samples, with the gradient of it added."""
        samples = self._samples._replace(order=order)
        position, no_shuffle = np.zeros(4, np.int64), np.empty(0, np.uint64)
        run = state.Run(position, no_shuffle, np.zeros(1), np.empty(0, np.int64), np.zeros((1, 2)))
        status = mean_gradient(self._model, samples, run, self._batch)
        if status == state.DIVERGED:
            self.sample = int(order[position[state.SAMPLE]])
        if status != state.PAUSED:  # or nothing there has a weight
            return 0.0
        weights = samples.weights
        gradient += self._model.gradient * (np.count_nonzero(weights[order]) if weights.size else order.size)
        return float(run.sums[0, state.LOSS])

    def penalty(self, parameters: np.ndarray) -> float:
        """What the loss holds of it."""
        return 0.5 * self._l2 * sum(float(np.vdot(w, w)) for w in self._of.weights_of(parameters))


def minimise(
    objective: Objective,
    parameters: np.ndarray,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    callback: Callable[[np.ndarray, float], None],
) -> str:
    """Lower the loss from `parameters` on, iteration by iteration.

    Parameters
    ----------
    objective
        Finite at `parameters`.
    parameters
        Float64 (n_parameters,); not changed.
    max_iter, max_fun
        Most iterations, and most evaluations of the objective.
    tol
        It ends where no entry of the gradient is larger in size, or where an iteration lowers the loss by
        less than `FALL` tol of it.
    callback
        Called after every iteration with its parameters and their loss, with the penalty.

    Returns
    -------
    str
        Why it ended before that, or "".
    """
    from scipy.optimize import minimize

    present = math.nan

    def guarded(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal present
        value, gradient = objective(parameters)
        if math.isfinite(value):
            present = value if math.isnan(present) else present
            return value, gradient
        # a trial step that goes too far, as where an exponential overflows; a line search can't interpolate
        # infinity, but shortens a step that is somewhat worse than where it began
        return present + max(1.0, abs(present)), gradient

    def keep(intermediate_result: Any) -> None:
        nonlocal present
        present = float(intermediate_result.fun)
        callback(intermediate_result.x, present)

    # SciPy's own products are of vectors: beside another busy process its threads waited for each other, and
    # an iteration of 64-100-10 took ten times as long
    options = {"maxiter": max_iter, "maxfun": max_fun, "gtol": tol, "ftol": FALL * tol}
    with one_blas_thread():
        result = minimize(guarded, parameters, method="L-BFGS-B", jac=True, callback=keep, options=options)
    return "" if result.status == 0 else str(result.message)
