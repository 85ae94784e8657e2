"""Divergence: found while it happens, and what is kept predicts finite numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

import numbabp as nbp
from numbabp.training import shard
from numbabp.training.divergence import LIMITS, are_of_use, is_of_use, reach
from numbabp.training.engines import population_cpu, population_each

RNG = np.random.RandomState(0)
X = RNG.standard_normal((60, 4))
Y = 10 * X[:, :1] ** 2


@pytest.mark.parametrize("batch_size", [1, 10])
@pytest.mark.parametrize("rule", ["adam", "rmsprop", "adagrad"])
def test_second_moments_that_overflow_are_divergence(rule, batch_size):
    """Steps are divided by their root: the parameters would stay as they are for ever."""
    net = nbp.Network((4, 8, 1), hidden_activation="relu", dtype="float32", random_state=0)
    with pytest.raises(nbp.DivergenceError, match="moments"):
        net.fit(1e20 * X, Y, epochs=2, update_rule=rule, batch_size=batch_size, learning_rate=1e-3)
    assert np.isfinite(net.rule_state(rule).moments).all()
    assert np.isfinite(net.forward(1e20 * X)).all()


@pytest.mark.parametrize("options", [{}, {"batch_size": 10}, {"update_rule": "momentum"}], ids=str)
@pytest.mark.parametrize("rate", [10.0, 1e10])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_kept_predicts_finite_numbers(dtype, rate, options):
    net = nbp.Network((4, 8, 8, 1), hidden_activation="relu", dtype=dtype, init="he_normal", random_state=0)
    with pytest.raises(ValueError, match="training diverged") as caught:
        net.fit(X, Y, epochs=20, learning_rate=rate, **options)
    assert isinstance(caught.value, nbp.DivergenceError)
    assert np.isfinite(net.forward(X)).all()
    assert reach(net.architecture, net.parameters) <= LIMITS[dtype]


def test_a_loss_beyond_any_use_is_divergence_though_the_parameters_come_back():
    """Clipped steps change next to nothing, and all samples but the first have a loss of 1."""
    net = nbp.Network((1, 3, 1), hidden_activation="relu", random_state=0)
    net.weights = [[1.0, 1.0, 1.0]], [[1e25], [1e25], [1e25]]
    before = net.parameters.copy()
    X = [[1e15], *[[1e-25]] * 50]
    with pytest.raises(nbp.DivergenceError) as caught:
        net.fit(X, np.ones(51), learning_rate=0.1, shuffle=False, clip_value=1e-20, epochs=1)
    assert (caught.value.epoch, caught.value.sample) == (0, 0)
    assert np.array_equal(net.parameters, before)


def test_a_stream_diverges_while_it_does():
    net = nbp.Network((4, 8, 1), hidden_activation="relu", random_state=0)
    with pytest.raises(nbp.DivergenceError):
        for i in range(1000):
            net.partial_fit(X[i % 60 : i % 60 + 1], Y[i % 60 : i % 60 + 1], learning_rate=5.0)
    assert reach(net.architecture, net.parameters) <= LIMITS["float64"]
    assert np.isfinite(net.forward(X)).all()


@pytest.mark.parametrize("kernel", ["lanes", "each"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_of_populations(dtype, kernel):
    population = nbp.Population((4, 8, 1), 10, hidden_activation="relu", dtype=dtype, random_state=0)
    rates = np.linspace(1e-3, 3, 10)
    history = population.fit(X, Y, epochs=20, learning_rate=rates, kernel=kernel)
    assert 0 not in history.diverged and 9 in history.diverged
    for i in range(10):
        assert np.isfinite(population[i].forward(X)).all()
        assert reach(population.architecture, population[i].parameters) <= LIMITS[dtype]


@pytest.mark.parametrize("at_once", [1, 7, 1 << 18])
def test_losses_of_populations(at_once, monkeypatch):
    """Steps of next to nothing at losses beyond any use; what is not recorded does not count."""

    def full(shape, *of):
        return np.full(shape, 1e200, *of)

    monkeypatch.setattr(shard, "np", SimpleNamespace(**{**vars(np), "empty": full}))

    def begin(engine, thread, task):
        alone.append(task)
        real(engine, thread, task)

    real, alone = population_each.Each.begin, []
    monkeypatch.setattr(population_each.Each, "begin", begin)
    monkeypatch.setattr(population_cpu, "LOSSES_AT_ONCE", at_once)
    population = nbp.Population((1, 1), 40, random_state=0)  # in several chunks, of which most end early
    weights = np.zeros((40, 3))
    weights[:, 0], weights[[1, 4], 1] = 1, 1
    X = [[1.0], [1e60], [1e-60]]
    arguments = {"learning_rate": 1e-300, "kernel": "lanes", "sample_weight": weights}
    history = population.fit(X, np.ones(3), epochs=50, tol=1e-4, n_iter_no_change=3, **arguments)
    assert sorted(history.diverged) == sorted(alone) == [1, 4]
    assert history.n_epochs[:6].tolist() == [5, 0, 5, 5, 0, 5] and (history.n_epochs[6:] == 5).all()


def test_estimators_advise_what_they_can_set():
    with pytest.raises(nbp.DivergenceError) as caught:
        nbp.MLPRegressor(standardize=False, learning_rate_init=50.0, random_state=0).fit(X, Y.ravel())
    assert "clip_norm" not in str(caught.value)
    assert "learning_rate_init" in str(caught.value) and "standardize" in str(caught.value)


@pytest.mark.parametrize("hidden", ["sigmoid", "relu"])
def test_reach(hidden):
    """Of random weights that keep the size of what goes through about as it is."""
    net = nbp.Network((50, 100, 100, 5), hidden_activation=hidden, random_state=0)
    assert 0.5 < reach(net.architecture, net.parameters) < 2
    net.weights[0][:] *= 1e6
    assert (reach(net.architecture, net.parameters) > 1e5) == (hidden == "relu")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_but_of_use(dtype):
    """Targets of 1e9, weights of 1e5 in layers that saturate: nothing to complain of."""
    net = nbp.Network((4, 30, 30, 30, 30, 1), dtype=dtype, random_state=0)
    net.parameters[:] *= 1e5
    nothing = np.empty(0)
    assert is_of_use(net.architecture, net.parameters, nothing, np.array([1e18]))
    assert not is_of_use(net.architecture, net.parameters, np.array([np.inf]), nothing)
    net.parameters[0] = np.nan
    assert not is_of_use(net.architecture, net.parameters, nothing, nothing)


@pytest.mark.parametrize("n_moments", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_are_of_use_as_each_is(dtype, n_moments):
    population = nbp.Population((4, 8, 5, 2), 300, hidden_activation="relu", dtype=dtype, random_state=0)
    draw, parameters = np.random.RandomState(1), population.parameters
    with np.errstate(over="ignore"):
        parameters *= 10 ** draw.uniform(-5, 40, (300, 1))
    parameters[::7, 3] = np.nan
    parameters[1::7, 2] = 1e5
    moments = draw.standard_normal((300, n_moments, parameters.shape[1])).astype(dtype)
    moments[2::7, ..., 5] = np.inf
    losses = 10 ** draw.uniform(0, 90, 300)
    of = population.architecture
    with np.errstate(all="ignore"):
        each = [is_of_use(of, parameters[i], moments[i], losses[i : i + 1]) for i in range(300)]
    assert are_of_use(of, parameters, moments, losses).tolist() == each
    assert 20 < sum(each) < 280


@pytest.mark.parametrize("value", [1e100, 1e200, 1e300, np.inf, -np.inf, np.nan])
def test_however_large(value):
    net = nbp.Network((4, 3, 3, 3, 3, 1), hidden_activation="relu", random_state=0)
    net.parameters[5] = value
    with np.errstate(all="ignore"):
        assert not is_of_use(net.architecture, net.parameters, np.empty(0), np.empty(0))
