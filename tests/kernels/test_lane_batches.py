"""Mini-batches of populations in the lanes of vectors: every network as if it were alone."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from population_problems import ADAPTIVE, LANES, LINEAR, N_SAMPLES, N, assert_as_the_reference

import numbabp as nbp
from numbabp.kernels.lanes.batches import PART
from numbabp.training import slicing

pytestmark = pytest.mark.once

CASES = [  # sizes, activations, loss
    ((2, 10, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy"),
    ((3, 4), ("softmax",), "categorical_cross_entropy"),
    ((5, 7, 6, 3), ("tanh", "gelu", "softmax"), "categorical_cross_entropy"),
    ((4, 6, 3), ("relu", "sigmoid"), "binary_cross_entropy"),
    ((3, 5, 2), ("elu", "softmax"), "squared_error"),
    ((3, 5, 4, 2), ("sigmoid", "silu", "identity"), "huber"),
    ((1, 1, 1), ("identity", "sigmoid"), "squared_error"),
    ((3, 5, 2), ("tanh", "exp"), "poisson"),
    ((9, 6, 3), ("softplus", "identity"), "quantile"),
]
SIZES = (2, 4, PART, PART + 3, 2 * PART, N_SAMPLES, 40)
"""Of mini-batches: one part, several, all samples and more; the last one of an epoch is mostly short."""


@pytest.mark.parametrize("own_order", [False, True])
@pytest.mark.parametrize(
    ("case", "rule", "batch_size"),
    [(i, "sgd", SIZES[i % len(SIZES)]) for i in range(len(CASES))]
    + [(0, rule, 4) for rule in (*LINEAR[1:], *ADAPTIVE)]
    + [(2, rule, PART + 3) for rule in (*LINEAR[1:], *ADAPTIVE)],
)
def test_every_network_agrees_with_the_reference(case, rule, batch_size, own_order):
    assert_as_the_reference(CASES[case], rule, "lanes", own_order, batch_size)


@pytest.mark.parametrize("batch_size", SIZES)
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_each_network_is_the_one_that_it_would_be_alone(rule, batch_size):
    """Without weights, shuffled, with a schedule, twice in a row; the rule's state, too."""
    data = np.random.RandomState(0)
    X, y = data.standard_normal((N_SAMPLES, 6)), data.randint(0, 3, N_SAMPLES)
    many = nbp.Population((6, 5, 3), N, loss="categorical_cross_entropy", random_state=0)
    rates = np.where(np.arange(N) % 2, 0.05, 0.1)
    how = {"epochs": 6, "update_rule": rule, "batch_size": batch_size, "schedule": "cosine", "l2": 0.01}
    how |= {"epsilon": 1e-2}
    alone = {i: many[i] for i in (0, LANES, N - 1)}
    for k in range(2):
        history = many.fit(X, y, learning_rate=rates, random_state=k, kernel="lanes", **how)
        for i, network in alone.items():
            own = network.fit(X, y, learning_rate=rates[i], random_state=k, **how)
            np.testing.assert_allclose(many.parameters[i], network.parameters, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(history.loss[i], own.loss, rtol=1e-10)
            np.testing.assert_allclose(history.accuracy[i], own.accuracy, rtol=1e-12)
            assert many._rule_state.steps[i] == network._rule_state.steps


@pytest.mark.parametrize("own_order", [False, True])
@pytest.mark.parametrize(("rule", "batch_size"), [("sgd", 4), ("momentum", PART + 3), ("adam", 2 * PART)])
@pytest.mark.parametrize(
    ("seconds", "options"),
    [(1e-12, {}), (1e-6, {"n_threads": 1}), (0.05, {"chunk_size": 5}), (0.05, {})],
)
def test_slices_threads_and_turns_change_no_bit(seconds, options, rule, batch_size, own_order, monkeypatch):
    train = {"epochs": 7, "random_state": 0, "update_rule": rule, "batch_size": batch_size}
    train |= {"learning_rate": 0.1, "progress": False, "kernel": "lanes", "own_order": own_order}
    data = np.random.RandomState(0)
    X, Y = data.standard_normal((39, 3)), data.randint(0, 2, (39, 1))
    make = {"loss": "binary_cross_entropy", "random_state": 0}
    whole, parts = (nbp.Population((3, 10, 1), 3 * LANES + 1, **make) for _ in range(2))
    of_whole = whole.fit(X, Y, **train)
    monkeypatch.setattr(slicing, "SLICE_SECONDS", seconds)
    of_parts = parts.fit(X, Y, **train, **options)
    np.testing.assert_array_equal(parts.parameters, whole.parameters)
    np.testing.assert_array_equal(of_parts.loss, of_whole.loss)
    np.testing.assert_array_equal(of_parts.accuracy, of_whole.accuracy)


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_a_network_that_diverges_is_frozen_and_harms_no_other(rule):
    data = np.random.RandomState(0)
    X, Y = data.standard_normal((20, 3)), data.standard_normal((20, 2))
    rates = np.full(N, 0.01)
    rates[[4, LANES + 1]] = 1e3
    how = {"epochs": 30, "update_rule": rule, "batch_size": 12, "random_state": 0, "kernel": "lanes"}
    make = {"hidden_activation": "relu", "random_state": 0}
    many, healthy = (nbp.Population((3, 6, 2), N, **make) for _ in range(2))
    history = many.fit(X, Y, learning_rate=rates, **how)
    healthy.fit(X, Y, learning_rate=0.01, **how)
    assert sorted(history.diverged) == [4, LANES + 1]
    assert np.isfinite(many.parameters).all()
    others = np.delete(np.arange(N), [4, LANES + 1])
    np.testing.assert_array_equal(many.parameters[others], healthy.parameters[others])


def test_it_runs_without_the_compiler():
    script = textwrap.dedent(
        """
        import numpy as np, numbabp as nbp
        X, y = np.random.RandomState(0).standard_normal((7, 3)), [0, 1, 1, 0, 2, 1, 0]
        many = nbp.Population((3, 3, 3), 3, loss="categorical_cross_entropy", random_state=0)
        how = {"kernel": "lanes", "n_threads": 1, "learning_rate": [0.5, 0.1, 0.3], "progress": False}
        how |= {"batch_size": 5, "random_state": 0}
        many.fit(X, y, epochs=2, **how)
        many.fit(X, y, epochs=2, update_rule="adam", l2=0.01, **how)
        many.fit(X, y, epochs=2, own_order=True, sample_weight=[1, 0, 2, 1, 0, 1, 1], **how)
        print(*many.parameters.ravel(), *many.history.loss.ravel())
        """
    )
    found = []
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        found.append(np.array(done.stdout.split(), float))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-11)
