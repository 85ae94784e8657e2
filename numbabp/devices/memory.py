"""The GPU and its memory: the one place where arrays are made on a device, copied, and handed to kernels.

Device memory is CuPy's; kernels run on CuPy's current stream, so that neither has to wait for the other. In
Numba's simulator, or where something else runs kernels in a GPU's place, NumPy stands in for CuPy: with
arrays marked so that they are not taken for the host's.
"""

import ctypes
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from ..errors import NoGPUError

STATIC_SHARED = 48 * 1024
"""Bytes of shared memory that a block may have unasked, static and dynamic; static it can't have more."""


class SimulatedArray(np.ndarray):
    """What stands for an array on a device where none is."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.__array_interface__, "version": 3}


@dataclass(frozen=True)
class Device:
    """A GPU, by what kernels and predictions have to know of it."""

    index: int
    name: str
    compute_capability: tuple[int, int]
    n_multiprocessors: int
    clock: float
    """Hz, at most."""
    shared_per_block: int
    """Bytes of shared memory that a block may opt for."""
    shared_per_multiprocessor: int
    memory_bandwidth: float
    """Bytes a second."""
    cache_bytes: int
    """Of the second-level cache."""


class StandIn(Protocol):
    """What runs kernels in the place of a GPU, in this process; their arrays are NumPy's."""

    device: Device
    """What kernels and plans are to take it for."""

    def launch(self, kernel: Any, grid: int, block: int, arguments: Sequence[Any], shared: int) -> None:
        """Run a kernel to its end; see the function `launch`."""


class _Simulator:
    """Numba's, which goes through a kernel thread by thread in Python."""

    device = Device(0, "simulated", (9, 0), 1, 1e9, 64 * 1024, 64 * 1024, 1e12, 2**20)

    def launch(self, kernel: Any, grid: int, block: int, arguments: Sequence[Any], shared: int) -> None:
        kernel[grid, block, 0, shared](*arguments)


_stand_in: StandIn | None = None


def use_stand_in(stand_in: StandIn) -> None:
    """Let something else than a GPU run kernels from now on, in this process; before the first of them."""
    global _stand_in
    _stand_in = stand_in
    for found in (is_simulated, what_is_missing, why_no_gpu, device_of):
        found.cache_clear()


@cache
def is_interpreted() -> bool:
    """Whether kernels run in Numba's simulator, in Python: then little is to be asked of them."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


@cache
def is_simulated() -> bool:
    """Whether there is no GPU, but a simulator or another stand-in, and NumPy stands in for CuPy."""
    return _stand_in is not None or is_interpreted()


def _standing_in() -> StandIn:
    return _stand_in or _Simulator()


@cache
def what_is_missing() -> str:
    """What a GPU needs and is not installed here, found out without importing any of it; empty if nothing."""
    if not is_simulated():
        try:  # first of all: without it nobody needs the packages
            ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
        except OSError:
            return "there is no NVIDIA driver on this machine"
    for module, package in (("numba_cuda", "numba-cuda"), ("cupy", "CuPy")):
        if importlib.util.find_spec(module) is None and not (is_simulated() and module == "cupy"):
            return (
                f"{package} is not installed; `pip install 'numbabp[cuda13]'` installs what CUDA 13 needs, "
                "'numbabp[cuda12]' what CUDA 12 does"
            )
    return ""


@cache
def why_no_gpu() -> str:
    """Why kernels can't run on a GPU here; empty if they can, which one has shown by then.

    This may import CuPy and numba-cuda. It takes about two seconds the first time in a process.
    """
    if what_is_missing() or is_simulated():
        return what_is_missing()
    try:
        import cupy

        from ..compiler.toolchain import cuda

        if cupy.cuda.runtime.getDeviceCount() == 0:
            return "the NVIDIA driver finds no GPU"
        if cuda.cuda_error():
            return f"numba-cuda can't use the driver: {cuda.cuda_error()}"
        if not cuda.is_available():
            return (
                "NVVM, the compiler of numba-cuda, was not found: set CUDA_HOME to the folder of a CUDA "
                "toolkit, the one that holds nvvm/, or install the wheel: `pip install nvidia-nvvm` for "
                "CUDA 13, `pip install nvidia-cuda-nvcc-cu12` for CUDA 12"
            )
        cuda.current_context()
    except Exception as error:  # an old driver, a broken installation: whatever it is, say it and go on
        return f"CUDA does not start: {type(error).__name__}: {error}"
    return _why_kernels_fail()


def _why_kernels_fail() -> str:
    """Why a trivial kernel can't be compiled, linked, launched and read; empty if it can."""
    from .probe import SENT, double

    try:
        value = to_device(np.full(1, SENT))
        launch(double, 1, 1, (value,))
        received = to_host(value)[0]
    except Exception as error:
        return (
            f"a trivial kernel fails: {type(error).__name__}: {' '.join(str(error).split())}. Perhaps "
            f"numba-cuda, NVVM, nvJitLink and the driver, which is of CUDA {driver_version()}, do not fit "
            "together: NVVM, from a wheel or else from CUDA_HOME, must not be newer than nvJitLink"
        )
    return "" if received == 2 * SENT else f"a trivial kernel made {received} of {SENT}, not {2 * SENT}"


def array_module() -> Any:
    """CuPy, or in the simulator NumPy."""
    if is_simulated():
        return np
    import cupy

    return cupy


def is_on_device(value: Any) -> bool:
    """Whether it is an array in a GPU's memory: CuPy's, or any with the CUDA array interface."""
    return hasattr(value, "__cuda_array_interface__")


@cache
def device_of(index: int) -> Device:
    """The GPU of an index.

    Raises
    ------
    NoGPUError
        If there is none, saying why.
    """
    reason = why_no_gpu()
    if reason:
        raise NoGPUError(reason)
    if is_simulated():
        if index:
            raise NoGPUError(f"there is no GPU {index}, only 0, which is simulated")
        return _standing_in().device
    import cupy

    n = cupy.cuda.runtime.getDeviceCount()
    if index >= n:
        raise NoGPUError(f"there is no GPU {index}, only {'0' if n == 1 else f'0 to {n - 1}'}")
    device = cupy.cuda.Device(index)
    of = device.attributes
    capability = divmod(int(device.compute_capability), 10)
    return Device(
        index,
        cupy.cuda.runtime.getDeviceProperties(index)["name"].decode(),
        (capability[0], capability[1]),
        of["MultiProcessorCount"],
        of["ClockRate"] * 1e3,
        of["MaxSharedMemoryPerBlockOptin"],
        of["MaxSharedMemoryPerMultiprocessor"],
        of["MemoryClockRate"] * 1e3 * 2 * of["GlobalMemoryBusWidth"] / 8,
        of["L2CacheSize"],
    )


def index_of(array: Any) -> int:
    """Which GPU a device array lies on."""
    if is_simulated():
        return 0
    import cupy

    if isinstance(array, cupy.ndarray):
        return int(array.device.id)
    pointer = array.__cuda_array_interface__["data"][0]
    # an array of size 0 may have no memory, which is on no GPU
    return int(cupy.cuda.runtime.pointerGetAttributes(pointer).device) if pointer else current_index()


def current_index() -> int:
    """Which GPU CuPy uses in this thread."""
    if is_simulated():
        return 0
    import cupy

    return int(cupy.cuda.runtime.getDevice())


@contextmanager
def on(device: Device) -> Iterator[None]:
    """Make a GPU the one that CuPy and Numba use in this thread."""
    if is_simulated():
        yield
        return
    import cupy

    from ..compiler.toolchain import cuda

    with cupy.cuda.Device(device.index), cuda.gpus[device.index]:
        yield


def as_array(value: Any) -> Any:
    """A device array of any library as one of CuPy's, without a copy, on whichever GPU it lies."""
    if is_simulated():
        own = isinstance(value, SimulatedArray | np.generic)
        return np.asarray(value if own else _Lent(value)).view(SimulatedArray)
    import cupy

    if isinstance(value, cupy.ndarray):
        return value
    with cupy.cuda.Device(index_of(value)):  # `asarray` copies to the current one what lies on another
        return cupy.asarray(value)


class _Lent:
    """Another library's array, in the simulator: its memory is NumPy's."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.__array_interface__ = owner.__cuda_array_interface__


def to_device(value: Any, dtype: Any = None) -> Any:
    """Contiguous array on the device; not copied if that is what it is already."""
    if is_simulated():
        if isinstance(value, SimulatedArray):
            return np.ascontiguousarray(value, dtype).view(SimulatedArray)
        return np.array(value, dtype, order="C").view(SimulatedArray)
    import cupy

    return cupy.ascontiguousarray(cupy.asarray(value), dtype)


def to_host(value: Any) -> np.ndarray:
    """Copy in the host's memory; of a device array once all that the stream has to do before is done."""
    if isinstance(value, np.ndarray):  # already there, or simulated
        return np.array(value)
    if is_simulated():
        return np.array(as_array(value))
    import cupy

    return cupy.asnumpy(as_array(value))


@cache
def _copy_stream(index: int) -> Any:
    """A GPU's stream for copies; the GPU has to be the current one."""
    import cupy

    return cupy.cuda.Stream(non_blocking=True)


class Download:
    """A copy to the host that is begun once the stream has come so far, and waited for when asked.

    It goes on beside kernels that are launched later, in a stream of its own and into pinned memory.
    """

    def __init__(self, array: Any) -> None:
        if is_simulated():
            self._values, self._done = np.array(array), None
            return
        import cupy
        import cupyx

        stream = _copy_stream(int(array.device.id))
        stream.wait_event(cupy.cuda.get_current_stream().record())
        self._values = cupyx.empty_pinned(array.shape, array.dtype)
        array.get(stream=stream, out=self._values, blocking=False)
        self._done = stream.record()
        self._array = array  # its memory must not be used again before it is copied

    def result(self) -> np.ndarray:
        """The values, once they are there."""
        if self._done is not None:
            self._done.synchronize()
        return self._values


def empty(shape: int | Sequence[int], dtype: Any) -> Any:
    """Device array with whatever is in memory."""
    array = array_module().empty(shape, dtype)
    return array.view(SimulatedArray) if is_simulated() else array


def zeros(shape: int | Sequence[int], dtype: Any) -> Any:
    """Device array of zeros."""
    array = array_module().zeros(shape, dtype)
    return array.view(SimulatedArray) if is_simulated() else array


def free_bytes() -> int:
    """Memory of the current device that can be had, with what CuPy keeps for later."""
    if is_simulated():
        return 2**30
    import cupy

    return int(cupy.cuda.runtime.memGetInfo()[0] + cupy.get_default_memory_pool().free_bytes())


def total_bytes() -> int:
    """Memory of the current device."""
    if is_simulated():
        return 2**30
    import cupy

    return int(cupy.cuda.runtime.memGetInfo()[1])


def driver_version() -> str:
    """The newest CUDA that the driver knows, such as "13.0"; empty in the simulator."""
    if is_simulated():
        return ""
    import cupy

    version = int(cupy.cuda.runtime.driverGetVersion())
    return f"{version // 1000}.{version % 1000 // 10}"


def synchronize() -> None:
    """Wait for all that the current stream has to do."""
    if not is_simulated():
        import cupy

        cupy.cuda.get_current_stream().synchronize()


def copy_to(array: Any, host: np.ndarray) -> None:
    """Overwrite a contiguous device array, after what the stream has to do before."""
    if is_simulated():
        array[...] = host
    else:
        array.set(np.ascontiguousarray(host))


def launch(kernel: Any, grid: int, block: int, arguments: Sequence[Any], shared: int = 0) -> None:
    """Start a kernel on CuPy's current stream.

    Parameters
    ----------
    kernel
        From `compiling.kernel`.
    grid, block
        Numbers of blocks, and of the threads of each.
    arguments
        Device arrays or their views, numbers, and named tuples of them.
    shared
        Bytes of dynamic shared memory of a block.
    """
    launcher(kernel, grid, block, arguments, shared)()


def launcher(
    kernel: Any, grid: int, block: int, arguments: Sequence[Any], shared: int = 0
) -> Callable[..., None]:
    """`launch`, to be called again and again; numbers that change come after the arguments, in each call.

    What a kernel takes is made of the device arrays once, which is a good part of what a launch costs.
    """
    views = [view(argument) for argument in arguments]
    if is_simulated():
        run = _standing_in().launch
        return lambda *numbers: run(kernel, grid, block, [*views, *numbers], shared)
    # what is allowed unasked is for static and dynamic memory together, and all such kernels have some static
    opted = shared == 0

    def start(*numbers: Any) -> None:
        nonlocal opted
        if not opted:
            _opt_for_shared(kernel, [*views, *numbers], shared)
            opted = True
        kernel[grid, block, _stream(), shared](*views, *numbers)

    return start


def _stream() -> Any:
    """CuPy's current stream, as Numba takes it."""
    import cupy

    from ..compiler.toolchain import cuda

    stream = cupy.cuda.get_current_stream().ptr
    return cuda.external_stream(stream) if stream else 0


def view(argument: Any) -> Any:
    """What a kernel takes for a device array, or for a tuple's: the same memory, as Numba sees it.

    `launch` makes it of all its arguments, 25 us each; for those that come again it may be made once.
    """
    if isinstance(argument, tuple):
        views = map(view, argument)
        return argument._make(views) if hasattr(argument, "_make") else tuple(views)
    if not is_on_device(argument):
        return argument
    if is_simulated():
        return np.asarray(argument)
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    from ..compiler.toolchain import cuda

    return argument if isinstance(argument, DeviceNDArray) else cuda.as_cuda_array(argument, sync=False)


def _opt_for_shared(kernel: Any, views: Sequence[Any], shared: int) -> None:
    """Allow blocks of a kernel more shared memory than they may have unasked."""
    from numba.cuda.cudadrv.driver import binding, driver

    compiled = kernel.compile(tuple(kernel.typeof_pyval(view) for view in views))
    function = compiled._codelibrary.get_cufunc()
    attribute = binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    driver.cuKernelSetAttribute(attribute, shared, function.handle, function.device.id)
