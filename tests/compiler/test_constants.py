"""Constants that decide comparisons before anything is compiled."""

from typing import NamedTuple

import numba
import numpy as np
import pytest

from numbabp.compiler.compiling import kernel, scalar_function
from numbabp.compiler.constants import constant, one_of

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


TWO_OR_THREE = one_of(2, 3)


@scalar_function
def chosen_among_few(code, x):
    if code == 4 or code < 2:
        return x.no_such_attribute  # can't be compiled
    if code == 2:
        return x + 1
    if code != 7:
        return x + 10
    return x.no_such_attribute


def test_what_none_of_a_few_is_is_never_compiled():
    @kernel
    def few(code, x):
        return chosen_among_few(TWO_OR_THREE(code), x)

    assert (few(2, 1.0), few(3, 1.0)) == (2.0, 11.0)
    assert (few(np.uint64(2), 1.0), few(np.uint64(3), 1.0)) == (2.0, 11.0)


def test_what_is_not_none_rules_out_none():
    @scalar_function
    def chosen_by_array(codes, x):
        if codes.other is None:
            return x.no_such_attribute
        return x + codes.other[0]

    @kernel
    def known(array, x):
        return chosen_by_array(Codes(2, array), x)

    assert known(np.ones(1), 1.0) == 2.0
