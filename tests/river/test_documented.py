"""The examples of the page and of the docstrings give what they say."""

import doctest
from pathlib import Path

import pytest

pytest.importorskip("river.base")  # tests/river would do for river

import numbabp.river.classifier
import numbabp.river.regressor

PAGE = Path(__file__).parents[2] / "docs" / "river.md"


def test_examples_of_the_page():
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False)
    assert attempted > 8 and not failed


@pytest.mark.parametrize("module", [numbabp.river.classifier, numbabp.river.regressor])
def test_examples_of_the_docstrings(module):
    failed, attempted = doctest.testmod(module)
    assert attempted > 3 and not failed


@pytest.mark.parametrize("of", [numbabp.river.MLPClassifier, numbabp.river.MLPRegressor])
def test_every_parameter_is_described(of):
    for name in of()._get_params():
        assert f"\n{name} : " in of.__doc__
