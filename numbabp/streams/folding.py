"""Networks for inputs as users have them, from those that are trained on standardised ones, and back.

With x' = (x - m) / s in front, z = x' W + b is x (W / s) + (b - (m / s) W).
"""

import numpy as np

from ..architecture import Architecture
from ..compiler.arrays import aligned_zeros
from ..training.state import Inner, RuleState, Statistics


def folded(architecture: Architecture, inner: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Parameters for inputs as they are: of a constant column 0, of one that was never seen as they were."""
    outer = inner.copy()
    scale = np.where(statistics.scale > 0, statistics.scale, np.where(statistics.total > 0, np.inf, 1.0))
    W, b = (parts[0].astype(float) for parts in _layers(architecture, inner))
    weights, biases = _layers(architecture, outer)
    biases[0][:] = b - (statistics.mean / scale) @ W
    weights[0][:] = W / scale[:, None]
    return outer


def unfolded(architecture: Architecture, outer: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Parameters for standardised inputs, from those for inputs as they are; the inverse of `folded`."""
    inner = aligned_zeros(outer.size, outer.dtype)
    inner[:] = outer
    scale = np.where(statistics.scale > 0, statistics.scale, 1.0)
    W, b = (parts[0].astype(float) for parts in _layers(architecture, outer))
    weights, biases = _layers(architecture, inner)
    biases[0][:] = b + statistics.mean @ W
    weights[0][:] = W * scale[:, None]
    return inner


def _layers(
    architecture: Architecture, parameters: np.ndarray
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    return architecture.weights_of(parameters), architecture.biases_of(parameters)


def begun(architecture: Architecture, parameters: np.ndarray, last: Inner | None, update_rule: str) -> Inner:
    """What a stream begins with: what the last one has left, as long as it belongs to these parameters."""
    if last is None:
        inner = aligned_zeros(parameters.size, parameters.dtype)
        inner[:] = parameters
        return Inner(inner, RuleState.new(update_rule, inner), Statistics.new(architecture.n_inputs))
    statistics = last.statistics.copied()
    if np.array_equal(folded(architecture, last.parameters, statistics), parameters):
        inner = aligned_zeros(parameters.size, parameters.dtype)
        inner[:] = last.parameters
        state = RuleState.going_on(last.state, update_rule, inner)
        own = RuleState(state.update_rule, state.moments.copy(), state.steps.copy())
        return Inner(inner, own, statistics)
    inner = unfolded(architecture, parameters, statistics)  # they were trained or assigned to since
    return Inner(inner, RuleState.new(update_rule, inner), statistics)
