"""NumPy's random states as files hold them: an array and facts that JSON takes, and no pickle."""

from typing import Any

import numpy as np

KEY = "random_state"
"""Name of the array: the Mersenne Twister's key, uint32 (624,)."""
OF_SAVE = "training_state=False saves without it."
OF_CHECKPOINT = (
    "Make what is trained, and call fit, with a seed or a RandomState of one as random_state, or leave out "
    "the checkpoint."
)
"""What errors advise."""


def described(
    generator: np.random.RandomState, advice: str = OF_CHECKPOINT
) -> tuple[dict[str, Any], np.ndarray]:
    """Facts and the array of a generator's state.

    Raises
    ------
    ValueError
        If it is not the Mersenne Twister, which a RandomState is unless it was made of something else; it
        ends with the `advice`.
    """
    state: Any = generator.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise ValueError(
            f"random_state is a {state['bit_generator']}; files keep the Mersenne Twister, NumPy's MT19937, "
            f"that a RandomState of a seed is. {advice}"
        )
    facts = {
        "position": int(state["state"]["pos"]),
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }
    return facts, np.asarray(state["state"]["key"], np.uint32).copy()


def put_back(generator: np.random.RandomState, facts: Any, key: Any) -> None:
    """Bring a generator to a state that `described` told.

    Raises
    ------
    ValueError
        If it is no such state.
    """
    is_whole = (
        isinstance(facts, dict)
        and set(facts) == {"position", "has_gauss", "gauss"}
        and type(facts["position"]) is int
        and 0 <= facts["position"] <= 624
        and facts["has_gauss"] in (0, 1)
        and isinstance(facts["gauss"], float)
        and isinstance(key, np.ndarray)
        and key.dtype == np.uint32
        and key.shape == (624,)
    )
    if not is_whole:
        raise ValueError("its random state is not one of NumPy's Mersenne Twister")
    generator.set_state(
        {
            "bit_generator": "MT19937",
            "state": {"key": key, "pos": facts["position"]},
            "has_gauss": facts["has_gauss"],
            "gauss": facts["gauss"],
        }
    )
