"""What operators do to which types, looked up once.

Numba asks the templates of an operator one after the other, NumPy's rules for arrays first, and does so for
every place where a kernel adds or compares, and three times more when that is lowered, for the case that an
operand is a constant. The answers depend on the types alone, of which kernels have few: a seventh of the time
that compiling takes went into asking again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core.errors import TypingError

_SIMPLE = (types.Number, types.Boolean, types.IntegerLiteral, types.BooleanLiteral, types.Array)
"""Types whose operators are Numba's own, and whose hash is what they are."""
_answers: dict[Any, tuple[Any, TypingError | None]] = {}
"""By context, operator and operands: the signature, or why there is none."""


def _get_call_type(function: Any, context: Any, args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
    """`numba.types.Function.get_call_type`, remembered for operators of simple types."""
    find = types.BaseFunction.get_call_type
    is_operator = getattr(function.typing_key, "__module__", None) == "_operator"
    if kws or not is_operator or not all(isinstance(arg, _SIMPLE) for arg in args):
        return find(function, context, args, kws)
    # the function has the templates that are known now, and is another one when there are more
    key = context, function, args
    if key not in _answers:
        try:
            _answers[key] = find(function, context, args, kws), None
        except TypingError as error:
            _answers[key] = None, error
    signature, no_match = _answers[key]
    if no_match is not None:
        raise no_match
    return signature


@contextmanager
def remembered_operators() -> Iterator[None]:
    """While a kernel is compiled, which is done under Numba's lock, and for nobody else's functions."""
    if "get_call_type" in vars(types.Function):  # one kernel within another
        yield
        return
    types.Function.get_call_type = _get_call_type
    try:
        yield
    finally:
        del types.Function.get_call_type
