"""Ensembles with members trained together on a GPU, with samples there or in the host's memory."""

import numpy as np
import pytest

import numbabp as nbp
from numbabp.devices import memory

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X = np.random.RandomState(0).standard_normal((12, 3))
LABELS = (X[:, 0] > 0).astype(int)
WEIGHTS = np.arange(1.0, 13)
SHAPE = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "n_estimators": 2}
on_gpu, on_host = memory.to_device, memory.to_host


def assert_alike(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("bootstrap", [False, True])
def test_classifiers(bootstrap, weights):
    options = {**SHAPE, "bootstrap": bootstrap}
    on_cpu = nbp.MLPEnsembleClassifier(**options).fit(X, LABELS, weights)
    from_host = nbp.MLPEnsembleClassifier(**options, device="cuda").fit(X, LABELS, weights)
    there = nbp.MLPEnsembleClassifier(**options)
    there.fit(on_gpu(X), on_gpu(LABELS), weights if weights is None else on_gpu(weights))
    for other in (from_host, there):
        assert_alike(other.population_.parameters, on_cpu.population_.parameters)
        assert type(other.population_.parameters) is np.ndarray
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function", "predict_std"):
        found = getattr(there, method)(on_gpu(X))
        assert memory.is_on_device(found)
        assert_alike(on_host(found), getattr(on_cpu, method)(X))
    for y in (LABELS, on_gpu(LABELS)):
        assert there.score(on_gpu(X), y, weights) == on_cpu.score(X, LABELS, weights)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_regressors_and_parts(batch_size):
    y, options = X @ [1.0, -1.0, 0.5], {**SHAPE, "batch_size": batch_size}
    on_cpu = nbp.MLPEnsembleRegressor(**options).fit(X, y).partial_fit(X, y)
    there = nbp.MLPEnsembleRegressor(**options).fit(on_gpu(X), on_gpu(y)).partial_fit(on_gpu(X), on_gpu(y))
    assert_alike(on_host(there.predict(on_gpu(X))), on_cpu.predict(X))
    assert there.score(on_gpu(X), on_gpu(y)) == pytest.approx(on_cpu.score(X, y), rel=1e-12)


def test_labels_that_are_no_numbers_are_numpy_s():
    names = np.array(["no", "yes"])[LABELS]
    there = nbp.MLPEnsembleClassifier(**SHAPE).fit(on_gpu(X), names)
    assert type(there.predict(on_gpu(X))) is np.ndarray
    assert there.score(on_gpu(X), names) == there.score(X, names)


def test_from_a_folder_an_ensemble_is_as_it_was(tmp_path):
    options = {**SHAPE, "checkpoint": tmp_path / "folder", "device": "cuda", "bootstrap": True}
    first = nbp.MLPEnsembleClassifier(**options).fit(on_gpu(X), on_gpu(LABELS))
    again = nbp.MLPEnsembleClassifier(**options).fit(X, LABELS)
    np.testing.assert_array_equal(first.population_.parameters, again.population_.parameters)
    with pytest.raises(ValueError, match="what differs: the values of X"):
        nbp.MLPEnsembleClassifier(**options).fit(on_gpu(2 * X), on_gpu(LABELS))


def test_what_is_refused():
    model = nbp.MLPEnsembleClassifier(**{**SHAPE, "hidden_layer_sizes": (2000, 2000)})
    with pytest.raises(ValueError, match="MLPClassifiers can't be trained together: no kernel for GPUs"):
        model.fit(on_gpu(X), on_gpu(LABELS))
    with pytest.raises(ValueError, match=r"y lies on GPU \d+, but X in the host's memory"):
        nbp.MLPEnsembleClassifier(**SHAPE).fit(X, on_gpu(LABELS))
