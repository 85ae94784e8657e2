"""The runtime's library, built by gcc when it is first needed, and what it is called with."""

import ctypes
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = ("threads.c", "recorder.c", "arithmetic.c")
FLAGS = ("-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-ffp-contract=off")


class Launch(ctypes.Structure):
    """How a kernel is started."""

    _fields_ = [
        ("grid", ctypes.c_int),
        ("block", ctypes.c_int),
        ("static_shared", ctypes.c_int),
        ("dynamic_shared", ctypes.c_int),
        ("is_cooperative", ctypes.c_int),
        ("order", ctypes.c_int),
        ("seed", ctypes.c_int64),
    ]


class Party(ctypes.Structure):
    """An access on record."""

    _fields_ = [(name, ctypes.c_int64) for name in ("site", "kind", "block", "thread")]


def why_not() -> str:
    """Why nothing can be built or run here; empty if it can."""
    if platform.machine() not in ("x86_64", "AMD64") or platform.system() != "Linux":
        return f"compiled kernels run on x86-64 with Linux, not on {platform.machine()}, {platform.system()}"
    if shutil.which("gcc") is None:
        return "gcc, which builds the runtime of compiled kernels, is not installed"
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed, which compiles kernels: pip install 'numbabp[cuda13]'"
    try:
        from numba.cuda.cudadrv.libs import get_libdevice

        there = Path(get_libdevice()).exists()
    except Exception as error:
        return f"NVVM's libdevice is not found: {type(error).__name__}: {error}"
    return "" if there else "NVVM's libdevice is not found: pip install 'numbabp[cuda13]'"


def cache_folder() -> Path:
    """Where what is built is kept: beside Numba's own files, or among the user's caches."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path(user) / "numbabp") / "gpu_on_processor"


@cache
def digest() -> str:
    """Of the runtime's sources."""
    content = b"".join((HERE / name).read_bytes() for name in ("threads.h", *SOURCES))
    return hashlib.sha256(content + repr(FLAGS).encode()).hexdigest()[:16]


@cache
def library() -> ctypes.CDLL:
    """The runtime, its functions known to code that is loaded later."""
    import llvmlite.binding as llvm

    path = cache_folder() / f"runtime-{digest()}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        built = path.with_suffix(f".{os.getpid()}")
        command = ["gcc", *FLAGS, *(HERE / name for name in SOURCES), "-o", built, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"gcc does not build the runtime of compiled kernels:\n{done.stderr}")
        built.replace(path)
    llvm.load_library_permanently(str(path))
    found = ctypes.CDLL(str(path))
    found.launch.restype = ctypes.c_char_p
    found.launch.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(Launch)]
    found.begin_record.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    found.add_range.argtypes = [ctypes.c_size_t, ctypes.c_int64, ctypes.c_int]
    found.set_constants.argtypes = [ctypes.c_size_t, ctypes.c_int64]
    found.race.argtypes = [ctypes.c_int, ctypes.POINTER(Party)]
    found.access_outside.argtypes = [ctypes.POINTER(Party)]
    return found
