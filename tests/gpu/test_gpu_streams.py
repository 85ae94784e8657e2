"""Streams that are learnt on a GPU, from batches there or in the host's memory."""

import numpy as np
import pytest
from checkpointing import all_versions

import numbabp as nbp
from numbabp.devices import memory
from numbabp.streams import batches as stream_batches
from numbabp.streams import learning

pytestmark = pytest.mark.gpu

N = 12
draw = np.random.RandomState(1)
X = draw.standard_normal((N, 3))
Y = (X[:, 0] > 0).astype(float)
WEIGHTS = np.where(np.arange(N) % 3, np.linspace(1, 2, N), 0)
on_gpu = memory.to_device
BLOCKED = {"kernel": "blocked", "block_length": 4}
PERSISTENT = {"kernel": "persistent"}


def new():
    return nbp.Network((3, 4, 1), loss="binary_cross_entropy", random_state=0)


def cut(place, weights=None):
    given = (X, Y) if weights is None else (X, Y, weights)
    for rows in (slice(0, 1), slice(1, 6), slice(6, 7), slice(7, N)):
        yield tuple(place(values[rows]) for values in given)


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    monkeypatch.setattr(learning, "PIECE_SECONDS", 1e-9)


def assert_alike(streamed, expected):
    np.testing.assert_allclose(streamed.parameters, expected.parameters, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(streamed.history.loss, expected.history.loss, rtol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("options", [BLOCKED, PERSISTENT, {**PERSISTENT, "update_rule": "momentum"}])
def test_what_is_learnt_is_what_the_cpu_learns(options, weights):
    expected, rule = new(), options.get("update_rule", "sgd")
    expected.fit(X, Y, epochs=1, shuffle=False, sample_weight=weights, update_rule=rule)
    for place in (on_gpu, np.array):
        streamed = new()
        history = streamed.fit_stream(cut(place, weights), device="cuda", **options)
        assert history.n_samples.tolist() == [N]
        assert_alike(streamed, expected)


def test_batches_stay_on_the_gpu(monkeypatch):
    copies, to_host = [], memory.to_host
    monkeypatch.setattr(memory, "to_host", lambda array: copies.append(array.shape) or to_host(array))
    many = draw.standard_normal((100, 3))
    new().fit_stream([(on_gpu(many), on_gpu(many[:, 0] > 0))], device="cuda", **PERSISTENT)
    assert not [shape for shape in copies if len(shape) == 2 and shape[1] == 3]


def test_from_checkpoints_a_stream_ends_with_the_same_bits(tmp_path, monkeypatch):
    def fitted(place, **more):
        net = new()
        history = net.fit_stream(cut(place), device="cuda", history_every=4, **BLOCKED, **more)
        return net.parameters.tobytes(), history.n_samples.tolist(), history.loss.round(12).tolist()

    expected = fitted(on_gpu)
    written, path = all_versions(monkeypatch), tmp_path / "run"
    assert fitted(on_gpu, checkpoint=path, checkpoint_every=0) == expected
    assert len(written) > 1
    for place in (on_gpu, np.array):
        path.write_bytes(written[0])
        assert fitted(place, checkpoint=path) == expected
    path.write_bytes(written[0])
    with pytest.raises(ValueError, match="the stream is not the one of the checkpoint"):
        fitted(lambda values: on_gpu(values / 2), checkpoint=path)


def test_what_is_not_allowed_names_the_batch():
    net = new()
    before = net.parameters.copy()
    for device in ("auto", "cpu"):
        message = r"batch 0 .*: X lies on GPU \d+, but fit_stream trains on the CPU: device='cuda:\d+' trains"
        with pytest.raises(ValueError, match=message):
            net.fit_stream(cut(on_gpu), device=device)
    with pytest.raises(ValueError, match=r"batch 0 .*: y lies on GPU \d+, but X in the host's memory"):
        net.fit_stream([(X, on_gpu(Y))], device="cuda")
    with pytest.raises(ValueError, match=r"batch 0 .*: X must be finite, but X\[0, 0\] is nan"):
        net.fit_stream([(on_gpu(X * np.nan), on_gpu(Y))], device="cuda")
    np.testing.assert_array_equal(net.parameters, before)


def test_weights_of_a_batch_may_all_be_0():
    batch = stream_batches.DeviceBatch(new().architecture, on_gpu(X), on_gpu(Y), on_gpu(0 * WEIGHTS))
    assert not batch.weights.any()
