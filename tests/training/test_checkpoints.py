"""Checkpoints: a run that was stopped anywhere ends with the bits of one that was not."""

import numpy as np
import pytest
import scipy.sparse

import numbabp as nbp
from numbabp.training import loop
from numbabp.training.checkpoints import files, keeper

N = 60


class RandomSlices:
    """Slices of any length, which end anywhere in an epoch."""

    def __init__(self, length):
        self._draw = np.random.RandomState(N)
        self.took(0, 0, 0)

    def took(self, done, elapsed, seconds, asked=None):
        self.length = int(self._draw.randint(1, 2 * N))


@pytest.fixture
def versions(monkeypatch):
    """All that is written, as whole files, where a checkpoint comes after every slice."""
    written = []

    def write(path, identity, standing):
        real(path, identity, standing)
        with open(path, "rb") as file:
            written.append(file.read())

    real = files.write
    monkeypatch.setattr(files, "write", write)
    monkeypatch.setattr(keeper.Keeper, "_start", lambda self, work: work())
    monkeypatch.setattr(loop, "Slices", RandomSlices)
    return written


def samples(n_inputs, sparse=False):
    draw = np.random.RandomState(1)
    X = draw.standard_normal((N, n_inputs))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    if sparse:
        X[draw.uniform(size=X.shape) < 0.7] = 0
        X = scipy.sparse.csr_matrix(X)
    return X, y


def new_network(sizes, dtype="float64"):
    return nbp.Network(
        sizes, hidden_activation="tanh", loss="binary_cross_entropy", dtype=dtype, random_state=3
    )


def bits(net, history):
    """All that a run leaves behind, but how long it took."""
    state = net.rule_state(history_rule(net))
    found = {**history.to_dict(), "seconds": 0}
    return (
        net.parameters.tobytes(),
        state.moments.tobytes(),
        int(state.steps),
        repr(found),
        net.random_state.get_state()[1].tobytes(),
        net.random_state.get_state()[2],
    )


def history_rule(net):
    return net._rule_state.update_rule


BASE = {"learning_rate": 0.01, "epochs": 6, "random_state": None}
CASES = {
    "sequential": ((3, 4, 1), {"kernel": "sequential"}),
    "sequential, fixed order": ((3, 4, 1), {"kernel": "sequential", "shuffle": False, "l2": 0.01}),
    "sequential, updated": ((3, 5, 4, 1), {"propagate": "updated"}),
    "tiny": ((2, 10, 1), {"kernel": "tiny"}),
    "general, momentum": ((3, 4, 1), {"kernel": "general", "update_rule": "momentum"}),
    "general, nesterov": ((3, 4, 1), {"kernel": "general", "update_rule": "nesterov", "clip_norm": 1.0}),
    "general, adagrad": ((3, 4, 1), {"kernel": "general", "update_rule": "adagrad", "l1": 1e-4}),
    "general, rmsprop": ((3, 4, 1), {"kernel": "general", "update_rule": "rmsprop"}),
    "general, adam": ((3, 4, 1), {"kernel": "general", "update_rule": "adam"}),
    "general, adamw": ((3, 4, 1), {"kernel": "general", "update_rule": "adamw", "l2": 0.01}),
    "general, batches": ((3, 4, 1), {"kernel": "general", "update_rule": "adam", "batch_size": 7}),
    "general, rprop": ((3, 4, 1), {"kernel": "general", "update_rule": "rprop", "batch_size": N}),
    "minibatch": ((3, 4, 1), {"kernel": "minibatch", "batch_size": 7, "update_rule": "adam"}),
    "minibatch, clipped": ((3, 4, 1), {"kernel": "minibatch", "batch_size": 7, "clip_norm": 0.5}),
    "blocked": ((20, 8, 1), {"kernel": "blocked", "block_length": 16}),
    "blocked, momentum": ((20, 8, 8, 1), {"block_length": 8, "update_rule": "momentum", "l2": 0.01}),
    "blocked, nesterov": ((20, 8, 1), {"block_length": 32, "update_rule": "nesterov"}),
    "sparse": ((20, 4, 1), {}),
    "sparse, momentum": ((20, 4, 1), {"update_rule": "momentum", "l2": 0.01}),
    "sparse, adam": ((20, 4, 1), {"update_rule": "adam"}),
    "sparse, batches": ((20, 4, 1), {"update_rule": "adam", "batch_size": 7}),
    "cosine": ((3, 4, 1), {"schedule": "cosine"}),
    "adaptive": ((3, 4, 1), {"schedule": "adaptive", "tol": 1.0, "schedule_options": {"patience": 1}}),
    "a function": ((3, 4, 1), {"schedule": lambda epoch: 0.1 / (1 + epoch)}),
    "early stopping": ((3, 4, 1), {"early_stopping": True, "patience": 2, "learning_rate": 2.0}),
    "own seed": ((3, 4, 1), {"random_state": 5, "monitor": ("squared_error",)}),
}


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_from_every_checkpoint_a_run_ends_with_the_same_bits(tmp_path, versions, name, weighted, validated):
    sizes, options = CASES[name]
    dtype = "float32" if weighted else "float64"
    X, y = samples(sizes[0], name.startswith("sparse"))
    arguments = {**BASE, **options}
    if weighted:
        arguments["sample_weight"] = np.random.RandomState(2).randint(3, size=N)
    if validated:
        arguments["validation_data"] = X[:20], y[:20]
    plain = new_network(sizes, dtype)
    expected = bits(plain, plain.fit(X, y, **arguments))

    path = tmp_path / "run"
    kept = new_network(sizes, dtype)
    assert bits(kept, kept.fit(X, y, checkpoint=path, checkpoint_every=0, **arguments)) == expected
    assert len(versions) > 4
    for version in versions.copy():
        path.write_bytes(version)
        again = new_network(sizes, dtype)
        again.random_state.seed(9)  # comes from the file, where it is the network's own
        found = bits(again, again.fit(X, y, checkpoint=path, checkpoint_every=0, **arguments))
        assert found[:4] == expected[:4]
        assert found[4:] == expected[4:]
