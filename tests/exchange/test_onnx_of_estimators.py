"""Estimators in ONNX, by themselves and in skl2onnx's pipelines."""

import sys
import warnings

import numpy as np
import pytest
from running import TOLERANCE, run_onnx
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import numbabp as nbp

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHORT = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module", autouse=True)
def no_warnings_of_short_fits():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def table():
    """Raw columns, one of them constant, one far from zero, and labels 0, 1, 2."""
    X, y = load_iris(return_X_y=True)
    X = np.column_stack([X * [1, 100, 0.01, 1], np.full(len(X), 3.0), X[:, 0] + 1e4])
    return X, y


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def check_classifier(clf, X, y):
    fitted(clf, X, y)
    X = X.toarray() if sparse.issparse(X) else X
    found = run_onnx(clf.to_onnx(), X)
    probabilities, expected = found["probabilities"], clf.predict_proba(X)
    assert probabilities.shape == expected.shape and probabilities.dtype == X.dtype
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=TOLERANCE[str(X.dtype)])
    np.testing.assert_array_equal(found["label"], clf.predict(X))


LABELS = {
    "two": lambda y: y == 1,
    "two names": lambda y: np.where(y == 1, "yes", "no"),
    "three": lambda y: 10 * y - 10,
    "three names": lambda y: np.array(["sétosa", "versicolor", "virginica"], object)[y],
    "whole floats": lambda y: y / 1.0,
    "one": lambda y: np.full_like(y, 7),
    "several": lambda y: np.eye(3, dtype=int)[y] | np.eye(3, dtype=int)[0],
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", LABELS)
def test_labels(table, kind, dtype):
    X, y = table
    check_classifier(nbp.MLPClassifier(**SHORT), X.astype(dtype), LABELS[kind](y))


@pytest.mark.parametrize(
    "settings",
    [
        {"output_activation": "sigmoid"},
        {"output_activation": "softmax"},
        {"loss": "squared_error"},
        {"standardize": False, "activation": "gelu"},
    ],
    ids=str,
)
def test_settings_of_classifiers(table, settings):
    X, y = table
    check_classifier(nbp.MLPClassifier(**SHORT, **settings), X[:, [0, 2, 3]], y)


def test_one_sigmoid_a_class_far_from_all(table):
    """Where every sigmoid is 0, probabilities come from their logarithms."""
    X, y = table
    clf = fitted(nbp.MLPClassifier(**SHORT, output_activation="sigmoid"), X, y)
    clf.intercepts_[-1] = [-800.0, -801.0, -802.0]
    found = run_onnx(clf.to_onnx(), X)["probabilities"]
    np.testing.assert_allclose(found, clf.predict_proba(X), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_classifier_of_sparse_rows(table):
    X, y = table
    check_classifier(nbp.MLPClassifier(**SHORT), sparse.csr_matrix(np.where(X > 3, X, 0)), y)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("settings", "targets"),
    [
        ({}, lambda X: X[:, 2] * 50),
        ({}, lambda X: X[:, :2] + [[3.0, -100.0]]),
        ({}, lambda X: np.column_stack([X[:, 0], np.full(len(X), 5.0)])),
        ({}, lambda X: X[:, 0] + 1e5),
        ({"loss": "poisson"}, lambda X: np.round(X[:, 0])),
        ({"loss": "quantile", "quantile": 0.8, "activation": "elu"}, lambda X: X[:, 0]),
        ({"standardize": False, "output_activation": "softplus"}, lambda X: X[:, 0]),
    ],
)
def test_regressors(table, settings, targets, dtype):
    X = table[0].astype(dtype)[:, :4]
    model = fitted(nbp.MLPRegressor(**SHORT, **settings), X, targets(table[0]))
    found, expected = run_onnx(model.to_onnx(), X)["prediction"], model.predict(X)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


def test_another_dtype_and_a_file(table, tmp_path):
    X, y = table
    clf = fitted(nbp.MLPClassifier(**SHORT), X, y)
    made = clf.to_onnx(tmp_path / "iris.onnx", dtype="float32")
    assert (tmp_path / "iris.onnx").read_bytes() == made.SerializeToString()
    found = run_onnx(tmp_path / "iris.onnx", X.astype(np.float32))["probabilities"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, clf.predict_proba(X.astype(np.float32)), rtol=0, atol=1e-6)


def test_what_cannot_be_exported_is_refused(table):
    X, y = table
    with pytest.raises(NotFittedError):
        nbp.MLPClassifier().to_onnx()
    clf = fitted(nbp.MLPClassifier(**SHORT), X, y)
    with pytest.raises(ValueError, match="dtype='float16' is not supported"):
        clf.to_onnx(dtype="float16")
    clf.inner_network_.parameters[0] = np.inf
    with pytest.raises(ValueError, match="must be finite"):
        clf.to_onnx()


# skl2onnx.


@pytest.fixture(scope="module")
def skl2onnx():
    module = pytest.importorskip("skl2onnx")
    nbp.register_with_skl2onnx()
    return module


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", LABELS)
def test_a_pipeline_with_a_classifier(skl2onnx, table, kind, dtype):
    X, y = table[0][:, :4].astype(dtype), LABELS[kind](table[1])
    model = fitted(make_pipeline(StandardScaler(), nbp.MLPClassifier(**SHORT)), X, y)
    made = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})
    found = run_onnx(made, X)
    np.testing.assert_array_equal(found["label"], model.predict(X))
    np.testing.assert_allclose(
        found["probabilities"], model.predict_proba(X), rtol=0, atol=10 * TOLERANCE[dtype]
    )


def test_a_classifier_with_named_probabilities(skl2onnx, table):
    """ONNX's ZipMap is for float32 alone."""
    X, y = table[0][:, :4].astype(np.float32), LABELS["three names"](table[1])
    clf = fitted(nbp.MLPClassifier(**SHORT), X, y)
    found = run_onnx(skl2onnx.to_onnx(clf, X[:1]), X)
    expected = clf.predict_proba(X)
    assert list(found["output_probability"][5]) == list(clf.classes_)
    np.testing.assert_allclose([*found["output_probability"][5].values()], expected[5], rtol=1e-6)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("columns", [1, 2])
def test_a_pipeline_with_a_regressor(skl2onnx, table, columns, dtype):
    X = table[0][:, :4].astype(dtype)
    y = X[:, 0] + 1e5 if columns == 1 else X[:, :2]
    model = fitted(make_pipeline(StandardScaler(), nbp.MLPRegressor(**SHORT)), X, y)
    (found,) = run_onnx(skl2onnx.to_onnx(model, X[:1]), X).values()
    expected = model.predict(X).reshape(-1, columns)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


def test_without_skl2onnx_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="register_with_skl2onnx needs skl2onnx: pip install skl2onnx"):
        nbp.register_with_skl2onnx()
