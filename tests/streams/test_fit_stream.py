"""Streams of arrays: the same steps as one epoch of `fit`, however they are cut."""

import numpy as np
import pytest
from streaming import cut, network, samples

RULES = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]


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
