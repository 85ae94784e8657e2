"""What is not finite is not saved, loaded, trained from or predicted with, and is named."""

import re

import numpy as np
import pytest

import numbabp as nbp
from numbabp.architecture import Architecture
from numbabp.checks.finite import FEW, all_finite, sum_of_squares
from numbabp.training.checkpoints import files
from numbabp.training.checkpoints.keeper import Keeper
from numbabp.training.state import RuleState

RNG = np.random.RandomState(0)
X, Y = RNG.standard_normal((10, 3)), RNG.standard_normal((10, 2))
BAD = [np.nan, np.inf, -np.inf]


def uses(subject, path):
    return {
        "fit": lambda: subject.fit(X, Y, epochs=1, progress=False),
        "partial_fit": lambda: subject.partial_fit(X, Y),
        "forward": lambda: subject.forward(X),
        "predict": lambda: subject.predict(X),
        "evaluate": lambda: subject.evaluate(X, Y),
        "save": lambda: subject.save(path),
    }


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_assigned_in_place(dtype, value, tmp_path):
    net = nbp.Network((3, 4, 2), hidden_activation="relu", dtype=dtype, random_state=0)
    for array, index, name in (
        (net.weights[1], (2, 1), "weights[1] must be finite, but [2, 1] is "),
        (net.biases[0], 3, "biases[0] must be finite, but [3] is "),
    ):
        kept = array[index]
        array[index] = value
        before = net.parameters.copy()
        for use in uses(net, tmp_path / "net").values():
            with pytest.raises(ValueError, match=re.escape(f"{name}{value:g}; 1 of the 26 parameters")):
                use()
        assert np.array_equal(net.parameters, before, equal_nan=True) and not list(tmp_path.iterdir())
        array[index] = kept
    net.fit(X, Y, epochs=1)


def test_parameters_whose_squares_overflow_are_finite(tmp_path):
    net = nbp.Network((3, 4, 2), random_state=0)
    net.weights[0][0, 0] = 1e300
    net.save(tmp_path / "net")
    assert nbp.load(tmp_path / "net").weights[0][0, 0] == 1e300
    assert np.isfinite(net.forward(X)).all()


def test_populations(tmp_path):
    population = nbp.Population((3, 4, 2), 5, random_state=0)
    population[0].forward(X)
    population.parameters[3, 0] = np.nan
    for use in uses(population, tmp_path / "them").values():
        with pytest.raises(
            ValueError, match=r"weights\[0\] of network 3 must be finite, but \[0, 0\] is nan"
        ):
            use()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("load", [nbp.load, nbp.Population.load])
def test_files(load, tmp_path, monkeypatch):
    subject = nbp.Network((3, 4, 2)) if load is nbp.load else nbp.Population((3, 4, 2), 2)
    subject.parameters[..., 1] = np.inf
    with monkeypatch.context() as patched:
        patched.setattr(Architecture, "check_finite", lambda *_: None)
        subject.save(tmp_path / "bad")
    with pytest.raises(ValueError, match=r"weights\[0\].* must be finite, but \[0, 1\] is inf"):
        load(tmp_path / "bad")


def trained(kind):
    """A network or a population, with moments."""
    subject = nbp.Network((3, 4, 2)) if kind == "network" else nbp.Population((3, 4, 2), 5)
    subject.fit(X, Y, epochs=1, update_rule="momentum", learning_rate=1e-3)
    return subject


@pytest.mark.parametrize("kind", ["network", "population"])
def test_moments(kind, tmp_path):
    subject = trained(kind)
    moments = subject._rule_state.moments
    moments[..., 0, 1] = np.inf
    before = subject.parameters.copy()
    for use in (
        lambda: subject.fit(X, Y, epochs=1, update_rule="momentum"),
        lambda: subject.partial_fit(X, Y, update_rule="momentum"),
        lambda: subject.save(tmp_path / "net"),
    ):
        with pytest.raises(
            ValueError, match=f"='momentum' must be finite, but . of the {moments.size} are not"
        ):
            use()
    assert np.array_equal(subject.parameters, before) and not list(tmp_path.iterdir())
    subject.save(tmp_path / "net", training_state=False)
    subject.fit(X, Y, epochs=1)


@pytest.mark.parametrize("kind", ["network", "population"])
def test_moments_in_files(kind, tmp_path, monkeypatch):
    subject = trained(kind)
    subject._rule_state.moments[..., 0, 1] = np.nan
    with monkeypatch.context() as patched:
        patched.setattr(RuleState, "check_finite", lambda _: None)
        subject.save(tmp_path / "bad")
    with pytest.raises(ValueError, match="bad: the moments of update_rule='momentum' must be finite"):
        (nbp.load if kind == "network" else nbp.Population.load)(tmp_path / "bad")


@pytest.mark.parametrize("what", ["parameters", "moments"])
def test_what_a_callback_assigns(what, tmp_path, monkeypatch):
    """It is neither trained on nor kept."""
    monkeypatch.setattr(Keeper, "_start", lambda self, work: work())
    net = nbp.Network((3, 4, 2), random_state=0)

    def assign(epoch, metrics):
        if epoch == 3:
            array = net.parameters if what == "parameters" else net.rule_state("momentum").moments
            array.flat[2] = np.nan

    path = tmp_path / "run"
    with pytest.raises(ValueError, match="must be finite"):
        net.fit(
            X,
            Y,
            learning_rate=1e-3,
            update_rule="momentum",
            callback=assign,
            checkpoint=path,
            checkpoint_every=0,
        )
    found = files.read(path).standing
    assert found.facts["n_watched"] == 3
    assert np.isfinite(found.arrays["parameters"]).all() and np.isfinite(found.arrays["moments"]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sample_weights(value):
    weights = np.ones(10)
    weights[4] = value
    with pytest.raises(ValueError, match=r"sample_weight.* finite"):
        nbp.Network((3, 4, 2)).fit(X, Y, sample_weight=weights)


def test_estimators():
    model = nbp.MLPRegressor(max_iter=3, random_state=0)
    with pytest.warns(UserWarning):
        model.fit(X, Y)
    model.inner_network_.weights[0][1, 2] = np.nan
    for use in (lambda: model.predict(X), lambda: model.score(X, Y), lambda: model.partial_fit(X, Y)):
        with pytest.raises(ValueError, match=r"weights\[0\] must be finite, but \[1, 2\] is nan"):
            use()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, FEW, FEW + 1, 5 * FEW])
def test_numbers_of_any_size_are_looked_at(n, dtype):
    numbers = np.random.RandomState(n).standard_normal(n).astype(dtype)
    assert all_finite(numbers)
    assert sum_of_squares(numbers) == pytest.approx(float((numbers.astype(float) ** 2).sum()), rel=1e-5)
    assert all_finite(np.full(n, np.finfo(dtype).max, dtype))  # whose squares are not
    for value in BAD if n else ():
        numbers[n // 2] = value
        assert not all_finite(numbers)
        assert not sum_of_squares(numbers) < np.inf
