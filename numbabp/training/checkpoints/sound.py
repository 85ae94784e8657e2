"""Whether a run can have come to where a checkpoint says that it stands: kernels check nothing of that."""

import math
from typing import Any

import numpy as np

from ...checks.finite import all_finite
from ...kernels.state import BATCH, EPOCH, SAMPLE, STEP
from .files import CheckpointError
from .standing import Standing, take


def check_sound(found: Standing, n_samples: int) -> None:
    """Of one network's run, before anything is changed.

    Raises
    ------
    CheckpointError
        For what no run has written; a file may come from anywhere.
    """
    facts, arrays = found.facts, found.arrays
    try:
        position = take(arrays, "position", np.zeros(4, np.int64))
        order = take(arrays, "order", np.zeros(n_samples, np.int64))
    except ValueError as error:
        raise CheckpointError(f"the checkpoint can't be gone on with: its {error}.") from None
    for name in ("sums", "learning_rates", "validation"):
        if name not in arrays:
            raise CheckpointError(f"the checkpoint lacks {name!r}: resume=False begins anew.")
    epoch, sample = int(position[EPOCH]), int(position[SAMPLE])
    rows = arrays["sums"], arrays["learning_rates"]
    n_watched, seconds, reason = facts["n_watched"], facts["seconds"], facts["stop_reason"]
    problems = {
        "position": (position < 0).any() or sample >= n_samples or max(position[[STEP, BATCH]]) >= 2**62,
        "order": not is_permutation(order),
        "sums": any(row.dtype != np.float64 or not epoch <= len(row) <= epoch + 1 for row in rows),
        "validation": arrays["validation"].ndim != 2 or len(arrays["validation"]) > epoch,
        "n_watched": not is_number(n_watched, epoch),
        "seconds": not isinstance(seconds, float) or not 0 <= seconds < math.inf,
        "stop_reason": not isinstance(reason, str | None),
        "random_states": not isinstance(facts.get("random_states", {}), dict),
    }
    for name in ("parameters", "moments", "best_parameters"):
        problems[name] = name in arrays and not all_finite(arrays[name])
    for name, is_one in problems.items():
        if is_one:
            raise CheckpointError(f"the checkpoint can't be gone on with: no run has such a {name!r}.")


def check_population_sound(found: Standing, n_networks: int, epochs: int) -> None:
    """Likewise, of what a population has of all its networks; its engines look at what is theirs."""
    facts, arrays = found.facts, found.arrays
    for name in ("n_epochs", "stopped", "steps", "left", "diverged", "parameters", "moments"):
        if name not in arrays:
            raise CheckpointError(f"the checkpoint lacks {name!r}: resume=False begins anew.")
    diverged = arrays["diverged"]
    problems = {
        **{name: not are_numbers(arrays[name], (n_networks,), epochs) for name in ("n_epochs", "stopped")},
        "steps": not are_numbers(arrays["steps"], (n_networks,), 2**62),
        "left": arrays["left"].shape != (n_networks,),
        "diverged": diverged.shape[1:] != (4,) or not ((diverged >= 0) & (diverged < 2**62))[:, :3].all(),
        "parameters": not all_finite(arrays["parameters"]),
        "moments": not all_finite(arrays["moments"]),
        "turn": not is_number(facts["turn"], n_networks),
        "order_seed": not is_number(facts["order_seed"], 2**64 - 1),
        "seconds": not isinstance(facts["seconds"], float),
        "engine": not isinstance(facts["engine"], dict | None),
        "parts": not isinstance(facts["parts"], dict),
    }
    for name, is_one in problems.items():
        if is_one:
            raise CheckpointError(f"the checkpoint can't be gone on with: no run has such a {name!r}.")


def are_numbers(array: np.ndarray, shape: tuple[int, ...], most: int) -> bool:
    """Whether they are whole numbers from 0 up to the most, in an array of this shape."""
    is_of_kind = array.dtype == np.int64 and array.shape == shape
    return is_of_kind and bool(((array >= 0) & (array <= most)).all())


def is_permutation(order: np.ndarray) -> bool:
    """Whether it has each of the numbers from 0 on once."""
    return bool((np.sort(order) == np.arange(order.size)).all())


def is_number(value: Any, most: int) -> bool:
    """Whether it is a whole number from 0 up to the most."""
    return type(value) is int and 0 <= value <= most
