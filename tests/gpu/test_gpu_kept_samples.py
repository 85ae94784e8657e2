"""Runs with a checkpoint and samples on a GPU: told apart as those of the host are, and gone on with."""

import numpy as np
import pytest
from checkpointing import all_versions, slices_end_anywhere

import numbabp as nbp
from numbabp.devices import memory
from numbabp.training.checkpoints import identities

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N = 12
draw = np.random.RandomState(1)
X = draw.standard_normal((N, 3))
Y = (X[:, 0] > 0).astype(int)
WEIGHTS = np.linspace(1, 2, N)
on_gpu = memory.to_device


def gone_on(monkeypatch, path, fitted):
    """Make sure that a run ends with the same bits from its checkpoints, with samples of the host, too."""
    slices_end_anywhere(monkeypatch, N)
    expected = fitted(on_gpu)
    written = all_versions(monkeypatch)
    assert fitted(on_gpu, checkpoint=path, checkpoint_every=0) == expected
    assert len(written) > 1
    for place, version in ((on_gpu, written[0]), (np.array, written[0]), (on_gpu, written[-1])):
        path.write_bytes(version)
        assert fitted(place, checkpoint=path) == expected


def test_networks(tmp_path, monkeypatch):
    def fitted(place, **more):
        net = nbp.Network((3, 4, 1), loss="binary_cross_entropy", random_state=0)
        options = {"kernel": "blocked", "block_length": 4, "epochs": 4, "device": "cuda"}
        validation = place(X), place(Y)
        net.fit(
            place(X), place(Y), sample_weight=place(WEIGHTS), validation_data=validation, **options, **more
        )
        return net.parameters.tobytes(), net.history.loss.tolist()

    gone_on(monkeypatch, tmp_path / "run", fitted)


@pytest.mark.parametrize("of_each", [False, True])
def test_populations_with_weights(tmp_path, monkeypatch, of_each):
    weights = WEIGHTS * np.array([[1.0], [0.5], [2.0]]) if of_each else WEIGHTS

    def fitted(place, **more):
        population = nbp.Population((3, 4, 1), 3, loss="binary_cross_entropy", random_state=0)
        options = {"learning_rate": 0.1, "epochs": 6, "device": "cuda", "kernel": "thread"}
        history = population.fit(place(X), place(Y), sample_weight=place(weights), **options, **more)
        return population.parameters.tobytes(), history.loss.round(12).tobytes()

    gone_on(monkeypatch, tmp_path / "run", fitted)
    on_cpu = nbp.Population((3, 4, 1), 3, loss="binary_cross_entropy", random_state=0)
    on_cpu.fit(X, Y, sample_weight=weights, learning_rate=0.1, epochs=6, device="cpu")
    found = np.frombuffer(fitted(on_gpu)[0]).reshape(on_cpu.parameters.shape)
    np.testing.assert_allclose(found, on_cpu.parameters, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((2, N)), rf"sample_weight must have shape \({N},\) or \(3, {N}\), got \(2, {N}\)"),
        (-WEIGHTS, "sample_weight must be finite and not negative, got -2"),
        (WEIGHTS * [[1], [0], [1]], "sample_weight must not be 0 for all samples of a network"),
        (np.full(N, np.nan), r"sample_weight must be finite, but sample_weight\[0, 0\] is nan"),
    ],
)
def test_what_weights_of_populations_must_be(weights, message):
    population = nbp.Population((3, 4, 1), 3, loss="binary_cross_entropy", random_state=0)
    with pytest.raises(ValueError, match=message):
        population.fit(on_gpu(X), on_gpu(Y), sample_weight=on_gpu(weights))
    with pytest.raises(ValueError, match=r"sample_weight lies on GPU \d+, but X in the host's memory"):
        population.fit(X, Y, sample_weight=on_gpu(weights))


def test_estimators(tmp_path):
    model = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "checkpoint": tmp_path / "run"}
    model |= {"early_stopping": True, "device": "cuda"}
    first = nbp.MLPClassifier(**model).fit(on_gpu(X), on_gpu(Y), on_gpu(WEIGHTS))
    again = nbp.MLPClassifier(**model).fit(X, Y, WEIGHTS)  # finished, as the file says
    np.testing.assert_array_equal(first.coefs_[0], again.coefs_[0])
    with pytest.raises(ValueError, match="is of another run; what differs: the samples"):
        nbp.MLPClassifier(**model).fit(on_gpu(X[::-1].copy()), on_gpu(Y), on_gpu(WEIGHTS))


def test_samples_come_to_the_host_in_parts_to_be_told_apart(monkeypatch):
    expected = [identities.digest_of(array, X) for array in (X, X.T, Y, Y.astype(np.int32), X[:0])]
    assert len({*expected}) == 4  # indices of both sizes are the same
    monkeypatch.setattr(identities, "PART_BYTES", 50)
    copies = []
    to_host = memory.to_host
    monkeypatch.setattr(identities, "to_host", lambda array: copies.append(array.nbytes) or to_host(array))
    for array, digest in zip((X, X.T, Y, Y.astype(np.int32), X[:0]), expected, strict=True):
        assert identities.digest_of(on_gpu(array), on_gpu(X)) == digest
    assert max(copies) <= 96  # a row of X.T
