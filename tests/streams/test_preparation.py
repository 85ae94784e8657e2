"""Inputs that are standardised on their way, or whose gaps are filled, against NumPy row by row."""

import pickle

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import numbabp as nbp
from numbabp.streams import writing


def samples(n=600, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, 4)) * [1, 1e3, 1e-4, 0] + [0, 5e5, 3e-4, 7]
    return X, (X[:, 0] > 0).astype(float), generator.random(n) * (generator.random(n) > 0.1)


def network(dtype="float64"):
    return nbp.Network((4, 6, 1), loss="binary_cross_entropy", random_state=0, dtype=dtype)


def cut(*arrays, seed=1, most=90):
    generator, start = np.random.default_rng(seed), 0
    while start < len(arrays[0]):
        stop = start + int(generator.integers(0, most))
        yield tuple(array[start:stop] for array in arrays)
        start = stop


def standardized(X, w):
    """Each row by mean and variance of the rows up to it, with their weights."""
    Z = np.zeros_like(X)
    for i in range(len(X)):
        weights = w[: i + 1]
        if weights.sum() > 0:
            mean = np.average(X[: i + 1], axis=0, weights=weights)
            scale = np.sqrt(np.average((X[: i + 1] - mean) ** 2, axis=0, weights=weights))
            with np.errstate(all="ignore"):
                Z[i] = np.where(scale > 1e-12 * abs(mean), (X[i] - mean) / scale, 0)
    return Z, mean, np.where(scale > 1e-12 * abs(mean), scale, 0)


@pytest.mark.parametrize("options", [{"kernel": "sequential"}, {"update_rule": "adam", "batch_size": 16}])
@pytest.mark.parametrize("weighted", [False, True])
def test_standardised_row_by_row_as_by_numpy(options, weighted):
    X, y, w = samples()
    w = w if weighted else np.ones(len(X))
    Z, mean, scale = standardized(X, w)
    expected, net = network(), network()
    expected.fit(Z, y, epochs=1, shuffle=False, learning_rate=0.05, sample_weight=w, **options)
    batches = cut(X, y, w) if weighted else cut(X, y)
    history = net.fit_stream(batches, standardize=True, learning_rate=0.05, **options)
    np.testing.assert_allclose(history.inputs.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(history.inputs.scale, scale, rtol=1e-9)
    np.testing.assert_allclose(history.inputs.total, w.sum(), rtol=1e-12)
    with np.errstate(all="ignore"):
        last = np.where(scale > 0, (X - mean) / scale, 0)
    np.testing.assert_allclose(net.forward(X), expected.forward(last), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 16])
@pytest.mark.parametrize("missing", ["error", "mean", 2.0])
@pytest.mark.parametrize("most_marks", [0, 3, 1000])
def test_cuts_and_calls_change_no_bit(batch_size, missing, most_marks, monkeypatch):
    X, y, _ = samples()
    if missing != "error":
        X[np.random.default_rng(3).random(X.shape) < 0.2] = np.nan
    options = {"standardize": True, "missing": missing, "batch_size": batch_size, "update_rule": "momentum"}
    whole, parts, calls = network(), network(), network()
    whole.fit_stream([(X, y)], **options)
    monkeypatch.setattr(writing, "MOST_MARKS", most_marks)
    parts.fit_stream(cut(X, y), history_every=100, **options)
    np.testing.assert_array_equal(parts.parameters, whole.parameters)
    half = 320
    calls.fit_stream(cut(X[:half], y[:half]), **options)
    calls.fit_stream(cut(X[half:], y[half:]), **options)
    np.testing.assert_array_equal(calls.parameters, whole.parameters)


def test_statistics_are_those_of_float64_for_a_network_of_float32():
    X, y, _ = samples()
    X[:, 0] += 1e9  # more digits than float32 has
    net, wide = network("float32"), network()
    found = net.fit_stream(cut(X, y), standardize=True).inputs
    expected = wide.fit_stream(cut(X, y), standardize=True).inputs
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.squares, expected.squares)
    np.testing.assert_allclose(found.scale[0], X[:, 0].std(), rtol=1e-5)


def test_gaps_are_filled_with_the_mean_of_what_was_there():
    X, y, _ = samples()
    gaps = np.random.default_rng(3).random(X.shape) < 0.2
    filled = X.copy()
    for i, j in np.argwhere(gaps):
        seen = X[:i, j][~gaps[:i, j]]
        filled[i, j] = seen.mean() if len(seen) else 0
    X = X / [1, 1e5, 1e-4, 7]
    filled /= [1, 1e5, 1e-4, 7]
    expected, net = network(), network()
    expected.fit(filled, y, epochs=1, shuffle=False, kernel="sequential")
    with_gaps = np.where(gaps, np.nan, X)
    net.fit_stream(cut(with_gaps, y), missing="mean", kernel="sequential")
    np.testing.assert_allclose(net.parameters, expected.parameters, rtol=1e-9, atol=1e-12)
    net, expected = network(), network()
    net.fit_stream(cut(with_gaps, y), missing=-1, kernel="sequential")
    expected.fit(np.where(gaps, -1, X), y, epochs=1, shuffle=False, kernel="sequential")
    np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_an_empty_stream_leaves_what_was_never_seen():
    net = network()
    before = net.parameters.copy()
    net.fit_stream([], standardize=True)
    np.testing.assert_array_equal(net.parameters, before)
    X, y, _ = samples()
    X[:, 1] = np.nan
    net.fit_stream(cut(X, y), standardize=True, missing="mean")
    np.testing.assert_array_equal(net.weights[0][1], network().weights[0][1])
    net.fit_stream([], standardize=True)


def test_training_between_two_streams_is_kept():
    X, y, _ = samples()
    net = network()
    net.fit_stream(cut(X, y), standardize=True)
    net.biases[-1][:] += 1.0
    before = net.forward(X)
    net.fit_stream([(X[:1], y[:1])], standardize=True, learning_rate=1e-12)
    np.testing.assert_allclose(net.forward(X), before, rtol=0.02)


def test_a_scaler_is_shown_every_batch():
    X, y, _ = samples()
    ours, theirs = StandardScaler(), StandardScaler()
    net, expected = network(), network()
    net.fit_stream(cut(X, y), scaler=ours, kernel="sequential")
    for part, targets in cut(X, y):
        if len(part):
            Z = theirs.partial_fit(part).transform(part)
            expected.partial_fit(Z, targets, shuffle=False, kernel="sequential")
    np.testing.assert_array_equal(net.parameters, expected.parameters)
    np.testing.assert_array_equal(ours.mean_, theirs.mean_)


def test_numbers_too_large_to_be_squared_are_named():
    X, y, _ = samples()
    X[100, 2] = 1e200
    with pytest.raises(ValueError, match="column 2 of X holds numbers that are too large"):
        network().fit_stream(cut(X, y), standardize=True)


@pytest.mark.parametrize("update_rule", ["sgd", "adam"])
def test_a_network_that_was_saved_goes_on_as_one_that_was_not(update_rule, tmp_path):
    X, y, _ = samples()
    options = {"standardize": True, "update_rule": update_rule}
    net = network()
    net.fit_stream(cut(X[:300], y[:300]), **options)
    net.save(tmp_path / "net.safetensors")
    loaded = nbp.load(tmp_path / "net.safetensors")
    for one in (net, loaded):
        one.fit_stream(cut(X[300:], y[300:]), **options)
    np.testing.assert_array_equal(loaded.parameters, net.parameters)
    copied = pickle.loads(pickle.dumps(loaded))
    for one in (net, copied):
        one.fit_stream(cut(X, y), **options)
    np.testing.assert_array_equal(copied.parameters, net.parameters)


def test_a_network_that_was_trained_on_raw_inputs_is_warned_of():
    X, y, _ = samples()
    net = network()
    net.fit(X, y, epochs=1)
    with pytest.warns(UserWarning, match="its parameters are taken to be for standardised inputs"):
        net.fit_stream(cut(X, y), standardize=True)
    net.fit_stream(cut(X, y), standardize=True)


def test_fit_begins_with_a_new_rule_state_after_a_standardised_stream():
    X, y, _ = samples()
    net, other = network(), network()
    net.fit_stream(cut(X, y), standardize=True, update_rule="adam")
    other.parameters[:] = net.parameters
    for one in (net, other):
        one.fit(X[:, :], y, epochs=1, update_rule="adam", shuffle=False, learning_rate=1e-4)
    np.testing.assert_array_equal(net.parameters, other.parameters)


def test_a_network_of_another_dtype_goes_on_with_the_statistics(tmp_path):
    X, y, _ = samples()
    net = network()
    net.fit_stream(cut(X[:300], y[:300]), standardize=True, update_rule="adam")
    twin = net.astype("float32")
    twin.save(tmp_path / "net.safetensors")
    for one in (net, twin, loaded := nbp.load(tmp_path / "net.safetensors")):
        one.fit_stream(cut(X[300:], y[300:]), standardize=True)
        np.testing.assert_array_equal(one.history.inputs.mean, net.history.inputs.mean)
    np.testing.assert_allclose(twin.forward(X / 1.0), net.forward(X), atol=1e-3)
    np.testing.assert_array_equal(twin.parameters, loaded.parameters)


@pytest.mark.parametrize("standardize", [False, True])
def test_the_history_of_a_stream_is_kept_with_its_network(standardize, tmp_path):
    X = np.random.RandomState(0).randn(50, 3)
    net = nbp.Network((3, 1), random_state=0)
    net.fit_stream([(X, X[:, 0])], standardize=standardize, history_every=20)
    net.save(tmp_path / "net.safetensors")
    history = nbp.load(tmp_path / "net.safetensors").history
    assert type(history) is type(net.history)
    assert history.to_dict() == net.history.to_dict()
    assert history.n_samples.tolist() == [20, 40, 50]
    assert (history.inputs is not None) == standardize
    if standardize:
        assert history.inputs.mean.tolist() == net.history.inputs.mean.tolist()
