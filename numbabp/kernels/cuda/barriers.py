"""The barriers of a warp and of a grid.

Before compute capability 9.0, NVIDIA's compiler makes of `syncwarp`, where a branch has gone before, a call
of a function for lanes that have not come together again, and keeps fifty registers free for it: too many
for 64-32-10. A barrier of the block in which only this warp takes part does the same and needs none.

The grid's is one addition and one wait in code of its own. That of cooperative groups is two calls of
functions, which put a kernel's registers aside and wait once more for the number that they add to. Between
the two a block may do what is its own, while the others come.
"""

from typing import Any

from ...compiler.cuda import device_function
from ...compiler.toolchain import SIMULATED, cuda

BY_NUMBER = """{
.reg .u32 warp;
mov.u32 warp, %tid.x;
shr.u32 warp, warp, 5;
add.u32 warp, warp, 1;
bar.sync warp, 32;
}"""
"""Of the 16 barriers of a block, 0 is that of `syncthreads`: there are enough for 15 warps."""

ARRIVE = "red.release.gpu.global.add.u32 [$0], 1;"
WAIT = """{
.reg .pred waiting;
.reg .s32 missing;
wait_for_grid:
ld.acquire.gpu.global.u32 missing, [$0];
sub.s32 missing, missing, $1;
setp.lt.s32 waiting, missing, 0;
@waiting bra wait_for_grid;
}"""
"""What the block's threads wrote before a barrier of the block goes before the addition, and what they read
after one comes after the wait (PTX ISA, "Memory Consistency Model": release and acquire are cumulative)."""
ARRIVED, BASE = range(2)
"""Entries of what a grid's blocks count: how many came, in all launches; and what it was before this one."""


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


def _arrive(typingctx: Any, counts: Any) -> Any:
    """One thread of a block counts it."""
    from numba import types

    return types.void(counts), _of_counts(ARRIVE, "l,~{memory}")


def _wait(typingctx: Any, counts: Any, goal: Any) -> Any:
    """One thread of a block waits until the count, modulo 2^32, is at its goal."""
    from numba import types

    return types.void(counts, types.int32), _of_counts(WAIT, "l,r,~{memory}")


def _of_counts(text: str, operands: str) -> Any:
    """Code of assembler that is given where counts[ARRIVED] lies, then further arguments."""
    from llvmlite import ir

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # all blocks have to run at once, which the driver sees to, or refuses, for these launches
        context.active_code_library.use_cooperative = True
        counts = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.addrspacecast(counts.data, ir.IntType(32).as_pointer(1))
        of_asm = ir.FunctionType(ir.VoidType(), (place.type, *(value.type for value in arguments[1:])))
        builder.call(ir.InlineAsm(of_asm, text, operands, side_effect=True), (place, *arguments[1:]))
        return context.get_dummy_value()

    return codegen


if not SIMULATED:
    from numba.cuda.extending import intrinsic

    barrier_of_warp = intrinsic(_barrier_of_warp)
    arrive, wait = intrinsic(_arrive), intrinsic(_wait)

    @device_function
    def arrive_at_grid(counts: Any, thread: Any) -> None:
        """Say that this block is at the next barrier of all blocks; `wait_for_grid` has to follow."""
        cuda.syncthreads()
        if thread == 0:
            arrive(counts)

    @device_function
    def wait_for_grid(counts: Any, thread: Any, n_blocks: Any, base: Any, number: Any) -> None:
        """Wait until all blocks have arrived; arguments are those of `barrier_of_grid`."""
        if thread == 0:
            wait(counts, base + (number + 1) * n_blocks)
        cuda.syncthreads()

    @device_function
    def barrier_of_grid(counts: Any, thread: Any, n_blocks: Any, base: Any, number: Any) -> None:
        """All blocks of threads wait for each other.

        Parameters
        ----------
        counts
            int32 (2,), in the device's memory; zeros before the first launch, one at a time.
        thread
            Of the block.
        base
            counts[BASE] at the launch's start. Who ends it leaves there what all barriers have counted.
        number
            Of the barrier, from 0 on.
        """
        cuda.syncthreads()
        if thread == 0:
            arrive(counts)
            wait(counts, base + (number + 1) * n_blocks)
        cuda.syncthreads()

else:

    @device_function
    def arrive_at_grid(counts: Any, thread: Any) -> None:
        """Nothing: all of it is done where blocks wait."""

    @device_function
    def wait_for_grid(counts: Any, thread: Any, n_blocks: Any, base: Any, number: Any) -> None:
        """The simulator's own."""
        cuda.cg.this_grid().sync()

    @device_function
    def barrier_of_grid(counts: Any, thread: Any, n_blocks: Any, base: Any, number: Any) -> None:
        """The simulator's own, which knows blocks of threads only one after the other."""
        cuda.cg.this_grid().sync()
