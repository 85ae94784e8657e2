"""The simulator as tests of GPUs use it: threads one at a time, from barrier to barrier."""

import numpy as np
import pytest

from numbabp.compiler.toolchain import cuda
from numbabp.devices import memory

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not memory.is_simulated(), reason="it is of the simulator"),
]

N = 16


def reversed_in_turns(barriers):
    """A kernel that reverses what its threads hold, in shared memory, with barriers where they are told."""

    @cuda.jit
    def kernel(values, n_turns):
        i = cuda.threadIdx.x
        shared = cuda.shared.array(N, np.float64)
        for _ in range(n_turns):
            shared[i] = values[i]
            if "before reading" in barriers:
                cuda.syncthreads()
            values[i] = shared[N - 1 - i]
            if "before writing" in barriers:
                cuda.syncthreads()

    return kernel


@pytest.mark.parametrize("n_turns", [1, 2, 3])
def test_with_barriers_all_is_as_on_a_gpu(n_turns):
    values = np.arange(N, dtype=float)
    reversed_in_turns(("before reading", "before writing"))[1, N](values, n_turns)
    expected = np.arange(N)[::-1] if n_turns % 2 else np.arange(N)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("barriers", [(), ("before reading",), ("before writing",)])
def test_what_lacks_a_barrier_shows(barriers):
    values = np.arange(N, dtype=float)
    reversed_in_turns(barriers)[1, N](values, 2)
    assert (values != np.arange(N)).any()


def test_threads_that_end_early_hold_up_no_barrier():
    @cuda.jit
    def kernel(values):
        i = cuda.threadIdx.x
        if i >= N // 2:
            return
        cuda.syncthreads()
        values[i] += 1

    values = np.zeros(N)
    kernel[2, N](values)
    np.testing.assert_array_equal(values, [2] * (N // 2) + [0] * (N // 2))


def test_what_a_thread_raises_ends_the_launch():
    @cuda.jit
    def kernel(values):
        cuda.syncthreads()
        if cuda.threadIdx.x == 3:
            raise ValueError("odd")
        cuda.syncthreads()

    with pytest.raises(ValueError, match=r"tid=\[3, 0, 0\].*odd"):
        kernel[1, N](np.zeros(N))
