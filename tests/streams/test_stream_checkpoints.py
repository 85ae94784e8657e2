"""Streams that were stopped anywhere end with the bits of those that were not."""

import numpy as np
import pytest
from checkpointing import all_versions
from streaming import cut, network, samples

from numbabp.streams import learning
from numbabp.training.checkpoints import keeper

HOW = {
    "sequential": {"kernel": "sequential"},
    "adam": {"update_rule": "adam"},
    "mini-batches": {"batch_size": 16, "update_rule": "momentum"},
    "blocks": {"kernel": "blocked", "block_length": 24, "learning_rate": 0.02},
    "standardised": {"standardize": True, "kernel": "sequential"},
    "standardised mini-batches": {"standardize": True, "batch_size": 16, "missing": "mean"},
    "gaps": {"missing": "mean", "kernel": "sequential"},
}


@pytest.fixture
def small_pieces(monkeypatch):
    """A place to be kept after some 70 rows each."""
    monkeypatch.setattr(learning, "PIECE_BYTES", 70 * 7 * 8)


def given(how):
    X, y, w = samples()
    if "missing" in how:
        X[np.random.default_rng(3).random(X.shape) < 0.1] = np.nan
    return X, y, w


def assert_same(net, history, expected, of_expected):
    np.testing.assert_array_equal(net.parameters, expected.parameters)
    np.testing.assert_array_equal(history.n_samples, of_expected.n_samples)
    for name in history:
        np.testing.assert_array_equal(history[name], of_expected[name])


@pytest.mark.parametrize("name", HOW)
def test_every_checkpoint_is_gone_on_from(name, small_pieces, monkeypatch, tmp_path):
    how = {"history_every": 150, **HOW[name]}
    arrays = given(how)
    monkeypatch.setattr(keeper.Keeper, "_is_idle", lambda self: True)
    versions = all_versions(monkeypatch)
    path = tmp_path / "stream.safetensors"
    expected = network()
    of_expected = expected.fit_stream(cut(*arrays), checkpoint=path, checkpoint_every=0.0, **how)
    assert len(versions) > 5
    plain = network()
    assert_same(plain, plain.fit_stream(cut(*arrays), **how), expected, of_expected)
    for version in versions[::2]:
        path.write_bytes(version)
        net = network()
        history = net.fit_stream(cut(*arrays, seed=2), checkpoint=path, **how)
        assert_same(net, history, expected, of_expected)
    assert_same(net, net.fit_stream(cut(*arrays), checkpoint=path, **how), expected, of_expected)
    # and goes on as the other one would
    expected.fit_stream(cut(*arrays), **how)
    net.fit_stream(cut(*arrays), **how)
    np.testing.assert_array_equal(net.parameters, expected.parameters)


class Broken(Exception):
    pass


def broken(batches, n):
    for number, batch in enumerate(batches):
        if number == n:
            raise Broken
        yield batch


@pytest.mark.parametrize("name", HOW)
@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_source_that_breaks_is_gone_on_with(name, after, small_pieces, tmp_path):
    how = {"history_every": 150, **HOW[name], "checkpoint": tmp_path / "stream.safetensors"}
    arrays, net = given(how), network()
    with pytest.raises(Broken):
        net.fit_stream(broken(cut(*arrays), after), **how)
    history = net.fit_stream(cut(*arrays), **how)
    expected = network()
    of_expected = expected.fit_stream(cut(*arrays), **{**how, "checkpoint": None})
    assert_same(net, history, expected, of_expected)


def test_another_stream_is_refused_and_nothing_is_changed(tmp_path):
    X, y, _ = samples()
    how = {"checkpoint": tmp_path / "stream.safetensors", "kernel": "sequential"}
    with pytest.raises(Broken):
        network().fit_stream(broken(cut(X, y), 6), **how)
    other, net = X + 1, network()
    net.fit(X, y, epochs=1)
    before, history = net.parameters.copy(), net.history
    with pytest.raises(ValueError, match="the last one that was learnt, is another"):
        net.fit_stream(cut(other, y), **how)
    with pytest.raises(ValueError, match="it has 10 rows, but "):
        net.fit_stream(cut(X[:10], y[:10]), **how)
    with pytest.raises(ValueError, match="what differs: standardize"):
        net.fit_stream(cut(X, y), standardize=True, **how)
    np.testing.assert_array_equal(net.parameters, before)
    assert net.history is history
    net.fit_stream(cut(other, y), **how, resume=False)


def test_a_scaler_is_shown_again_what_was_passed_over(tmp_path):
    from sklearn.preprocessing import StandardScaler

    X, y, _ = samples()
    how = {"checkpoint": tmp_path / "stream.safetensors", "kernel": "sequential"}
    with pytest.raises(Broken):
        network().fit_stream(broken(cut(X, y), 6), scaler=StandardScaler(), **how)
    net, expected, scaler = network(), network(), StandardScaler()
    net.fit_stream(cut(X, y), scaler=scaler, **how)
    expected.fit_stream(cut(X, y), scaler=StandardScaler(), kernel="sequential")
    np.testing.assert_array_equal(net.parameters, expected.parameters)
    assert scaler.n_samples_seen_ == len(X)
