"""Searches whose candidates are trained on a GPU, with samples there or in the host's memory."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold

import numbabp as nbp
from numbabp.devices import memory
from numbabp.estimators.many import search_jobs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X = np.random.RandomState(0).standard_normal((12, 3))
LABELS = (X[:, 0] > 0).astype(int)
WEIGHTS = np.arange(1.0, 13)
SHAPE = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
GRID = {"learning_rate_init": [0.5, 0.01], "alpha": [0.1, 0.001]}
on_gpu, on_host = memory.to_device, memory.to_host


def searched(place, grid=GRID, model=nbp.MLPClassifier, y=LABELS, options=None, params=None, **more):
    estimator = model(**{**SHAPE, **(options or {})})
    search = nbp.PopulationSearchCV(estimator, grid, cv=more.pop("cv", 2), **more)
    return search.fit(place(X), place(y), **{name: place(value) for name, value in (params or {}).items()})


def assert_alike(found, expected):
    for name, values in expected.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_allclose(found.cv_results_[name], values, rtol=1e-12, err_msg=name)
    assert found.best_params_ == expected.best_params_
    for ours, theirs in zip(found.best_estimator_.coefs_, expected.best_estimator_.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "more",
    [
        {"params": {"sample_weight": WEIGHTS}},
        {"scoring": ["accuracy", "neg_log_loss", "roc_auc"], "refit": "neg_log_loss"},
        {"cv": GroupKFold(3), "params": {"groups": np.arange(12) % 3}},
        {
            "grid": {**GRID, "early_stopping": [False, True], "validation_fraction": [0.4]},
            "return_train_score": True,
        },
    ],
)
def test_classifiers(monkeypatch, more):
    together, fitted = [], search_jobs.train_together
    monkeypatch.setattr(
        search_jobs, "train_together", lambda of, *rest: together.append(len(of)) or fitted(of, *rest)
    )
    expected = searched(np.array, **more)
    there, from_host = searched(on_gpu, **more), searched(np.array, options={"device": "cuda"}, **more)
    assert together == [4] * 3 * there.n_splits_
    assert_alike(there, expected)
    assert_alike(from_host, expected)
    predicted = there.predict(on_gpu(X))
    assert memory.is_on_device(predicted)
    np.testing.assert_array_equal(on_host(predicted), expected.predict(X))
    assert there.score(on_gpu(X), on_gpu(LABELS)) == pytest.approx(expected.score(X, LABELS), rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_regressors_and_their_peer(batch_size):
    y, options = X @ [1.0, -1.0, 0.5], {"batch_size": batch_size}
    grid = {"learning_rate_init": [0.05, 0.01]}
    there = searched(on_gpu, grid, model=nbp.MLPRegressor, y=y, options=options)
    assert_alike(there, GridSearchCV(nbp.MLPRegressor(**SHAPE, **options), grid, cv=2).fit(X, y))
    assert there.score(on_gpu(X), on_gpu(y)) == pytest.approx(there.score(X, y), rel=1e-12)


@pytest.mark.parametrize("kind", [list, pd.Series])
def test_labels_of_the_host(kind):
    names = np.array(["no", "yes"])[LABELS]
    labels = kind(names) if kind is list else kind(names, index=range(20, 32))
    search = nbp.PopulationSearchCV(nbp.MLPClassifier(**SHAPE), GRID, cv=2, return_train_score=True)
    there = search.fit(on_gpu(X), labels, sample_weight=WEIGHTS)
    more = {"params": {"sample_weight": WEIGHTS}, "return_train_score": True}
    assert_alike(there, searched(np.array, **more))
    assert type(there.predict(on_gpu(X))) is np.ndarray
    assert there.predict(on_gpu(X)).tolist() == there.predict(X).tolist()


def test_large_networks_are_fitted_by_themselves(monkeypatch):
    tried, alone = [], search_jobs._fit_alone

    def apart(*arguments):
        tried.append(arguments)
        raise search_jobs.ApartError

    draws = {"random_state": np.random.RandomState(3)}
    expected = searched(np.array, options=draws)
    fits = []
    monkeypatch.setattr(search_jobs, "_fit_together", apart)
    monkeypatch.setattr(search_jobs, "_fit_alone", lambda *of: fits.append(of) or alone(*of))
    found = searched(on_gpu, options={"random_state": np.random.RandomState(3)})
    assert (len(tried), len(fits)) == (2, 8)
    assert_alike(found, expected)


def test_samples_stay_on_the_gpu(monkeypatch):
    rows, copies = 400, []
    many = on_gpu(np.random.RandomState(0).standard_normal((rows, 3)))
    labels = on_gpu((on_host(many)[:, 0] > 0).astype(int))
    monkeypatch.setattr(memory, "to_host", lambda array: copies.append(array.shape) or on_host(array))
    search = nbp.PopulationSearchCV(nbp.MLPClassifier(**SHAPE), {"alpha": [0.1, 0.01]}, cv=2, refit=False)
    search.fit(many, labels)
    assert not [shape for shape in copies if len(shape) == 2 and shape[0] > rows // 2]


def test_from_a_folder_a_search_is_as_it_was(tmp_path):
    more = {"checkpoint": tmp_path / "folder", "options": {"device": "cuda"}}
    first, again = searched(on_gpu, **more), searched(np.array, **more)
    assert_alike(again, first)
    with pytest.raises(ValueError, match="what differs: the values of X"):
        searched(lambda values: on_gpu(1 * values + (values.ndim > 1)), **more)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"y lies on GPU \d+, but X in the host's memory"):
        nbp.PopulationSearchCV(nbp.MLPClassifier(**SHAPE), GRID).fit(X, on_gpu(LABELS))
    with pytest.raises(ValueError, match=r"device='cpu', but X lies on GPU \d+"):
        searched(on_gpu, options={"device": "cpu"}, error_score="raise")
