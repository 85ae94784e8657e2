"""Constants that decide comparisons before anything is compiled."""

from typing import NamedTuple

import numba
import numpy as np
import pytest

from numbabp.compiler.compiling import kernel, scalar_function
from numbabp.compiler.constants import constant

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="compiles")


class Codes(NamedTuple):
    code: object
    other: object = None


@scalar_function
def chosen(codes, x):
    if codes.other is not None:
        return x.no_such_attribute  # can't be compiled
    if codes.code == 2:
        return x + 1
    if codes.code > 3 or codes.code == 0:
        return x.no_such_attribute
    return x + 10


def test_what_a_constant_rules_out_is_never_compiled():
    @kernel
    def two(x):
        return chosen(Codes(constant(2), None), x)

    @kernel
    def three(x):
        return chosen(Codes(constant(3), None), x)

    assert (two(1.0), three(1.0)) == (2.0, 11.0)


def test_a_number_that_is_not_known_rules_out_nothing():
    @kernel
    def unknown(code, x):
        return chosen(Codes(code, None), x)

    with pytest.raises(numba.TypingError, match="no_such_attribute"):
        unknown(2, 1.0)


def test_a_constant_is_made_of_a_constant():
    @kernel
    def unknown(code, x):
        return chosen(Codes(constant(code), None), x)

    with pytest.raises(numba.TypingError, match="must be a constant"):
        unknown(np.int64(2), 1.0)
