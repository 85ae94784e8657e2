"""Fitted estimators as C: inputs and outputs are the users' own."""

import numpy as np
import pandas as pd
import pytest
from c_programs import GCC, InC, library
from running import TOLERANCE
from sklearn.exceptions import NotFittedError

from numbabp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(GCC is None, reason="needs gcc"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

DTYPES = list(TOLERANCE)


def samples(dtype, n=60):
    """Columns in units far from 0 and 1, the last but one constant; as floats have them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5)) * [1, 1e-3, 1e4, 0, 3] + [293.15, 0, 1e5, 7, -1]
    score = (X[:, 0] - 293.15) + (X[:, 2] - 1e5) / 1e4
    return X.astype(np.float32).astype(dtype), score


def in_c(tmp_path, model, dtype=None, **arguments):
    model.to_c(tmp_path / "net.c", dtype=dtype, **arguments)
    network = model.inner_network_ if dtype is None else model.inner_network_.astype(dtype)
    return InC(library(tmp_path, [tmp_path / "net.c"]), network, "net")


def check_outputs(tmp_path, model, X, dtype=None):
    """Outputs of a model in C, within the tolerance of the largest."""
    twin = in_c(tmp_path, model, dtype, samples=X[:9])
    assert twin.dtype == (X.dtype if dtype is None else dtype)
    expected = model.outputs(X)
    scale = max(1.0, np.abs(expected).max())
    assert np.abs(twin.forward(X) - expected).max() < TOLERANCE[twin.dtype.name] * scale
    assert twin.check() == 0
    return twin


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("standardize", [False, True])
def test_two_classes(tmp_path, dtype, standardize):
    X, score = samples(dtype)
    y = np.where(score > 0, "warm", "cold */ ü $f $5\n")
    if not standardize:
        X = (X - X.mean(axis=0)) / np.array([1, 1e-3, 1e4, 1, 3], dtype)
    options = {"standardize": standardize, "max_iter": 5, "random_state": 0}
    model = MLPClassifier((6,), **options).fit(X, y)
    twin = check_outputs(tmp_path, model, X)
    assert [model.classes_[i] for i in twin.classify(X)] == model.predict(X).tolist()
    text = (tmp_path / "net.c").read_text()
    assert "class 0     'cold * / \\xfc $f $5\\n'\n   class 1     'warm'\n" in text
    assert ("net_standardize" in text) == standardize


@pytest.mark.parametrize("dtype", DTYPES)
def test_more_classes_and_names_of_columns(tmp_path, dtype):
    X, score = samples(dtype)
    y = np.digitize(score, [-0.5, 0.5]) * 10
    table = pd.DataFrame(X, columns=["kelvin", "b", "pascal", "constant", "e"])
    model = MLPClassifier((6, 4), max_iter=5, random_state=0).fit(table, y)
    twin = in_c(tmp_path, model)
    assert [model.classes_[i] for i in twin.classify(X)] == model.predict(table).tolist()
    text = (tmp_path / "net.c").read_text()
    assert "#define NET_N_CLASSES 3" in text
    assert "input 0     'kelvin'" in text
    assert "class 2     20" in text


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_labels(tmp_path, dtype):
    X, score = samples(dtype)
    Y = np.column_stack([score > 0, score > 1, X[:, 4] > 0]).astype(int)
    model = MLPClassifier((6,), max_iter=5, random_state=0).fit(X, Y)
    check_outputs(tmp_path, model, X)
    assert "net_classify" not in (tmp_path / "net.c").read_text()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss, n", [("squared_error", 1), ("squared_error", 3), ("poisson", 1)])
def test_numbers(tmp_path, dtype, loss, n):
    X, score = samples(dtype)
    y = 300 * np.exp(0.1 * np.column_stack([score, -score, score**2])[:, :n])
    model = MLPRegressor(loss, (6,), max_iter=5, random_state=0).fit(X, y[:, 0] if n == 1 else y)
    twin = check_outputs(tmp_path, model, X)
    if n == 1:
        np.testing.assert_array_equal(twin.predict(X), twin.forward(X)[:, 0])


def test_a_float_keeps_the_digits_of_a_mean_beside_a_small_spread(tmp_path):
    rng = np.random.default_rng(0)
    X = (101_325 + 0.5 * rng.standard_normal((100, 1))).astype(np.float32)
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0)
    model.fit(X, X[:, 0].astype(float) - 101_325)
    check_outputs(tmp_path, model, X)
    assert "net_shift_low" in (tmp_path / "net.c").read_text()


def test_float32_of_a_model_of_float64(tmp_path):
    X, score = samples("float64")
    model = MLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0).fit(X, 1e4 + score)
    check_outputs(tmp_path, model, X, "float32")
    assert model.inner_network_.dtype == np.float64
    with pytest.raises(ValueError, match="dtype='float16' is not supported"):
        model.to_c(tmp_path / "net.c", dtype="float16")


def test_what_cannot_be_written(tmp_path):
    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=2)
    with pytest.raises(NotFittedError):
        model.to_c(tmp_path / "net.c")
    X = np.arange(10.0)[:, None].astype(np.float32)
    with pytest.raises(ValueError, match="path must end in"):
        model.fit(X, X[:, 0]).to_c(tmp_path / "net")
    with pytest.raises(ValueError, match=r"column 0 has a scale of 2.*e-40, too small"):
        model.fit(X * np.float32(1e-40), X[:, 0]).to_c(tmp_path / "net.c")
    assert not list(tmp_path.iterdir())
