"""What docs/exchange.md shows runs, and what it names is there."""

import os
import re
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pages import texts_of
from sklearn.exceptions import ConvergenceWarning

import numbabp as nbp

PAGE = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text(encoding="utf-8")
NEEDS = {"to_keras": ("keras", "torch"), "torch": ("torch",), "skl2onnx": ("skl2onnx",)}


def is_possible(block):
    """Whether the libraries of a block are installed."""
    names = next((names for word, names in NEEDS.items() if word in block), ())
    return all(find_spec(name) for name in names)


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_blocks_run(folder):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    os.environ.setdefault("KERAS_HOME", os.path.join(tempfile.gettempdir(), "keras-of-tests"))
    os.environ.setdefault("KERAS_BACKEND", "torch")
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for block in texts_of(PAGE, "python"):
            if is_possible(block):
                exec(block, names)
    assert np.array_equal(names["labels"], names["clf"].predict(names["table"].to_numpy()))
    assert Path("xor.onnx").exists() and Path("iris.onnx").exists()


def test_methods_of_the_table_are_there():
    made = {"nbp": nbp, "net": nbp.Network((2, 1)), "population": nbp.Population((2, 1), 2)}
    made |= {name: getattr(nbp, name) for name in ("MLPClassifier", "MLPRegressor")}
    rows = re.findall(r"^\| .*$", PAGE, re.MULTILINE)
    named = re.findall(r"`(\w+)\.(\w+)`", "".join(rows))
    assert len(named) == 13
    assert all(hasattr(made[owner], name) for owner, name in named)
