"""Numbers that a kernel is compiled for.

LLVM drops the branches that a constant rules out, but only after Numba has compiled whatever they call. A
number of type `Constant` decides comparisons before that, and so does None in its place: what is not chosen
is never looked at. It goes from function to function in arguments and named tuples, and only comparisons may
be made of it. A number that is known to be one of a few, of type `OneOf`, decides those with all others.
"""

import operator
from collections.abc import Callable
from itertools import product
from typing import Any

import numba
from llvmlite import ir as ll
from numba import types
from numba.core import ir
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.errors import ConstantInferenceError, RequireLiteralValue
from numba.core.ir_utils import get_definition, guard
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    intrinsic,
    lower_builtin,
    models,
    register_model,
    typeof_impl,
    unbox,
)

_COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
_IDENTITIES = (operator.is_, operator.is_not)


class Constant(types.Type):
    """The type of one number."""

    def __init__(self, value: int) -> None:
        super().__init__(name=f"Constant({value})")
        self.values = (value,)


class OneOf(types.Type):
    """The type of a number that is one of these."""

    def __init__(self, values: tuple[int, ...]) -> None:
        super().__init__(name=f"OneOf{values}")
        self.values = values


class _NumberModel(models.PrimitiveModel):
    def __init__(self, manager: Any, of_type: Any) -> None:
        super().__init__(manager, of_type, ll.IntType(64))


@infer_global(operator.eq)
class _Equality(AbstractTemplate):
    """Of a number that is one of a few, with a constant among these."""

    def generic(self, args: Any, kws: Any) -> Any:
        if len(args) == 2 and isinstance(args[0], OneOf) and isinstance(args[1], types.Integer):
            return signature(types.boolean, args[0], types.int64)
        return None


@lower_builtin(operator.eq, OneOf, types.int64)
def _equal(context: Any, builder: Any, of_types: Any, values: Any) -> Any:
    return builder.icmp_signed("==", *values)


register_model(Constant)(models.OpaqueModel)
register_model(OneOf)(_NumberModel)


def constant(value: Any) -> Any:
    """A number known to the compiler, which is given by one."""
    return value


def _constant(typingctx: Any, value: Any) -> Any:
    if not isinstance(value, types.IntegerLiteral):
        raise RequireLiteralValue("value must be a constant")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_dummy_value()

    return Constant(value.literal_value)(value), codegen


class Known:
    """A number that a function from Python is compiled for, as a field of a named tuple; see `known`."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Known({self.value})"


@typeof_impl.register(Known)
def _type_of_known(number: Known, context: Any) -> Constant:
    return Constant(number.value)


@unbox(Constant)
def _from_python(of_type: Any, number: Any, context: Any) -> NativeValue:
    return NativeValue(context.context.get_dummy_value())


def known(value: int) -> Any:
    """For compiled code a `Known` number, of which only its type is left; interpreted, the number itself."""
    return value if numba.config.DISABLE_JIT else Known(value)


UNKNOWN = -1
"""For `constant_or_none`: what is not known before a kernel runs."""


def constant_or_none(value: Any) -> Any:
    """The same, or None for `UNKNOWN`."""
    return None if value == UNKNOWN else value


def _constant_or_none(typingctx: Any, value: Any) -> Any:
    if not isinstance(value, types.IntegerLiteral):
        raise RequireLiteralValue("value must be a constant")
    is_known = value.literal_value != UNKNOWN

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_dummy_value()

    return (Constant(value.literal_value) if is_known else types.none)(value), codegen


if not numba.config.DISABLE_JIT:
    constant = intrinsic(_constant)
    constant_or_none = intrinsic(_constant_or_none)


def one_of(*values: int) -> Callable[[Any], Any]:
    """A function that returns its argument, which the compiler may take for one of these numbers."""

    def known(typingctx: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return context.cast(builder, arguments[0], signature.args[0], types.int64)

        return OneOf(values)(value), codegen

    return (lambda value: value) if numba.config.DISABLE_JIT else intrinsic(known)


@register_pass(mutates_CFG=False, analysis_only=False)
class DecideComparisons(FunctionPass):
    """Put True or False in the place of comparisons of constants, for Numba to drop branches by."""

    _name = "numbabp_decide_comparisons"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state) -> bool:  # type: ignore[no-untyped-def]  # noqa: D102
        if not any(isinstance(of_type, (Constant, OneOf, types.BaseNamedTuple)) for of_type in state.args):
            return False
        func_ir = state.func_ir
        for block in func_ir.blocks.values():
            for statement in block.find_insts(ir.Assign):
                decided = _decide(func_ir, state.args, statement.value)
                if decided is not None:
                    definitions = func_ir._definitions[statement.target.name]
                    place = definitions.index(statement.value)
                    statement.value = definitions[place] = ir.Const(decided, statement.loc)
        return True


def _decide(func_ir: Any, args: tuple[Any, ...], value: Any) -> bool | None:
    """What comes of an expression, if it compares constants."""
    if not (isinstance(value, ir.Expr) and value.op == "binop"):
        return None
    left, right = (_type_of(func_ir, args, side) for side in (value.lhs, value.rhs))
    if value.fn in _IDENTITIES:
        if left is None or isinstance(left, types.Optional) or not _is_none(func_ir, value.rhs):
            return None
        return isinstance(left, types.NoneType) == (value.fn is operator.is_)
    if value.fn not in _COMPARISONS:
        return None
    if not (isinstance(left, (Constant, OneOf)) or isinstance(right, (Constant, OneOf))):
        return None
    try:
        numbers = [
            of_type.values if isinstance(of_type, (Constant, OneOf)) else (func_ir.infer_constant(side),)
            for of_type, side in ((left, value.lhs), (right, value.rhs))
        ]
    except ConstantInferenceError:  # the other one is not known
        return None
    outcomes = {bool(value.fn(*pair)) for pair in product(*numbers)}
    return outcomes.pop() if len(outcomes) == 1 else None


def _is_none(func_ir: Any, variable: Any) -> bool:
    found = guard(get_definition, func_ir, variable)
    return isinstance(found, ir.Const) and found.value is None


def _type_of(func_ir: Any, args: tuple[Any, ...], variable: Any) -> Any:
    """The type of an argument, or of a field of one that is a named tuple; None for anything else."""
    found = guard(get_definition, func_ir, variable)
    if isinstance(found, ir.Arg):
        return args[found.index]
    if isinstance(found, ir.Expr) and found.op == "getattr":
        owner = _type_of(func_ir, args, found.value)
        if isinstance(owner, types.BaseNamedTuple) and found.attr in owner.fields:
            return owner[owner.fields.index(found.attr)]
    return None
