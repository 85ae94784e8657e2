"""Functions of compiled kernels, one for each layer or part, as one function."""

from collections.abc import Callable, Sequence
from typing import Any

from ....compiler.compiling import scalar_function


def chain(functions: Sequence[Callable[..., None]]) -> Callable[..., None]:
    """A function for the compiler that calls functions of three arguments in turn."""
    first, *others = functions
    if not others:
        return first
    rest = chain(others)

    @scalar_function
    def both(x: Any, y: Any, z: Any) -> None:
        first(x, y, z)
        rest(x, y, z)

    return both


def chain_of_sums(functions: Sequence[Callable[..., float]]) -> Callable[..., float]:
    """The same of functions whose results are added."""
    first, *others = functions
    if not others:
        return first
    rest = chain_of_sums(others)

    @scalar_function
    def total(x: Any, y: Any, z: Any) -> float:
        return first(x, y, z) + rest(x, y, z)

    return total
