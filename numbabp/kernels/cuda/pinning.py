"""Addresses in shared memory that are worked out once."""

from typing import Any

from ...compiler.toolchain import SIMULATED

MOVE = "mov.u64 $0, $1;"
"""Which the assembler takes for a value of its own."""


def pinned(array: Any) -> Any:
    """The same array of shared memory, whose address stays in a register.

    To the assembler such an address is cheap enough to be made anew wherever it is used. From compute
    capability 9.0 on it takes four instructions, one after the other, and a fifth that waits for a special
    register: some 300 in a kernel of many short pieces.
    """
    return array


def _pinned(typingctx: Any, array: Any) -> Any:
    from llvmlite import ir

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(array)(context, builder, arguments[0]).data
        generic, integer = data.type, ir.IntType(64)
        shared = ir.PointerType(generic.pointee, 3)
        address = builder.ptrtoint(builder.addrspacecast(data, shared), integer)
        kept = builder.asm(ir.FunctionType(integer, (integer,)), MOVE, "=l,l", (address,), True)
        place = context.data_model_manager[array].get_field_position("data")
        return builder.insert_value(
            arguments[0], builder.addrspacecast(builder.inttoptr(kept, shared), generic), place
        )

    return array(array), codegen


if not SIMULATED:
    from numba.cuda.extending import intrinsic

    pinned = intrinsic(_pinned)
