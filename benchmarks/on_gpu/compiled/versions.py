"""What may change in numba-cuda and LLVM, which this was written for, and how it is told if it has."""

import llvmlite
import numba_cuda

WRITTEN_FOR = {"numba-cuda": "0.30.4", "llvmlite": "0.50.0"}


class NotUnderstood(Exception):
    """Something in the IR, or in numba-cuda, is not as expected; says with which versions."""

    def __init__(self, what: str) -> None:
        here = {"numba-cuda": numba_cuda.__version__, "llvmlite": llvmlite.__version__}
        versions = ", ".join(f"{name} {version} (here {here[name]})" for name, version in WRITTEN_FOR.items())
        super().__init__(f"{what}; benchmarks/on_gpu/compiled was written for {versions}")
