"""The least that a GPU has to do: whether it does tells whether there is one to be used."""

from typing import Any

from ..compiler.cuda import kernel

SENT = 21
"""What the kernel is given."""


@kernel
def double(value: Any) -> None:
    """Twice the only element of an array."""
    value[0] = 2 * value[0]
