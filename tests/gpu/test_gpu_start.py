"""The first kernel on a GPU, and the arrays that kernels take."""

import numpy as np
import pytest

from numbabp.devices import memory, probe

pytestmark = pytest.mark.gpu


def test_the_trivial_kernel_runs():
    assert memory._why_kernels_fail() == ""


def test_host_arrays_are_no_device_arrays():
    """The simulator must not take for a device array what a GPU would refuse."""
    with pytest.raises(AttributeError, match="__cuda_array_interface__"):
        memory.as_array(np.ones(3))
    copy = memory.to_host(values := np.ones(3))
    assert copy is not values and (copy == values).all()
    assert not memory.is_on_device(copy)


def test_views_are_taken_as_they_are():
    value = memory.to_device(np.full(1, 3))
    view = memory.view((value, 1))
    assert view[0] is memory.view(view)[0]
    for times in (1, 2):
        memory.launch(probe.double, 1, 1, view[:1])
        assert memory.to_host(value)[0] == 3 * 2**times
