"""Where a call runs: the option `device`, and the GPU on which the caller's arrays lie already.

Neither CuPy nor numba-cuda is imported unless a GPU is asked for or arrays on one are given.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from ..errors import NoGPUError
from . import memory
from .memory import Device, is_on_device

__all__ = [
    "CPU",
    "WORTH_LOOKING",
    "Placement",
    "beside",
    "check_device",
    "describe_gpu",
    "gpu_at_hand",
    "gpu_of",
    "index_of",
    "is_on_device",
    "module_of",
    "on_host",
    "resolve",
    "where",
    "where_X_lies",
]


def check_device(value: Any) -> str:
    """The option `device`, of a form that is known; whether there is such a GPU is for `resolve`.

    Raises
    ------
    ValueError
        If it is anything else, naming what is allowed.
    """
    if not isinstance(value, str) or not re.fullmatch("auto|cpu|cuda(:(0|[1-9][0-9]*))?", value):
        raise ValueError(
            f"device={value!r} is not known; allowed: 'auto', 'cpu', 'cuda', or 'cuda:0', 'cuda:1', ... for "
            "one GPU of several."
        )
    return value


def index_of(device: str) -> int:
    """N of "cuda:N"."""
    return int(device.removeprefix("cuda:"))


@dataclass(frozen=True)
class Placement:
    """Where a call runs."""

    device: Device | None
    """The GPU, or None for the CPU."""
    reason: str
    """Why, in half a sentence."""
    has_data: bool = False
    """Whether the samples lie on that GPU."""
    is_open: bool = False
    """Whether a planner may take the GPU at hand, should it be faster."""


CPU = Placement(None, "")
WORTH_LOOKING = 2.0
"""Seconds on the CPU that make it worth while to look for a GPU, which takes about one the first time."""


def resolve(option: str, data_on: int | None = None) -> Placement:
    """Where a call runs.

    Parameters
    ----------
    option
        "auto": the GPU on which the samples lie, else the CPU. "cpu". "cuda": the GPU on which the samples
        lie, else the one that CuPy uses in this thread. "cuda:N": GPU N.
    data_on
        Index of the GPU on which the samples lie (`gpu_of`); None for the host.

    Returns
    -------
    Placement
        For "auto" and samples in the host's memory it is the CPU, and the reason says what is missing for a
        GPU, if anything is; whether one would be faster is for a planner to say.

    Raises
    ------
    ValueError
        If the option is not known, or is another place than that of samples on a GPU: nothing is copied that
        the caller did not ask for.
    NoGPUError
        If a GPU is asked for that can't be used, saying why.
    """
    check_device(option)
    if data_on is not None:
        if option == "cpu":
            raise ValueError(
                f"device='cpu', but X lies on GPU {data_on}: copy it to the host first, with X.get() or "
                "cupy.asnumpy(X), or leave device='auto'."
            )
        if option not in ("auto", "cuda", f"cuda:{data_on}"):
            raise ValueError(
                f"device={option!r}, but X lies on GPU {data_on}: copy it to the GPU that is asked for, or "
                f"use device='cuda:{data_on}'."
            )
        return Placement(_gpu(data_on, "X lies on a GPU"), f"X lies on GPU {data_on}", has_data=True)
    if option == "cpu":
        return Placement(None, "device='cpu' is asked for")
    if option == "auto":
        missing = memory.what_is_missing()
        return Placement(None, missing or "the run is too short to look for one", is_open=not missing)
    asked = f"device={option!r} is asked for"
    reason = memory.why_no_gpu()
    if reason:
        raise NoGPUError(f"{asked}, but {reason}.")
    index = int(option.partition(":")[2] or memory.current_index())
    return Placement(_gpu(index, asked), asked)


def gpu_at_hand(n_bytes: int = 0) -> tuple[Device | None, str]:
    """The GPU that "cuda" stands for, with so much memory free; or None, and why there is none.

    The first look for it takes a second.
    """
    reason = memory.why_no_gpu()
    if reason:
        return None, reason
    device = memory.device_of(memory.current_index())
    with memory.on(device):
        free = memory.free_bytes()
    if n_bytes > free:
        return None, f"training would take {n_bytes:,} bytes of the GPU's memory, and {free:,} are free"
    return device, ""


def _gpu(index: int, why: str) -> Device:
    try:
        return memory.device_of(index)
    except NoGPUError as error:
        raise NoGPUError(f"{why}, but {error}.") from None


def describe_gpu() -> str:
    """The GPU at hand in a line: name, compute capability, memory, driver; or why there is none."""
    device, reason = gpu_at_hand()
    if device is None:
        return f"none: {reason}"
    with memory.on(device):
        gigabytes = memory.total_bytes() / 2**30
    driver = memory.driver_version()
    return (
        f"{device.name}, compute capability {'.'.join(map(str, device.compute_capability))}, "
        f"{gigabytes:.0f} GiB, {f'driver of CUDA {driver}' if driver else 'no driver'}"
    )


def gpu_of(arrays: Mapping[str, Any]) -> int | None:
    """The GPU on which samples lie, by its index; None for the host.

    Parameters
    ----------
    arrays
        By the names that the caller knows them by: the samples first, then what belongs to them - targets,
        weights - of which each may also be None, or in the host's memory, from where a copy is made.

    Raises
    ------
    ValueError
        If what belongs to the samples lies on a GPU, but the samples lie elsewhere.
    """
    (first, samples), *others = arrays.items()
    index = memory.index_of(samples) if is_on_device(samples) else None
    for name, value in others:
        if is_on_device(value):
            other = memory.index_of(value)
            if index is None:
                raise ValueError(
                    f"{name} lies on GPU {other}, but {first} in the host's memory: copy {name} to the host "
                    f"with {name}.get() or cupy.asnumpy({name}), or {first} to the GPU with "
                    f"cupy.asarray({first})."
                )
            if other != index:
                raise ValueError(
                    f"{name} lies on GPU {other}, but {first} on GPU {index}: copy one to the other's GPU."
                )
    return index


def where(array: Any) -> AbstractContextManager[None]:
    """Make the GPU on which an array lies the current one; nothing for the host's arrays."""
    return memory.on(memory.device_of(memory.index_of(array))) if is_on_device(array) else nullcontext()


def where_X_lies(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method, whose first argument is X, run with the GPU on which X lies as the current one."""

    @wraps(method)
    def wrapped(self: Any, X: Any, *arguments: Any, **options: Any) -> Any:
        with where(X):
            return method(self, X, *arguments, **options)

    return wrapped


def beside(array: Any, value: Any) -> Any:
    """The value where the array lies: copied to the current GPU if it has to be; None stays None."""
    return memory.to_device(value) if is_on_device(array) and value is not None else value


def on_host(value: Any) -> Any:
    """The value in the host's memory: copied from a GPU if it has to be; all else as it is."""
    return memory.to_host(value) if is_on_device(value) else value


def module_of(array: Any) -> Any:
    """CuPy for an array on a GPU (in the simulator NumPy), NumPy for others."""
    return memory.array_module() if is_on_device(array) else np
