"""scikit-learn's estimators trained on a GPU, with samples in the host's memory or there."""

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
SHAPE = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


@pytest.mark.parametrize(
    "options", [{}, {"early_stopping": True}, {"class_weight": "balanced"}, {"alpha": 0.1}, {"momentum": 0.5}]
)
def test_classifiers_learn_the_same_on_every_device(options):
    options = {**SHAPE, **options}
    on_cpu = nbp.MLPClassifier(**options).fit(X, LABELS)
    on_gpu = nbp.MLPClassifier(**options, device="cuda").fit(X, LABELS)
    there = nbp.MLPClassifier(**options).fit(memory.to_device(X), memory.to_device(LABELS))
    for other in (on_gpu, there):
        for ours, theirs in zip(other.coefs_, on_cpu.coefs_, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)
        assert other.n_iter_ == on_cpu.n_iter_
    predicted = there.predict(memory.to_device(X))
    assert memory.is_on_device(predicted)
    np.testing.assert_array_equal(memory.to_host(predicted), on_cpu.predict(X))
    assert there.score(memory.to_device(X), memory.to_device(LABELS)) == on_cpu.score(X, LABELS)


@pytest.mark.parametrize(
    "options", [{}, {"class_weight": {0: 3.0}}, {"early_stopping": True, "validation_fraction": 0.3}]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_mean_the_same_on_every_device(options, dtype):
    weights = np.where(np.arange(12) % 5 == 1, 0, np.arange(1.0, 13))
    options = {**SHAPE, **options}
    samples, rounding = X.astype(dtype), 1e-10 if dtype is np.float64 else 1e-4
    on_cpu = nbp.MLPClassifier(**options).fit(samples, LABELS, weights)
    for given in (memory.to_device(1e-6 * weights), 1e6 * weights):
        there = nbp.MLPClassifier(**options).fit(memory.to_device(samples), memory.to_device(LABELS), given)
        assert (there.t_, there.coefs_[0].dtype) == (on_cpu.t_, dtype)
        for ours, theirs in zip(there.coefs_, on_cpu.coefs_, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=rounding, atol=rounding)
    found = there.predict_log_proba(memory.to_device(100 * samples))
    assert memory.is_on_device(found)
    expected = on_cpu.predict_log_proba(100 * samples)
    np.testing.assert_allclose(memory.to_host(found), expected, rtol=100 * rounding, atol=rounding)


def test_weights_of_parts_and_of_numbers():
    y = X @ [1.0, -1.0, 0.5]
    weights = np.arange(12.0)
    on_cpu, there = nbp.MLPRegressor(**SHAPE), nbp.MLPRegressor(**SHAPE)
    for part, given in ((slice(0, 6), weights[:6]), (slice(6, 12), None), (slice(3, 9), weights[3:9])):
        on_cpu.partial_fit(X[part], y[part], given)
        there.partial_fit(memory.to_device(X[part]), memory.to_device(y[part]), given)
    for ours, theirs in zip(there.coefs_, on_cpu.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.filterwarnings("ignore:y has only one class")
def test_one_class():
    there = nbp.MLPClassifier(**SHAPE).fit(memory.to_device(X), memory.to_device(LABELS * 0 + 7))
    assert memory.to_host(there.predict(memory.to_device(X))).tolist() == [7] * 12
    assert memory.to_host(there.predict_proba(memory.to_device(X))).tolist() == [[1.0]] * 12
    assert memory.to_host(there.predict_log_proba(memory.to_device(X))).tolist() == [[0.0]] * 12


def test_partial_fit_goes_on():
    on_cpu, there = nbp.MLPClassifier(**SHAPE), nbp.MLPClassifier(**SHAPE)
    for rows in (slice(0, 6), slice(6, 12)):
        on_cpu.partial_fit(X[rows], LABELS[rows], classes=[0, 1])
        there.partial_fit(memory.to_device(X[rows]), memory.to_device(LABELS[rows]), classes=[0, 1])
    for ours, theirs in zip(there.coefs_, on_cpu.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)


def test_regressors():
    y = X @ [1.0, -1.0, 0.5]
    on_cpu = nbp.MLPRegressor(**SHAPE).fit(X, y)
    there = nbp.MLPRegressor(**SHAPE).fit(memory.to_device(X), memory.to_device(y))
    np.testing.assert_allclose(
        memory.to_host(there.predict(memory.to_device(X))), on_cpu.predict(X), rtol=1e-11
    )


def test_what_gpus_do_not_do_is_an_error_that_names_it():
    large = {**SHAPE, "hidden_layer_sizes": (2000, 2000)}  # for one block
    model = nbp.MLPClassifier(**large, batch_size=4)
    with pytest.raises(
        ValueError, match=r"X lies on GPU 0, but batch_size=4 .*device='cpu', with X on the host"
    ):
        model.fit(memory.to_device(X), memory.to_device(LABELS))
    assert not hasattr(model, "coefs_")
