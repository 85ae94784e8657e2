"""The barrier of a warp.

Before compute capability 9.0, NVIDIA's compiler makes of `syncwarp`, where a branch has gone before, a call
of a function for lanes that have not come together again, and keeps fifty registers free for it: too many
for 64-32-10. A barrier of the block in which only this warp takes part does the same and needs none.
"""

from typing import Any

from ...compiler.toolchain import SIMULATED

BY_NUMBER = """{
.reg .u32 warp;
mov.u32 warp, %tid.x;
shr.u32 warp, warp, 5;
add.u32 warp, warp, 1;
bar.sync warp, 32;
}"""
"""Of the 16 barriers of a block, 0 is that of `syncthreads`: there are enough for 15 warps."""


def _barrier_of_warp(typingctx: Any) -> Any:
    """All lanes of the warp wait for each other; each of them has to come here."""
    from llvmlite import ir
    from numba import types

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from numba.cuda import dispatcher

        if dispatcher.get_current_device().compute_capability >= (9, 0):
            of_mask = ir.FunctionType(ir.VoidType(), (ir.IntType(32),))
            name = "llvm.nvvm.bar.warp.sync"
            function = builder.module.globals.get(name) or ir.Function(builder.module, of_mask, name)
            builder.call(function, [ir.Constant(ir.IntType(32), 0xFFFFFFFF)])
        else:
            call = builder.asm(ir.FunctionType(ir.VoidType(), ()), BY_NUMBER, "~{memory}", (), True)
            call.attributes.add("convergent")
        return context.get_dummy_value()

    return types.void(), codegen


if not SIMULATED:
    from numba.cuda.extending import intrinsic

    barrier_of_warp = intrinsic(_barrier_of_warp)
