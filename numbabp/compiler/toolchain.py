"""numba-cuda, imported with what it needs put right; whoever compiles for GPUs takes `cuda` from here.

As numba-cuda 0.30.4 comes, no kernel compiles beside NumPy 2.5, and where NVRTC is a wheel but NVVM part of a
CUDA toolkit, NVVM is not found. What is done about it here changes nothing that stays: not NumPy, not the
warnings' filters, not the environment.
"""

import importlib
import importlib.metadata
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numba import config

SIMULATED: bool = bool(config.ENABLE_CUDASIM)
"""Whether kernels run in Numba's simulator (`NUMBA_ENABLE_CUDASIM=1`), thread by thread in Python."""

NVVM_WHEELS = ("nvidia-nvvm", "nvidia-cuda-nvcc-cu12")
"""Of CUDA 13 and of CUDA 12, where numba-cuda looks first."""
LIBRARIES = ("nvvm/lib64/libnvvm.so*", "nvvm/bin/nvvm64_*.dll", "nvvm/bin/x64/nvvm64_*.dll")
"""NVVM in a CUDA toolkit, on Linux and Windows."""


@contextmanager
def _quiet_beside_new_numpy() -> Iterator[None]:
    """Let numba-cuda be imported beside NumPy 2.5, whatever the caller does about warnings.

    It writes `numpy.timedelta64("nat")`, whose missing unit is deprecated, and names `numpy.row_stack`,
    which is gone and was another name of `numpy.vstack`.
    """
    name = "row_stack"
    is_gone = not hasattr(np, name)
    if is_gone:
        setattr(np, name, np.vstack)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        if is_gone:
            delattr(np, name)


def toolkit_of_the_system() -> Path | None:
    """The folder of a CUDA toolkit with NVVM: the one of nvcc on the PATH, or the newest in /usr/local."""
    nvcc = shutil.which("nvcc")
    folders = [Path(nvcc).resolve().parents[1]] if nvcc else []
    folders += sorted(Path("/usr/local").glob("cuda*"), key=_version, reverse=True)
    for folder in folders:
        if any(any(folder.glob(library)) for library in LIBRARIES):
            return folder
    return None


def _version(folder: Path) -> tuple[int, ...]:
    """(13, 0) of "cuda-13.0"; "cuda" itself, which is whatever the system prefers, comes before all."""
    numbers = folder.name.partition("-")[2].split(".")
    return tuple(map(int, numbers)) if all(map(str.isdecimal, numbers)) else (1000,)


def _find_nvvm() -> None:
    """Let numba-cuda find NVVM, and remember it, in a toolkit that CUDA_HOME does not name.

    It looks in wheels, in conda's environment and in CUDA_HOME, and beside NVRTC only if that is no wheel.
    """
    if os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH"):
        return
    for wheel in NVVM_WHEELS:
        with suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.distribution(wheel)
            return
    folder = toolkit_of_the_system()
    if folder is None:
        return
    os.environ["CUDA_HOME"] = str(folder)
    try:
        importlib.import_module("numba.cuda.cuda_paths").get_cuda_paths()
    except Exception:  # whatever is missing is found missing, and told, where it is used
        return
    finally:
        del os.environ["CUDA_HOME"]


def _import() -> Any:
    with _quiet_beside_new_numpy():
        cuda = importlib.import_module("numba.cuda")
        if not SIMULATED:
            with suppress(ModuleNotFoundError):  # without numba-cuda, Numba's own numba.cuda can still plan
                importlib.import_module("numba.cuda.np.arrayobj")  # which the first compilation would import
            _find_nvvm()
    return cuda


cuda: Any = _import()
