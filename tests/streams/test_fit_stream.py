"""Streams of arrays: the same steps as one epoch of `fit`, however they are cut."""

import numpy as np
import pytest

import numbabp as nbp

RULES = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]


def samples(n=700, n_inputs=5, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, n_inputs))
    return X, (X[:, 0] * X[:, 1] > 0).astype(float), generator.random(n)


def network(n_inputs=5, **arguments):
    sizes = (n_inputs, 7, 1)
    return nbp.Network(sizes, loss="binary_cross_entropy", random_state=0, **arguments)


def cut(*arrays, seed=1, most=100):
    """Batches of all lengths, some of them empty."""
    generator, start = np.random.default_rng(seed), 0
    while start < len(arrays[0]):
        stop = start + int(generator.integers(0, most))
        yield tuple(array[start:stop] for array in arrays)
        start = stop


@pytest.mark.parametrize("update_rule", RULES)
@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_stream_ends_as_one_epoch_in_order(update_rule, batch_size, weighted):
    X, y, w = samples()
    options = {"learning_rate": 0.02, "update_rule": update_rule, "batch_size": batch_size, "l2": 1e-3}
    if batch_size == 1:
        options["kernel"] = "sequential" if update_rule == "sgd" else "general"
    in_memory, streamed = network(), network()
    expected = in_memory.fit(X, y, epochs=1, shuffle=False, sample_weight=w if weighted else None, **options)
    found = streamed.fit_stream(cut(X, y, w) if weighted else cut(X, y), **options)
    np.testing.assert_array_equal(streamed.parameters, in_memory.parameters)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-12)
    np.testing.assert_array_equal(found.n_samples, [len(X)])
    assert streamed.history is found
