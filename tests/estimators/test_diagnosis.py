"""A fit that has learnt nothing says so, why, and what to change."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning

from numbabp import MLPClassifier, MLPEnsembleClassifier, MLPRegressor, Network
from numbabp.estimators.training.diagnosis import dead_layer

X, y = load_wine(return_X_y=True)
NOISE = np.random.RandomState(0)


def test_nothing_is_said_of_what_has_learnt():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(random_state=0).fit(X, y)
        MLPRegressor(random_state=0).fit(X, y * 1e6)
        MLPRegressor(random_state=0).fit(X, np.full(len(y), 3.0))
        MLPRegressor(random_state=0, standardize=False).fit(X[:, :1] - 13, y == 0)  # of True and False
        for loss in ("absolute_error", "huber"):
            MLPRegressor(loss, random_state=0).fit(sparse.csr_matrix(X), y, np.arange(len(y)) % 3)


def test_a_layer_of_dead_units():
    with pytest.warns(ConvergenceWarning, match=r"all units of hidden layer 1.*standardize=True") as caught:
        MLPClassifier(random_state=0, standardize=False).fit(X, y)
    assert caught[0].filename == __file__
    network = Network((13, 5, 4, 1), hidden_activation=["tanh", "relu"], random_state=0)
    assert dead_layer(network, X / 1000) == 0
    network.biases[1][:] = -100
    assert dead_layer(network, X / 1000) == 2


def test_one_that_stopped_before_it_learnt():
    corners, labels = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    model = MLPClassifier(
        activation="logistic",
        learning_rate_init=0.01,
        learning_rate="constant",
        max_iter=1000,
        random_state=0,
        tol=1e-2,
    )
    with pytest.warns(ConvergenceWarning, match="stopped after .* before it had learnt.*n_iter_no_change"):
        model.fit(corners, labels)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPEnsembleClassifier])
def test_one_that_is_no_better_than_a_constant(cls):
    with pytest.warns(ConvergenceWarning, match=r"no better than a constant.*learning_rate_init \(1e-09\)"):
        cls(learning_rate_init=1e-9, random_state=0).fit(X, y)


def test_constant_predictions():
    with pytest.warns(ConvergenceWarning, match=r"the same for every sample.*init='zeros'"):
        MLPRegressor(hidden_layer_sizes=(), init="zeros", bias_init="zeros", learning_rate_init=1e-12).fit(
            X, y
        )
