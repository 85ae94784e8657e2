"""Networks from scikit-learn's estimators."""

import doctest
import warnings

import numpy as np
import pytest
from running import TOLERANCE, inputs_of
from sklearn import neural_network
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import numbabp as nbp
from numbabp import loading
from numbabp import sklearn as twins

SHORT = {"hidden_layer_sizes": (6, 5), "max_iter": 3, "random_state": 0}


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def labels(X, kind):
    classes = np.digitize(X[:, 0], [-2, 2])
    return {"two": classes > 0, "three": np.array(["a", "b", "c"])[classes], "several": X > 0}[kind]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", ["two", "three", "several"])
@pytest.mark.parametrize("of", [neural_network, twins])
def test_classifiers(of, kind, activation, dtype):
    X = inputs_of(dtype)
    y = labels(X, kind)
    clf = fitted(of.MLPClassifier(activation=activation, **SHORT), X, y)
    net = nbp.from_sklearn(clf)
    assert net.dtype == dtype
    probabilities = clf.predict_proba(X)
    if kind == "two":
        probabilities = probabilities[:, 1:]
    np.testing.assert_allclose(net.forward(X), probabilities, rtol=0, atol=TOLERANCE[dtype])
    found = net.predict(X) if kind == "several" else clf.classes_[net.predict(X)]
    np.testing.assert_array_equal(found, clf.predict(X))
    expected = "categorical_cross_entropy" if kind == "three" else "binary_cross_entropy"
    assert net.loss == expected


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("columns", [1, 2])
def test_regressors(loss, columns, dtype):
    X = inputs_of(dtype, scale=1.0)
    y = np.abs(X[:, :columns].squeeze())
    model = fitted(neural_network.MLPRegressor(loss=loss, **SHORT), X, y)
    net = nbp.from_sklearn(model)
    assert net.loss == loss
    np.testing.assert_allclose(net.predict(X), model.predict(X), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_both_train_alike_from_there_on():
    """Plain SGD, a sample at a time, in the order of X."""
    X = inputs_of("float64", scale=1.0)
    y = labels(2 * X, "three")
    plain = {"solver": "sgd", "batch_size": 1, "momentum": 0.0, "alpha": 0.0, "shuffle": False}
    clf = neural_network.MLPClassifier(activation="tanh", learning_rate_init=0.05, **plain, **SHORT)
    fitted(clf, X, y)
    net = nbp.from_sklearn(clf)
    before = clf.coefs_[0].copy()
    net.fit(X, np.searchsorted(clf.classes_, y), learning_rate=0.05, epochs=1, shuffle=False)
    np.testing.assert_array_equal(clf.coefs_[0], before)
    fitted(clf.set_params(warm_start=True, max_iter=1), X, y)
    for own, theirs in zip(net.weights, clf.coefs_, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (neural_network.MLPClassifier, "estimator must be an MLPClassifier or MLPRegressor of sklearn"),
        (StandardScaler(), r"got StandardScaler\(\) of type StandardScaler"),
        (make_pipeline(StandardScaler(), neural_network.MLPClassifier()), r"a Pipeline; .* pipeline\[-1\]"),
        (nbp.MLPRegressor(), "numbabp's own MLPRegressor, whose network_ is one"),
    ],
)
def test_other_estimators_are_refused(estimator, message):
    with pytest.raises(TypeError, match=message):
        nbp.from_sklearn(estimator)


def test_an_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError):
        nbp.from_sklearn(neural_network.MLPRegressor())


def test_the_example_is_so():
    found = doctest.testmod(loading)
    assert found.attempted and not found.failed
