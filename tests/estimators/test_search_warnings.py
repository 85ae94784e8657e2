"""A search says once what many of its fits end with, and of which fit first."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

from numbabp import MLPClassifier, PopulationSearchCV

X, y = load_iris(return_X_y=True)
MODEL = MLPClassifier((4,), max_iter=20, random_state=0)
GRID = {"alpha": [0.0, 40.0, 50.0]}
ALONE = MLPClassifier((4,), max_iter=20, random_state=0, early_stopping=True, n_iter_no_change=20)


def searched(model, **options):
    """A search, and what it has warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = PopulationSearchCV(model, GRID, **{"cv": 3, "refit": False, **options}).fit(X, y)
    return search, caught


@pytest.mark.parametrize("n_threads", [1, 2])
def test_fits_that_learn_nothing_are_one_warning(n_threads):
    _, caught = searched(MODEL, n_threads=n_threads)
    assert [w.category for w in caught] == [ConvergenceWarning]
    text = str(caught[0].message)
    assert text.startswith("6 of 9 fits (first: {'alpha': 40.0}, fold 1) ended with: MLPClassifier: ")
    assert "alpha=40.0" in text.partition("ended with")[2]
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="^MLPClassifier: "):  # which by itself says it at once
        MLPClassifier((4,), max_iter=20, random_state=0, alpha=40.0).fit(X, y)


def test_fits_by_themselves_are_counted_too():
    _, caught = searched(ALONE, n_threads=2)
    assert {w.category for w in caught} == {ConvergenceWarning}
    texts = [str(w.message) for w in caught]
    assert texts[0] == (
        "9 of 9 fits (first: {'alpha': 0.0}, fold 1) ended with: Stochastic Optimizer: Maximum iterations "
        "(20) reached and the optimization hasn't converged yet."
    )
    assert "fits (first: {'alpha': 40.0}, fold 1) ended with: MLPClassifier: " in texts[1]
    assert sum(int(text.split()[0]) for text in texts[1:]) == 6


def test_rounds_of_halving_are_counted_together():
    _, caught = searched(MODEL, halving=3)
    texts = [str(w.message) for w in caught if w.category is ConvergenceWarning]
    assert any(" of 12 fits (first: {" in text and "'max_iter': 6" in text for text in texts)


def test_filters_of_warnings_are_heeded():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        quiet = PopulationSearchCV(MODEL, GRID, cv=3, refit=False).fit(X, y)
    assert np.isfinite(quiet.cv_results_["mean_test_score"]).all()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("error", ConvergenceWarning)
        strict = PopulationSearchCV(MODEL, GRID, cv=3, refit=False).fit(X, y)
        with pytest.raises(ConvergenceWarning, match="MLPClassifier: "):
            PopulationSearchCV(MODEL, GRID, cv=3, error_score="raise").fit(X, y)
    assert np.isnan(strict.cv_results_["mean_test_score"]).tolist() == [False, True, True]
    failed = next(w for w in caught if w.category is FitFailedWarning)
    assert "6 fits failed out of a total of 9" in str(failed.message)
