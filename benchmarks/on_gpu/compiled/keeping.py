"""Machine code of kernels for the processor, kept on disk as the package keeps its own."""

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numba_cuda
from numba.core.serialize import dumps

from numbabp.compiler.caching import KernelFiles
from numbabp.compiler.sources import digest_of

from .building import Built, build
from .lowering import nvvm_ir
from .runtime import cache_folder

MAKE_CODE = ("lowering.py", "host_ir.py", "libdevice.py", "recording.py", "building.py")
"""What the machine code of a kernel depends on, here; it finds the runtime when it is loaded."""

spent = {"kernels": 0, "lowering": 0.0, "building": 0.0}
"""Kernels that were not on the disk, and seconds of the processor that they took in this process."""


def built(compiled: Any, signature: tuple[Any, ...], capability: tuple[int, int], record: bool) -> Built:
    """Machine code of a kernel, from the disk if it has been made before.

    Parameters
    ----------
    compiled, signature, capability
        See `lowering.nvvm_ir`.
    record
        Whether accesses go on record.
    """
    function = compiled.py_func
    of_sources, suffix = digest_of(function)
    versions = numba.__version__, numba_cuda.__version__, llvm.get_host_cpu_name()
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    name = f"{function.__module__}.{function.__qualname__}{suffix}".replace("<locals>.", "")
    files = KernelFiles(cache_folder(), name, (of_sources, _own_digest(), *versions))
    key = str(signature), str(capability), str(record), hashlib.sha256(dumps(cells)).hexdigest()
    found = files.load(key)
    if found is None:
        began = time.process_time()
        texts = nvvm_ir(compiled, signature, capability, record)
        lowered = time.process_time()
        found = build(texts, record)
        spent["kernels"] += 1
        spent["lowering"] += lowered - began
        spent["building"] += time.process_time() - lowered
        cache_folder().mkdir(parents=True, exist_ok=True)
        files.save(key, found)
    return found


@cache
def _own_digest() -> str:
    """Of what makes machine code of a kernel's IR."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in MAKE_CODE)).hexdigest()
