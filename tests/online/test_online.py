"""Learning from one sample at a time: the steps of `fit`, and what it says of what can't be learnt from."""

import copy
import pickle
import threading

import numpy as np
import pytest
import reference

import numbabp as nbp

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
RATE = 1 / 64
N = 200


def samples(dtype="float64", n_inputs=5, n_outputs=3):
    draw = np.random.RandomState(0)
    X = draw.standard_normal((N, n_inputs)).astype(dtype)
    return X, np.eye(n_outputs, dtype=dtype)[draw.randint(n_outputs, size=N)]


def network(dtype="float64", **options):
    given = {"loss": "categorical_cross_entropy", "hidden_activation": "tanh", **options}
    return nbp.Network((5, 7, 3), dtype=dtype, random_state=0, **given)


def learnt(net, X, Y, **options):
    """A learner that has learnt the samples one by one, and what it returned."""
    learner = net.online(**options)
    return learner, np.array([learner.learn_one(x, y) for x, y in zip(X, Y, strict=True)])


@pytest.mark.parametrize("rule", RULES)
def test_it_takes_the_steps_of_fit_to_the_bit(rule):
    options = {"update_rule": rule, "learning_rate": RATE, "l2": 0.01}
    X, Y = samples()
    one, all_at_once = network(), network()
    learner, _ = learnt(one, X, Y, **options)
    kernel = "sequential" if rule == "sgd" else "general"
    history = all_at_once.fit(X, Y, epochs=1, shuffle=False, kernel=kernel, **options)
    np.testing.assert_array_equal(one.parameters, all_at_once.parameters)
    np.testing.assert_array_equal(one.rule_state(rule).moments, all_at_once.rule_state(rule).moments)
    assert learner.metrics == pytest.approx({name: values[-1] for name, values in history.items()}, rel=1e-12)
    assert one.rule_state(rule).steps == N == learner.n_samples


@pytest.mark.parametrize("rule", RULES)
def test_it_takes_the_steps_of_the_reference(rule):
    options = {"update_rule": rule, "l2": 0.01}
    X, Y = samples()
    net = network()
    weights, biases = [W.copy() for W in net.weights], [b.copy() for b in net.biases]
    learnt(net, X, Y, learning_rate=RATE, **options)
    of = {"activations": net.activations, "loss": net.loss, "learning_rates": [RATE]}
    trained = reference.train(weights, biases, X, Y, **of, **options)
    for ours, theirs in zip([*net.weights, *net.biases], [*trained.weights, *trained.biases], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-10 * np.abs(theirs).max())


@pytest.mark.parametrize(
    "options",
    [
        {"propagate": "updated"},
        {"clip_norm": 0.5, "update_rule": "momentum"},
        {"clip_value": 0.05, "l1": 0.01, "update_rule": "adam"},
    ],
    ids=str,
)
def test_options_of_a_step_are_those_of_fit(options):
    X, Y = samples()
    one, all_at_once = network(), network()
    learnt(one, X, Y, learning_rate=RATE, **options)
    all_at_once.fit(X, Y, epochs=1, shuffle=False, learning_rate=RATE, block_length=None, **options)
    np.testing.assert_allclose(one.parameters, all_at_once.parameters, rtol=1e-12, atol=1e-13)


def test_in_float32_and_of_hidden_layers_that_differ():
    X, Y = samples("float32")
    nets = [
        nbp.Network((5, 7, 6, 3), hidden_activation=("relu", "tanh"), dtype="float32", random_state=0)
        for _ in range(2)
    ]
    learnt(nets[0], X, Y, learning_rate=RATE)
    nets[1].fit(X, Y, epochs=1, shuffle=False, kernel="sequential", learning_rate=RATE)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_it_returns_the_outputs_before_the_update():
    X, Y = samples()
    net = network()
    learner = net.online(learning_rate=RATE)
    for x, y in zip(X[:20], Y[:20], strict=True):
        before = net.forward([x])[0]
        np.testing.assert_allclose(learner.learn_one(x, y), before, rtol=1e-12)
        assert (net.forward([x])[0] != before).all()


def test_samples_may_be_given_in_any_way():
    X, Y = samples()
    classes = Y.argmax(axis=1)
    expected = network()
    learnt(expected, X, Y, learning_rate=RATE)
    wide = np.repeat(X, 2, axis=1)
    read_only = X.copy()
    read_only.flags.writeable = False
    for given, targets in [
        (X.tolist(), classes.tolist()),
        (map(tuple, X), classes),
        (wide[:, ::2], [np.int64(k) for k in classes]),
        (read_only, Y.tolist()),
        (X.astype(object).astype(np.longdouble), Y.astype(int)),
    ]:
        net = network()
        learnt(net, list(given), targets, learning_rate=RATE)
        np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_what_lies_in_place_is_learnt_without_arguments():
    X, Y = samples()
    nets = network(), network()
    learner = nets[0].online(learning_rate=RATE)
    for x, y in zip(X, Y, strict=True):
        learner.inputs[:], learner.targets[:] = x, y
        looked = learner.forward().copy()
        assert learner.learn() is learner.outputs
        np.testing.assert_allclose(learner.outputs, looked, rtol=1e-12)
    learnt(nets[1], X, Y, learning_rate=RATE)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_predictions_are_those_of_the_network():
    X, _ = samples()
    for net in (
        network(),
        network(loss="squared_error"),
        nbp.Network((5, 4, 1), loss="binary_cross_entropy", random_state=0),
        nbp.Network((5, 4, 2), loss="binary_cross_entropy", random_state=0),
        nbp.Network((5, 4, 1), random_state=0),
    ):
        learner = net.online()
        for x, forward, predicted in zip(X[:9], net.forward(X[:9]), net.predict(X[:9]), strict=True):
            np.testing.assert_allclose(learner.forward_one(x), forward, rtol=1e-12)
            np.testing.assert_allclose(learner.predict_one(x.tolist()), predicted, rtol=1e-12)
            assert np.shape(learner.predict_one(x)) == np.shape(predicted)


def test_weights_are_factors_and_with_0_nothing_is_learnt():
    X, Y = samples()
    weights = np.arange(N) % 3 / 2
    one, all_at_once = network(), network()
    learner = one.online(learning_rate=RATE)
    for x, y, weight in zip(X, Y, weights, strict=True):
        learner.learn_one(x, y, sample_weight=weight)
    history = all_at_once.fit(
        X, Y, epochs=1, shuffle=False, kernel="sequential", learning_rate=RATE, sample_weight=weights
    )
    np.testing.assert_array_equal(one.parameters, all_at_once.parameters)
    assert learner.metrics["loss"] == pytest.approx(history.loss[-1], rel=1e-12)
    assert learner.n_samples == np.count_nonzero(weights)


@pytest.mark.parametrize(
    ("x", "y", "weight", "error", "says"),
    [
        ([1.0, 2.0], 0, 1.0, ValueError, "x has 2 columns, but the network has 5 inputs"),
        (np.ones(4), 0, 1.0, ValueError, "x has 4 columns"),
        (np.ones((1, 5)), 0, 1.0, ValueError, r"x must be one sample, of shape \(5,\), got shape \(1, 5\)"),
        (3.0, 0, 1.0, ValueError, "x must be one sample"),
        ([1, 2, 3, 4, np.nan], 0, 1.0, ValueError, "x must be finite"),
        (np.array([1, 2, np.inf, 4, 5]), 0, 1.0, ValueError, "x must be finite"),
        (["1", "2", "3", "4", "5"], 0, 1.0, TypeError, "x must be numeric"),
        (np.array(["1", "2", "3", "4", "5"]), 0, 1.0, TypeError, "x must be numeric"),
        ([1, 2, None, 4, 5], 0, 1.0, TypeError, "x must be numeric"),
        (np.ones(5), 3, 1.0, ValueError, "y must"),
        (np.ones(5), -1, 1.0, ValueError, "y must"),
        (np.ones(5), 1.5, 1.0, ValueError, "y must"),
        (np.ones(5), "a", 1.0, TypeError, "y must be numeric"),
        (np.ones(5), [0, 1], 1.0, ValueError, "y has 2 columns"),
        (np.ones(5), [0, 1, 2], 1.0, ValueError, "y must lie between 0 and 1"),
        (np.ones(5), [0, 1, np.nan], 1.0, ValueError, "y must be finite"),
        (np.ones(5), 0, -1.0, ValueError, "sample_weight must be"),
        (np.ones(5), 0, np.nan, ValueError, "sample_weight must be"),
        (np.ones(5), 0, "1", TypeError, "sample_weight must be"),
    ],
)
def test_what_can_not_be_learnt_from_is_an_error_and_changes_nothing(x, y, weight, error, says):
    net = network()
    learner = net.online(update_rule="adam")
    learner.learn_one(np.zeros(5), 1)
    before = net.parameters.copy(), net.rule_state("adam").moments.copy(), learner.metrics
    with pytest.raises(error, match=says):
        learner.learn_one(x, y, sample_weight=weight)
    np.testing.assert_array_equal(net.parameters, before[0])
    np.testing.assert_array_equal(net.rule_state("adam").moments, before[1])
    assert learner.metrics == before[2] and net.rule_state("adam").steps == 1
    learner.learn_one(np.zeros(5), 1)  # and the next one has its usual weight
    assert learner.n_samples == 2


def test_targets_of_one_output():
    learner = nbp.Network((2, 3, 1), random_state=0).online()
    for y in (1, 2.5, True, np.float32(3), np.array(4.0), [5.0]):
        learner.learn_one([1, 2], y)
        assert learner.targets[0] == np.ravel(y)[0]
    for y in (np.nan, np.inf, 1e400):
        with pytest.raises(ValueError, match="y must be finite"):
            learner.learn_one([1, 2], y)
    for y in ("1", None, object()):
        with pytest.raises(TypeError, match="y must be numeric"):
            learner.learn_one([1, 2], y)
    with pytest.raises(ValueError, match=r"y .* columns"):
        learner.learn_one([1, 2], [1.0, 2.0])


def test_metrics_of_all_and_of_the_latest():
    X, Y = samples()
    learner = network().online(learning_rate=RATE, window=30, monitor=("squared_error",))
    losses, errors = [], []
    assert np.isnan(learner.metrics["loss"])
    for x, y in zip(X, Y, strict=True):
        p = learner.learn_one(x, y)
        losses.append(-np.log(p[y.argmax()]))
        errors.append(((p - y) ** 2).sum() / 2)
    assert learner.metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    assert learner.window_metrics["loss"] == pytest.approx(np.mean(losses[-30:]), rel=1e-12)
    assert learner.window_metrics["squared_error"] == pytest.approx(np.mean(errors[-30:]), rel=1e-12)
    assert 0 <= learner.window_metrics["accuracy"] <= 1


def test_copies_pickles_and_files_go_on_from_the_last_sample(tmp_path):
    X, Y = samples()
    whole, net = network(), network()
    learnt(whole, X, Y, update_rule="adam", learning_rate=RATE)
    learnt(net, X[:100], Y[:100], update_rule="adam", learning_rate=RATE)
    net.save(tmp_path / "net")
    for other in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net)), nbp.load(tmp_path / "net")):
        learnt(other, X[100:], Y[100:], update_rule="adam", learning_rate=RATE)
        np.testing.assert_array_equal(other.parameters, whole.parameters)


def test_fits_and_learners_take_turns():
    X, Y = samples()
    fit = {"epochs": 1, "shuffle": False, "kernel": "general", "update_rule": "adam", "learning_rate": RATE}
    one, other = network(), network()
    first, second = (
        one.online(update_rule="adam", learning_rate=RATE),
        one.online(update_rule="adam", learning_rate=RATE),
    )
    for x, y in zip(X[:50], Y[:50], strict=True):
        first.learn_one(x, y)
    one.fit(X[50:100], Y[50:100], **fit)
    for x, y in zip(X[100:], Y[100:], strict=True):
        second.learn_one(x, y)
    other.fit(X, Y, **fit)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    assert one.rule_state("adam").steps == N


def test_the_learning_rate_may_change():
    X, Y = samples()
    net, other = network(), network()
    learner = net.online(learning_rate=RATE)
    for t, (x, y) in enumerate(zip(X, Y, strict=True)):
        learner.learning_rate = RATE / (1 + t)
        learner.learn_one(x, y)
        other.fit([x], [y], epochs=1, kernel="sequential", learning_rate=RATE / (1 + t))
    np.testing.assert_array_equal(net.parameters, other.parameters)
    for rate in (0, np.nan, "1"):
        with pytest.raises((ValueError, TypeError), match="learning_rate must"):
            learner.learning_rate = rate


def test_divergence_is_an_error_and_leaves_finite_parameters():
    draw = np.random.RandomState(0)
    net = nbp.Network((2, 4, 1), hidden_activation="relu", random_state=0)
    learner = net.online(learning_rate=100.0)
    with pytest.raises(nbp.DivergenceError, match="of the parameters, which are those after sample 0"):
        for _ in range(3000):
            learner.learn_one(draw.standard_normal(2), draw.standard_normal())
    assert np.isfinite(net.forward(draw.standard_normal((9, 2)))).all()
    learner.learning_rate = 0.01
    for _ in range(3000):
        learner.learn_one(draw.standard_normal(2), 1.0)
    assert abs(learner.predict_one([0.3, 0.1]) - 1) < 0.1


def test_while_another_thread_trains_the_network_it_is_refused():
    X, Y = samples()
    net = network()
    learner = net.online()
    reached, may_end = threading.Event(), threading.Event()

    def callback(epoch, metrics):
        reached.set()
        may_end.wait(30)

    fit = threading.Thread(target=lambda: net.fit(X, Y, epochs=1, callback=callback))
    fit.start()
    reached.wait(30)
    try:
        for learn in (lambda: learner.learn_one(X[0], Y[0]), learner.learn):
            with pytest.raises(RuntimeError, match="is being trained already"):
                learn()
    finally:
        may_end.set()
        fit.join()
    learner.learn_one(X[0], Y[0])


def test_options_that_a_step_has_not():
    net = network()
    for options in ({"epochs": 3}, {"batch_size": 2}, {"schedule": "cosine"}, {"shuffle": False}):
        with pytest.raises(TypeError, match="online takes no"):
            net.online(**options)
    with pytest.raises(ValueError, match="rprop"):
        net.online(update_rule="rprop")
    with pytest.raises(ValueError, match="window"):
        net.online(window=-1)
    net.parameters[3] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        net.online()


def test_learners_are_copied_with_their_networks():
    X, Y = samples()
    whole = network()
    learnt(whole, X, Y, update_rule="adam", learning_rate=RATE)
    net = network()
    learner, _ = learnt(net, X[:100], Y[:100], update_rule="adam", learning_rate=RATE, window=50)
    for copied_net, copied in (
        copy.deepcopy((net, learner)),
        pickle.loads(pickle.dumps((net, learner))),
        (net, learner),
    ):
        assert copied.n_samples == 100 and copied.window_metrics == learner.window_metrics
        for x, y in zip(X[100:], Y[100:], strict=True):
            copied.learn_one(x, y)
        np.testing.assert_array_equal(copied_net.parameters, whole.parameters)
        assert copied.n_samples == N


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_partial_fit_of_one_row_takes_the_same_steps(rule):
    X, Y = samples()
    options = {"update_rule": rule, "learning_rate": RATE}
    by_rows, all_at_once = network(), network()
    for i in range(N):
        history = by_rows.partial_fit(X[i : i + 1], Y[i : i + 1], **options)
        if i == 100:  # goes on in another one
            by_rows = pickle.loads(pickle.dumps(by_rows))
    kernel = "sequential" if rule == "sgd" else "general"
    all_at_once.fit(X[:-1], Y[:-1], epochs=1, shuffle=False, kernel=kernel, **options)
    last = all_at_once.evaluate(X[-1:], Y[-1:])
    assert history.loss.tolist() == [pytest.approx(last["loss"], rel=1e-12)]
    assert history.accuracy.tolist() == [last["accuracy"]] and by_rows.history is history
    all_at_once.partial_fit(X[-1:], Y[-1:], kernel=kernel, **options)
    np.testing.assert_array_equal(by_rows.parameters, all_at_once.parameters)
    assert by_rows.rule_state(rule).steps == N


@pytest.mark.parametrize("rule", ["sgd", "adam", "rprop"])
def test_each_row_may_have_a_rate_of_its_own(rule, monkeypatch):
    X, Y = samples()
    by_rows, by_the_general_way = network(), network()
    really, n_general = nbp.Network._train, []
    monkeypatch.setattr(nbp.Network, "_train", lambda *given: n_general.append(1) or really(*given))
    for i in range(20):
        options = {"update_rule": rule, "learning_rate": 0.1 / (1 + i), "device": "cpu"}
        history = by_rows.partial_fit(X[i : i + 1], Y[i : i + 1], **options)
        assert history.learning_rate.tolist() == [0.1 / (1 + i)]
    # rprop's steps are not those of single samples
    assert len(n_general) == (20 if rule == "rprop" else 1)
    for i in range(20):
        options["learning_rate"] = 0.1 / (1 + i)
        by_the_general_way.fit(X[i : i + 1], Y[i : i + 1], epochs=1, **options)
    np.testing.assert_array_equal(by_rows.parameters, by_the_general_way.parameters)
    # the order of one sample is not drawn
    assert by_rows.random_state.randint(2**30) == by_the_general_way.random_state.randint(2**30)
    with pytest.raises(ValueError, match="learning_rate"):
        by_rows.partial_fit(X[:1], Y[:1], **{**options, "learning_rate": np.nan})


def test_partial_fit_of_one_row_says_what_is_wrong_and_changes_nothing():
    X, Y = samples()
    net = network()
    for i in range(5):
        net.partial_fit(X[i : i + 1], Y[i : i + 1])
    before = net.parameters.copy()
    for X_bad, y_bad, says in (
        (np.full((1, 5), np.nan), Y[:1], "X must be finite"),
        (np.ones((1, 4)), Y[:1], "X has 4 columns"),
        (X[:1], np.array([3]), "y"),
        (X[:1], Y[:1] * 2, "y must lie between"),
    ):
        with pytest.raises(ValueError, match=says):
            net.partial_fit(X_bad, y_bad)
        np.testing.assert_array_equal(net.parameters, before)
    steep = nbp.Network((1, 1), random_state=0)
    for _ in range(3):
        steep.partial_fit(np.ones((1, 1)), np.ones(1))
    with pytest.raises(nbp.DivergenceError):
        for _ in range(3000):
            steep.partial_fit(np.full((1, 1), 10.0), np.ones(1))
    assert np.isfinite(steep.predict(np.full((1, 1), 10.0))).all()
