"""What goes on from one call of `fit` to the next, as files of networks hold it, and back.

Facts go into JSON and arrays into tensors, as the format has no other way; what is read is checked before it
is used, since a file may come from anywhere.
"""

from typing import Any, NamedTuple

import numpy as np

from ...architecture import Architecture
from ...history import History, StreamHistory
from ...kernels.update_rules import N_MOMENTS
from ...storage import Kept
from ..state import Inner, RuleState, Statistics
from . import random_states

HISTORY = "history."
"""What the names of a history's arrays begin with."""
LEARNING_RATE = "learning_rate"
N_SAMPLES = "n_samples"
"""Of a stream."""
INNER = "inner"
"""Of what a standardised stream goes on with: its fact, and what the names of its arrays begin with."""
STATISTICS = ("total", "mean", "squares")


class Going(NamedTuple):
    """What a network goes on with."""

    random_state: np.random.RandomState
    rule_state: RuleState | None
    history: History | None
    inner: Inner | None = None


def kept_of(going: Going) -> Kept:
    """As a file holds it.

    Raises
    ------
    ValueError
        For moments that are not finite, or a random state that a file can't hold.
    """
    facts: dict[str, Any] = {"update_rule": None, "steps": 0, "history": None}
    arrays: dict[str, np.ndarray] = {}
    own = random_states.described(going.random_state, random_states.OF_SAVE)
    facts["random_state"], arrays[random_states.KEY] = own
    if going.rule_state is not None:
        state = going.rule_state
        state.check_finite()
        facts["update_rule"], facts["steps"] = state.update_rule, int(state.steps)
        arrays["moments"] = np.ascontiguousarray(state.moments)
    if going.history is not None:
        history = going.history
        facts["history"] = {
            "names": list(history),
            "stop_reason": history.stop_reason,
            **({"digest": history.digest} if history.digest else {}),
            "seconds": float(history.seconds),
        }
        arrays |= {HISTORY + name: values for name, values in history.items()}
        arrays[HISTORY + LEARNING_RATE] = history.learning_rate
        if isinstance(history, StreamHistory):
            arrays[HISTORY + N_SAMPLES] = history.n_samples
    if going.inner is not None:
        inner = going.inner
        inner.state.check_finite()
        facts[INNER] = {"update_rule": inner.state.update_rule, "steps": int(inner.state.steps)}
        arrays |= {f"{INNER}.{name}": getattr(inner.statistics, name) for name in STATISTICS}
        arrays[f"{INNER}.parameters"] = inner.parameters
        arrays[f"{INNER}.moments"] = np.ascontiguousarray(inner.state.moments)
    return Kept(facts, arrays)


def going_of(kept: Kept, architecture: Architecture) -> Going:
    """From what a file holds.

    Raises
    ------
    ValueError
        If it does not belong to the architecture, is not whole, or has moments that are not finite.
    """
    facts, arrays = kept
    if set(facts) - {INNER} != {"update_rule", "steps", "history", "random_state"}:
        raise ValueError("what it keeps for training is not update_rule, steps, history and random_state")
    generator = np.random.RandomState()
    random_states.put_back(generator, facts["random_state"], arrays.pop(random_states.KEY, None))
    state, history = _rule_state(facts, arrays, architecture), _history(facts["history"], arrays)
    inner = _inner(facts[INNER], arrays, architecture) if INNER in facts else None
    if arrays:
        raise ValueError(f"tensor {next(iter(arrays))!r} kept for training is too many")
    if isinstance(history, StreamHistory) and inner is not None:
        history.inputs = inner.statistics.copied()
    return Going(generator, state, history, inner)


def kept_of_many(random_state: np.random.RandomState, state: RuleState | None) -> Kept:
    """Likewise of a population, but for its history, which may be larger than its networks."""
    facts: dict[str, Any] = {"update_rule": None if state is None else state.update_rule}
    arrays: dict[str, np.ndarray] = {}
    own = random_states.described(random_state, random_states.OF_SAVE)
    facts["random_state"], arrays[random_states.KEY] = own
    if state is not None:
        state.check_finite()
        arrays["moments"], arrays["steps"] = np.ascontiguousarray(state.moments), state.steps
    return Kept(facts, arrays)


def going_of_many(kept: Kept, architecture: Architecture, n_networks: int) -> Going:
    """Likewise of a population; there is no history."""
    facts, arrays = kept
    if set(facts) != {"update_rule", "random_state"}:
        raise ValueError("what it keeps for training is not update_rule and random_state")
    generator = np.random.RandomState()
    random_states.put_back(generator, facts["random_state"], arrays.pop(random_states.KEY, None))
    if facts["update_rule"] is None:
        return Going(generator, None, None)
    moments = _moments(facts["update_rule"], arrays, architecture, (n_networks,))
    steps = arrays.pop("steps", None)
    if steps is None or steps.shape != (n_networks,) or steps.dtype != np.int64 or (steps < 0).any():
        raise ValueError("its steps are not one number for each network")
    state = RuleState(facts["update_rule"], moments, steps)
    state.check_finite()
    return Going(generator, state, None)


def _rule_state(
    facts: dict[str, Any], arrays: dict[str, np.ndarray], architecture: Architecture
) -> RuleState | None:
    rule, steps = facts["update_rule"], facts["steps"]
    if rule is None:
        return None
    if type(steps) is not int or not 0 <= steps < 2**63:
        raise ValueError(f"its {steps!r} steps are no number of steps")
    state = RuleState(rule, _moments(rule, arrays, architecture, ()), np.array(steps, np.int64))
    state.check_finite()
    return state


def _inner(facts: Any, arrays: dict[str, np.ndarray], architecture: Architecture) -> Inner:
    if not isinstance(facts, dict) or set(facts) != {"update_rule", "steps"} or facts["update_rule"] is None:
        raise ValueError("what it keeps for standardised streams lacks update_rule or steps")
    own = {
        name.removeprefix(f"{INNER}."): arrays.pop(name) for name in list(arrays) if name.startswith(INNER)
    }
    state = _rule_state(facts, own, architecture)
    shapes = {"parameters": (architecture.dtype, (architecture.n_parameters,))}
    shapes |= dict.fromkeys(STATISTICS, (np.dtype(float), (architecture.n_inputs,)))
    if {name: (array.dtype, array.shape) for name, array in own.items()} != shapes or state is None:
        raise ValueError("what it keeps for standardised streams is not whole")
    if not all(np.isfinite(array).all() for array in own.values()):
        raise ValueError("what it keeps for standardised streams must be finite")
    return Inner(own["parameters"], state, Statistics(*(own[name] for name in STATISTICS)))


def _moments(
    rule: Any, arrays: dict[str, np.ndarray], architecture: Architecture, networks: tuple[int, ...]
) -> np.ndarray:
    if not isinstance(rule, str) or rule not in N_MOMENTS:
        raise ValueError(f"its update rule {rule!r} is none of numbabp's")
    shape = (*networks, N_MOMENTS[rule], architecture.n_parameters)
    moments = arrays.pop("moments", None)
    if moments is None or moments.shape != shape or moments.dtype != architecture.dtype:
        raise ValueError(f"its moments are not {architecture.dtype} of shape {shape}, as {rule} has them")
    return moments


def _history(facts: Any, arrays: dict[str, np.ndarray]) -> History | None:
    if facts is None:
        return None
    is_whole = (
        isinstance(facts, dict)
        and set(facts) - {"digest"} == {"names", "stop_reason", "seconds"}
        and isinstance(facts.get("digest"), str | None)
        and isinstance(facts["names"], list)
        and all(isinstance(name, str) for name in facts["names"])
        and "loss" in facts["names"]
        and isinstance(facts["stop_reason"], str)
        and isinstance(facts["seconds"], float)
    )
    if not is_whole:
        raise ValueError("its history lacks names, stop_reason or seconds")
    columns = {name: arrays.pop(HISTORY + name, None) for name in (*facts["names"], LEARNING_RATE)}
    shapes = {None if values is None else (values.dtype, values.shape) for values in columns.values()}
    if None in shapes or len(shapes) > 1:
        raise ValueError("its history's columns are not of one length")
    rates: Any = columns.pop(LEARNING_RATE)
    metrics: Any = columns
    n_samples = arrays.pop(HISTORY + N_SAMPLES, None)
    others: Any = {"stop_reason": facts["stop_reason"], "seconds": facts["seconds"]}
    if n_samples is None:
        return History(metrics, learning_rate=rates, digest=facts.get("digest"), **others)
    is_sound = n_samples.dtype == np.int64 and n_samples.shape == rates.shape
    if not is_sound or (np.diff(n_samples, prepend=0) <= 0).any():
        raise ValueError("its history does not count the samples of a stream")
    return StreamHistory(metrics, learning_rate=rates, n_samples=n_samples, **others)
