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


@pytest.mark.parametrize("update_rule", RULES)
def test_one_sample_at_a_time_a_stream_and_fit_are_one(update_rule):
    X, y, _ = samples(300)
    options = {"learning_rate": 0.02, "update_rule": update_rule, "l2": 1e-3}
    kernel = "sequential" if update_rule == "sgd" else "general"
    by_one, streamed, in_memory, planned = (network() for _ in range(4))
    learner = by_one.online(**options)
    for x, target in zip(X, y, strict=True):
        learner.learn_one(x, target)
    streamed.fit_stream(cut(X, y), kernel=kernel, **options)
    in_memory.fit(X, y, epochs=1, shuffle=False, kernel=kernel, **options)
    planned.fit_stream(cut(X, y, seed=2), **options)  # whatever kernel is the fastest
    np.testing.assert_array_equal(by_one.parameters, in_memory.parameters)
    np.testing.assert_array_equal(streamed.parameters, in_memory.parameters)
    np.testing.assert_allclose(planned.parameters, in_memory.parameters, rtol=1e-12, atol=1e-12)
    for one in (by_one, streamed, planned):  # and go on alike
        one.fit(X, y, epochs=1, shuffle=False, kernel=kernel, **options)
    np.testing.assert_array_equal(by_one.parameters, streamed.parameters)
    np.testing.assert_allclose(planned.parameters, streamed.parameters, rtol=1e-12, atol=1e-12)


def test_progress_is_shown_where_it_is_asked_for(capsys):
    X, y, _ = samples()
    network().fit_stream(cut(X, y), progress=True, kernel="sequential")
    assert "sample 700" in capsys.readouterr().err
    network().fit_stream(cut(X, y), kernel="sequential")
    assert not capsys.readouterr().err
