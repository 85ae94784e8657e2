"""What the recorder of accesses finds in small kernels with a fault, and does not find in those without."""

import inspect

import numpy as np
import pytest
from numba import float64, int64

from numbabp.compiler.cuda import kernel
from numbabp.compiler.toolchain import cuda
from numbabp.devices import memory

pytestmark = pytest.mark.gpu

N = 64


def lines_of(recorder, compiled, grid, n_threads, *arguments, shared=0):
    """What is found in a launch: for each access the text of the line of Python that makes it."""
    with recorder.collected() as found:
        memory.launch(compiled, grid, n_threads, arguments, shared)
    source, first = inspect.getsourcelines(compiled.py_func)

    def text(access):
        line = access.site.lines[0]
        assert line.path == __file__
        return source[line.number - first].strip()

    return [tuple(text(part) for part in finding) for finding in found]


def device(n=N):
    return memory.to_device(np.arange(n, dtype=float))


@kernel
def reverse(values, into):
    shared = cuda.shared.array(N, float64)
    i = cuda.threadIdx.x
    shared[i] = values[i]
    cuda.syncthreads()
    into[i] = shared[N - 1 - i]


def test_a_barrier_of_the_block_orders(recorder):
    into = device()
    assert lines_of(recorder, reverse, 1, N, device(), into) == []
    np.testing.assert_array_equal(into, np.arange(N)[::-1])


def test_one_left_out_is_found(recorder):
    recorder.left_out = lambda site: True
    found = lines_of(recorder, reverse, 1, N, device(), device())
    assert found
    for lines in found:
        assert set(lines) == {"shared[i] = values[i]", "into[i] = shared[N - 1 - i]"}


@kernel
def shift_in_warps(values, by):
    shared = cuda.shared.array(N, float64)
    i = cuda.threadIdx.x
    shared[i] = values[i]
    cuda.syncwarp()
    values[i] = shared[i ^ by]


@pytest.mark.parametrize(("by", "n_found"), [(31, 0), (32, 1)])
def test_a_barrier_of_a_warp_orders_that_warp_alone(by, n_found, recorder):
    found = lines_of(recorder, shift_in_warps, 1, N, device(), by)
    assert len(found) == n_found


@kernel
def count_without_atomics(values):
    values[0] += 1.0


@pytest.mark.parametrize(("grid", "n_threads"), [(1, 2), (1, 64), (2, 1)])
def test_threads_that_write_one_place_are_found(grid, n_threads, recorder):
    found = lines_of(recorder, count_without_atomics, grid, n_threads, device())
    assert ("values[0] += 1.0",) * 2 in found


@kernel
def read_outside(values, into, shift):
    i = cuda.threadIdx.x
    into[i] = values[i + shift]


@pytest.mark.parametrize("shift", [1, N, 2**40])
def test_an_index_behind_the_end_is_found(shift, recorder):
    (found,) = lines_of(recorder, read_outside, 1, N, device(), device(), shift)
    assert found == ("into[i] = values[i + shift]",)


def test_an_index_inside_is_not(recorder):
    assert lines_of(recorder, read_outside, 1, N - 1, device(), device(), 1) == []


@kernel
def write_outside_of_shared(values, shift):
    first, second = cuda.shared.array(N, float64), cuda.shared.array(N, int64)
    i = cuda.threadIdx.x
    second[i] = 0
    first[i + shift] = values[i]
    values[i] = second[i] + first[i + shift]


@pytest.mark.parametrize("shift", [1, 8])
def test_an_array_in_shared_memory_does_not_run_into_the_next(shift, recorder):
    (found,) = lines_of(recorder, write_outside_of_shared, 1, N, device(), shift)
    assert found == ("first[i + shift] = values[i]",)


@kernel
def fill_dynamic(values, n):
    shared = cuda.shared.array(0, float64)
    i = cuda.threadIdx.x
    if i < n:
        shared[i] = 1.0
        values[i] = shared[i]


def test_dynamic_memory_is_as_large_as_the_launch_says(recorder):
    assert lines_of(recorder, fill_dynamic, 1, N, device(), N, shared=8 * N) == []
    (found,) = lines_of(recorder, fill_dynamic, 1, N, device(), N, shared=8 * (N - 1))
    assert found == ("shared[i] = 1.0",)


@kernel
def wait_in_one_branch(values):
    if cuda.threadIdx.x < 7:
        cuda.syncthreads()
    else:
        cuda.syncwarp()
    values[cuda.threadIdx.x] += 1.0


def test_threads_that_wait_for_each_other_end_the_launch(recorder):
    from benchmarks.on_gpu.compiled.launching import Stuck

    why = "all wait for each other: of 64 threads, .* 25 at a barrier of the warp, 7 of the block"
    with pytest.raises(Stuck, match=why):
        memory.launch(wait_in_one_branch, 1, N, (device(),))


def test_what_is_found_raises(recorder):
    from benchmarks.on_gpu.compiled.stand_in import Unsafe

    with pytest.raises(
        Unsafe, match=rf"read_outside:\n.*reads at {__file__}:\d+ in read_outside, outside of"
    ):
        memory.launch(read_outside, 1, N, (device(), device(), 1))
