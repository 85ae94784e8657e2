"""The code that is compiled for a GPU, run on the processor, with every access to memory on record if wanted.

numba-cuda makes LLVM IR of a kernel and hands it to NVVM. Here that IR (`lowering`) is made to run on x86-64
(`host_ir`, `libdevice`, `building`): threads are fibres, in warps of 32 and blocks as large as on a card, and
wait for each other at the barriers that the kernel has (`threads.c`). On record (`recording`, `recorder.c`),
accesses that no barrier orders are found, and those outside of all arrays, with the lines of Python that they
come from. `stand_in` puts all this in the place of a GPU for a process.
"""

from numbabp.compiler import toolchain  # noqa: F401 - imports numba.cuda, which the modules here do, too
