"""Networks within functions that users compile: the steps of `fit`, and what is refused."""

import subprocess
import sys

import numba
import numpy as np
import pytest

import numbabp as nbp
from numbabp import gradients, jit

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
RATE = 1 / 64
N = 200

interpreted = bool(numba.config.DISABLE_JIT)


@numba.njit
def learn(learner, X, Y, losses):
    for i in range(len(X)):
        losses[i] = jit.step(learner, X[i], Y[i])


@numba.njit
def learn_weighted(learner, X, Y, weights):
    for i in range(len(X)):
        jit.step(learner, X[i], Y[i], sample_weight=weights[i])


@numba.njit
def learn_one(learner, x, y):
    return jit.step(learner, x, y)


@numba.njit
def look(learner, x, out):
    jit.forward(learner, x, out)


@numba.njit
def differentiate(learner, x, y, out):
    return jit.gradient(learner, x, y, out)


def samples(dtype="float64"):
    draw = np.random.RandomState(0)
    X = draw.standard_normal((N, 5)).astype(dtype)
    return X, draw.randint(3, size=N)


def network(dtype="float64", **options):
    given = {"loss": "categorical_cross_entropy", "hidden_activation": "tanh", **options}
    return nbp.Network((5, 7, 3), dtype=dtype, random_state=0, **given)


@pytest.mark.parametrize("rule", RULES)
def test_it_takes_the_steps_of_fit_to_the_bit(rule):
    options = {"update_rule": rule, "learning_rate": RATE, "l2": 0.01}
    X, y = samples()
    one, all_at_once = network(), network()
    losses = np.empty(N)
    learn(one.compiled(**options), X, y, losses)
    history = all_at_once.fit(
        X, y, epochs=1, shuffle=False, kernel="sequential" if rule == "sgd" else "general", **options
    )
    np.testing.assert_array_equal(one.parameters, all_at_once.parameters)
    np.testing.assert_array_equal(one.rule_state(rule).moments, all_at_once.rule_state(rule).moments)
    assert one.rule_state(rule).steps == N
    assert losses.mean() == pytest.approx(history.loss[-1], rel=1e-12)


def test_targets_may_be_arrays_tuples_classes_and_numbers():
    X, y = samples()
    of_classes, of_arrays = network(), network()
    learn(of_classes.compiled(learning_rate=RATE), X, y, np.empty(N))
    learn(of_arrays.compiled(learning_rate=RATE), X, np.eye(3)[y], np.empty(N))
    np.testing.assert_array_equal(of_classes.parameters, of_arrays.parameters)
    of_tuples = network()
    learner = of_tuples.compiled(learning_rate=RATE)
    for x, row in zip(X, np.eye(3)[y], strict=True):
        learn_one(learner, tuple(x), tuple(row))
    np.testing.assert_array_equal(of_tuples.parameters, of_arrays.parameters)
    numbers = nbp.Network((5, 4, 1), random_state=0), nbp.Network((5, 4, 1), random_state=0)
    learn(numbers[0].compiled(learning_rate=RATE), X, y.astype(float), np.empty(N))
    numbers[1].fit(X, y, epochs=1, shuffle=False, kernel="sequential", learning_rate=RATE)
    np.testing.assert_array_equal(numbers[0].parameters, numbers[1].parameters)


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_weights_are_factors_and_with_0_nothing_is_learnt(rule):
    X, y = samples("float32")
    weights = (np.arange(N) % 3).astype("float32")
    one, all_at_once = network("float32"), network("float32")
    options = {"learning_rate": RATE, "update_rule": rule}
    learn_weighted(one.compiled(**options), X, y, weights)
    kernel = "sequential" if rule == "sgd" else "general"
    all_at_once.fit(X, y, epochs=1, shuffle=False, kernel=kernel, sample_weight=weights, **options)
    np.testing.assert_array_equal(one.parameters, all_at_once.parameters)


def test_outputs_and_gradients():
    X, _ = samples()
    for net, target in ((network(), 2), (network(loss="squared_error"), np.array([0.5, -1.0, 2.0]))):
        learner = net.compiled()
        outputs = np.empty(3)
        look(learner, X[3], outputs)
        np.testing.assert_allclose(outputs, net.forward(X[3:4])[0], rtol=1e-12)
        out = np.full(net.n_parameters, np.nan)
        before = net.parameters.copy()
        loss = differentiate(learner, X[3], target, out)
        one_row = np.array([target])
        assert loss == pytest.approx(net.evaluate(X[3:4], one_row)["loss"], rel=1e-12)
        # central differences
        h = 1e-6
        for j in range(0, net.n_parameters, 7):
            losses = []
            for sign in (1, -1):
                net.parameters[j] = before[j] + sign * h
                losses.append(net.evaluate(X[3:4], one_row)["loss"])
            net.parameters[:] = before
            assert out[j] == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=1e-5, abs=1e-8)
        assert gradients.gradient_check(net, X[3:4], one_row) < 1e-6
        np.testing.assert_array_equal(net.parameters, before)


@numba.njit(parallel=True)
def learn_in_parallel(learners, X, y):
    for i in numba.prange(len(learners)):
        learner = learners[np.int64(i)]  # counted without a sign, of which Numba would warn
        for s in range(len(X)):
            jit.step(learner, X[s], y[s])


def test_a_network_a_thread():
    X, y = samples()
    nets = [nbp.Network((5, 7, 3), loss="categorical_cross_entropy", random_state=i) for i in range(4)]
    alone = [nbp.Network((5, 7, 3), loss="categorical_cross_entropy", random_state=i) for i in range(4)]
    learners = numba.typed.List([net.compiled(learning_rate=RATE) for net in nets])
    learn_in_parallel(learners, X, y)
    for net, other in zip(nets, alone, strict=True):
        learn(other.compiled(learning_rate=RATE), X, y, np.empty(N))
        np.testing.assert_array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.ones(4), 0, "as many numbers"),
        (np.ones(5), np.ones(2) / 2, "as many numbers"),
        (np.array([1, 2, 3, 4, np.nan]), 0, "must be finite"),
        (np.ones(5), 3, "index of a class"),
        (np.ones(5), -1, "index of a class"),
        (np.ones(5), np.array([0.0, 1.0, 2.0]), "what the loss takes"),
        (np.ones(5), np.array([0.0, 1.0, np.nan]), "must be finite"),
    ],
)
def test_what_can_not_be_learnt_from_is_an_error_and_changes_nothing(x, y, says):
    net = network()
    learner = net.compiled(update_rule="adam")
    learn_one(learner, np.zeros(5), 1)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=says):
        learn_one(learner, x, y)
    np.testing.assert_array_equal(net.parameters, before)
    with pytest.raises(ValueError, match="as many numbers"):
        look(learner, np.ones(6), np.empty(3))
    with pytest.raises(ValueError, match="out must have"):
        look(learner, np.ones(5), np.empty(2))
    with pytest.raises(ValueError, match="out must have"):
        differentiate(learner, np.ones(5), 1, np.empty(3))


def test_a_loss_that_is_not_finite_is_an_error_and_changes_nothing():
    net = nbp.Network((1, 2, 1), hidden_activation="relu", random_state=0)
    net.weights = [np.array([[1e200, 1e200]]), np.ones((2, 1))]
    before = net.parameters.copy()
    with pytest.raises(nbp.DivergenceError, match="the loss of this sample is not finite"):
        learn_one(net.compiled(), np.array([1.0]), 0.0)
    np.testing.assert_array_equal(net.parameters, before)


def test_the_learning_rate_may_be_changed_between_calls():
    X, y = samples()
    net, other = network(), network()
    learner = net.compiled(learning_rate=RATE)
    learner.run.learning_rates[0] = RATE / 2
    learn(learner, X, y, np.empty(N))
    learn(other.compiled(learning_rate=RATE / 2), X, y, np.empty(N))
    np.testing.assert_array_equal(net.parameters, other.parameters)


PROGRAM = """
import sys, numba, numpy as np, numbabp as nbp
from numbabp import jit
sys.path.insert(0, sys.argv[1])
from users_code import learn
net = nbp.Network((2, 3, 1), random_state=0)
learn(net.compiled(learning_rate=0.1), np.ones((50, 2)), np.ones(50))
print(sum(learn.stats.cache_hits.values()), net.parameters.sum())
"""
USERS_CODE = """
import numba
from numbabp import jit

@numba.njit(cache=True)
def learn(learner, X, y):
    for i in range(len(X)):
        jit.step(learner, X[i], y[i])
"""


@pytest.mark.skipif(interpreted, reason="nothing is compiled")
def test_functions_that_are_cached(tmp_path):
    (tmp_path / "users_code.py").write_text(USERS_CODE)
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
        )
        said.append(done.stdout.split())
    assert [hits for hits, _ in said] == ["0", "1"]
    assert said[0][1] == said[1][1]


@pytest.mark.skipif(interpreted, reason="nothing is compiled")
def test_other_kinds_of_arguments_do_not_compile():
    learner = network().compiled()
    with pytest.raises(numba.TypingError, match="y must be a number"):
        learn_one(learner, np.zeros(5), "a")
    with pytest.raises(numba.TypingError):
        learn_one(3, np.zeros(5), 1)
    with pytest.raises(TypeError, match="compiled takes no"):
        network().compiled(epochs=3)
