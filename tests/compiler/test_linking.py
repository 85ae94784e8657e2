"""Functions that are linked into kernels: each is compiled once, and the collector waits meanwhile."""

import gc

import numba
import pytest
from numba.core.event import Listener, install_listener

from numbabp.compiler.compile_events import without_collecting
from numbabp.compiler.compiling import OPTIONS, exact_function, scalar_function, subroutine


class Compiled(Listener):
    """The names of functions, once for each time that one is compiled."""

    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event):
        pass


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_a_function_is_compiled_once_for_callers_of_every_kind():
    @scalar_function
    def twice(x):
        return x + x

    @scalar_function
    def inlined(x):
        return twice(x)

    @exact_function
    def exact(x):
        return twice(x)

    @subroutine
    def called(x):
        return twice(x)

    @numba.njit(**OPTIONS)
    def outermost(x):
        return inlined(x) + exact(x) + called(x) + twice(x)

    compiled = Compiled()
    with install_listener("numba:compile", compiled):
        assert outermost(1.5) == 12.0
        assert outermost(2) == 16
    for name in ("outermost", "inlined", "exact", "called", "twice"):
        assert compiled.names.count(name) == 2, name  # for each of the two types


def test_the_collector_goes_on_after_an_error():
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), without_collecting():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
