"""Callbacks that see all networks of a population between epochs, and change no bit of what they become."""

import os
import subprocess
import sys

import numpy as np
import pytest
from checkpointing import all_versions, slices_end_anywhere

import numbabp as nbp
from numbabp.errors import NoGPUError
from numbabp.training import population_loop

pytestmark = pytest.mark.once
N, N_NETWORKS, EPOCHS = 40, 37, 7
draw = np.random.RandomState(1)
SAMPLES = {n_inputs: draw.standard_normal((N, n_inputs)) for n_inputs in (3, 9)}
Y = (SAMPLES[9][:, 0] + SAMPLES[9][:, 1] > 0).astype(int)
RATES = np.geomspace(0.002, 0.2, N_NETWORKS)
VALIDATION = SAMPLES[9][:13], 1 - Y[:13]
EARLY = {"validation_data": VALIDATION, "early_stopping": True, "patience": 2, "tol": 0.01}
SOME_DIVERGE = np.where(np.arange(N_NETWORKS) % 7 == 3, 1e200, 0.05)
CASES = {
    "lanes": {},
    "lanes, few inputs": {"n_inputs": 3},
    "lanes, momentum, penalty": {"n_inputs": 3, "update_rule": "momentum", "l2": 0.01},
    "lanes, adam": {"update_rule": "adam", "schedule": "cosine"},
    "lanes, weights": {"n_inputs": 3, "sample_weight": draw.randint(1, 3, size=(N_NETWORKS, N))},
    "lanes, validated": {"validation_data": VALIDATION},
    "lanes, stopped early": EARLY,
    "lanes, own orders": {"own_order": True, "n_inputs": 3},
    "lanes, mini-batches": {"batch_size": 11, "update_rule": "adam", "n_inputs": 3},
    "lanes, no change": {"tol": 0.02, "n_iter_no_change": 1},
    "lanes, some diverge": {"learning_rate": SOME_DIVERGE, "n_inputs": 3},
    "each": {},
    "each, adam": {"update_rule": "adam", "schedule": "cosine", "batch_size": 3, "own_order": True},
    "each, stopped early": EARLY,
    "each, no change": {"tol": 0.02, "n_iter_no_change": 1},
    "each, some diverge": {"learning_rate": SOME_DIVERGE},
}


class Looks:
    """A callback that keeps copies of all that it sees, and ends networks by epoch."""

    def __init__(self, answers=()):
        self.seen, self.answers = [], dict(answers)

    def __call__(self, epoch, now):
        kept = dict(now) | {"parameters": now.parameters.copy(), "so_far": now.so_far()}
        self.seen.append((epoch, kept, now))
        return self.answers.get(epoch)

    @property
    def epochs(self):
        return [epoch for epoch, _, _ in self.seen]


def fit(name, callback=None, **more):
    options = {
        "learning_rate": RATES,
        "epochs": EPOCHS,
        "random_state": 2,
        "n_threads": 1,
        **CASES[name],
        **more,
    }
    inputs = SAMPLES[options.pop("n_inputs", 9)]
    make = {"loss": "binary_cross_entropy", "random_state": 3, **options.pop("make", {})}
    population = nbp.Population((inputs.shape[1], 4, 1), N_NETWORKS, **make)
    kernel = name.split(",")[0]
    history = population.fit(inputs, Y, kernel=kernel, callback=callback, progress=False, **options)
    return population, history


def bits(population, history, which=slice(None)):
    state, numbers = population._rule_state, np.arange(N_NETWORKS)[which].tolist()
    return (
        population.parameters[which].tobytes(),
        state.moments[which].tobytes(),
        state.steps[which].tolist(),
        {name: [history[i][name].tobytes() for i in numbers] for name in history},
        history.n_epochs[which].tolist(),
        {i: str(error) for i, error in sorted(history.diverged.items())},
        [history[i].stop_reason for i in numbers],
    )


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_looking_changes_no_bit(name, n_threads):
    expected = bits(*fit(name))
    for every in (1, 3):
        looks = Looks()
        population, history = fit(name, looks, callback_every=every, n_threads=n_threads)
        assert bits(population, history) == expected
        last = history.loss.shape[1]  # of those that train longest
        assert looks.epochs == [e for e in range(last) if (e + 1) % every == 0 or e + 1 == last]
        for epoch, seen, now in looks.seen:
            for metric in history:  # what is seen is what is recorded in the end
                recorded = np.where(now.diverged, np.nan, history[metric][:, epoch])
                np.testing.assert_array_equal(seen[metric], recorded)
            np.testing.assert_array_equal(
                seen["so_far"][~now.diverged], history.loss[~now.diverged, : epoch + 1]
            )
        last = looks.seen[-1][2]
        assert last.ended.all() and np.flatnonzero(last.diverged).tolist() == sorted(history.diverged)
        good = ~last.diverged
        np.testing.assert_array_equal(looks.seen[-1][1]["parameters"][good], population.parameters[good])


@pytest.mark.parametrize("name", ["lanes", "lanes, few inputs", "lanes, momentum, penalty", "each"])
def test_parameters_are_those_of_so_many_epochs(name):
    looks = Looks()
    fit(name, looks)
    for epoch in (0, 3):
        population, _ = fit(name, epochs=epoch + 1)
        np.testing.assert_array_equal(looks.seen[epoch][1]["parameters"], population.parameters)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", [name for name in CASES if "diverge" not in name])
def test_those_that_are_named_end_and_the_others_go_on_as_they_would(name, n_threads):
    of_all, whole = fit(name)
    ending = np.arange(N_NETWORKS) % 3 == 1
    ending[16:32] = True  # a whole vector
    looks = Looks({2: ending, 4: np.zeros(N_NETWORKS, bool)})
    population, history = fit(name, looks, n_threads=n_threads)
    ended = ending & (whole.n_epochs > 3)  # others had ended by themselves
    assert bits(population, history, ~ended) == bits(of_all, whole, ~ended)
    assert (history.n_epochs[ended] == 3).all()
    assert {history[i].stop_reason for i in np.flatnonzero(ended).tolist()} == {"callback"}
    assert np.isnan(history.loss[ended, 3:]).all()
    np.testing.assert_array_equal(history.loss[ended, :3], whole.loss[ended, :3])
    if "schedule" in CASES[name]:
        return  # whose rates depend on the epochs
    shorter, _ = fit(name, epochs=3)  # with early stopping both go back to the best epoch
    np.testing.assert_array_equal(population.parameters[ended], shorter.parameters[ended])
    np.testing.assert_array_equal(population._rule_state.steps[ended], shorter._rule_state.steps[ended])
    assert all(now.ended[ended].all() for _, _, now in looks.seen[3:])


@pytest.mark.parametrize("name", CASES)
def test_a_true_result_ends_all(name):
    looks = Looks({2: True})
    population, history = fit(name, looks)
    assert looks.epochs == [0, 1, 2] and history.n_epochs.max() == 3
    reasons = {history[i].stop_reason for i in range(N_NETWORKS)}
    assert "callback" in reasons <= {"callback", "diverged", "early stopping", "no change"}
    if "schedule" not in CASES[name]:
        shorter, of_shorter = fit(name, epochs=3)
        np.testing.assert_array_equal(population.parameters, shorter.parameters)
        np.testing.assert_array_equal(history.loss, of_shorter.loss)
        assert history.diverged.keys() == of_shorter.diverged.keys()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_from_every_checkpoint_it_goes_on_with_the_same_looks(tmp_path, monkeypatch, name, n_threads):
    ending = np.arange(N_NETWORKS) % 5 == 1
    how = {"callback_every": 2, "n_threads": n_threads}
    looks = Looks({1: ending})
    expected = bits(*fit(name, looks, **how))
    slices_end_anywhere(monkeypatch, N)
    versions = all_versions(monkeypatch)
    path = tmp_path / "run"
    assert bits(*fit(name, Looks({1: ending}), checkpoint=path, checkpoint_every=0, **how)) == expected
    assert len(versions) > 3
    for version in versions[:: max(1, len(versions) // 8)] + versions[-1:]:
        path.write_bytes(version)
        again = Looks({1: ending})
        assert bits(*fit(name, again, checkpoint=path, **how)) == expected
        assert again.epochs == looks.epochs[len(looks.epochs) - len(again.epochs) :]
        for (_, seen, _), (_, before, _) in zip(again.seen[::-1], looks.seen[::-1], strict=False):
            np.testing.assert_array_equal(seen["loss"], before["loss"])


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", ["lanes, some diverge", "each, stopped early"])
def test_interrupted_it_goes_on(tmp_path, monkeypatch, name, n_threads):
    ending = np.arange(N_NETWORKS) % 5 == 1
    how = {"n_threads": n_threads}
    expected = bits(*fit(name, Looks({1: ending}), **how))
    slices_end_anywhere(monkeypatch, N)
    shown = []

    def show(training):
        shown.append(training)
        if len(shown) % (13 if name == "lanes, some diverge" else 60) == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(population_loop.PopulationTraining, "_show", show)
    stopped = 0
    while stopped < 200:
        try:
            found = bits(*fit(name, Looks({1: ending}), checkpoint=tmp_path / "run", **how))
            break
        except KeyboardInterrupt:
            stopped += 1
    assert stopped > 1 and found == expected


def test_what_is_seen_can_be_kept_and_not_be_changed():
    looks = Looks()
    population, history = fit("lanes", looks)
    _, seen, now = looks.seen[2]
    np.testing.assert_array_equal(now.loss, seen["loss"])
    np.testing.assert_array_equal(now.so_far("accuracy"), history.accuracy[:, :3])
    assert set(now) == {"loss", "accuracy"} and len(now) == 2 and not now.ended.any()
    assert np.shares_memory(now.parameters, population.parameters)
    assert repr(now) == f"<PopulationEpoch 2: {N_NETWORKS} networks, 0 ended, 0 diverged>"
    with pytest.raises(ValueError, match="read-only"):
        now.parameters[0, 0] = 1
    with pytest.raises(KeyError, match="'mse' was not recorded; recorded: loss, accuracy"):
        now.so_far("mse")


def test_an_error_of_the_callback_is_raised_and_networks_are_left_as_they_were():
    def fails(epoch, now):
        if epoch == 2:
            raise ZeroDivisionError

    inputs = SAMPLES[9]
    population = nbp.Population((9, 4, 1), 20, loss="binary_cross_entropy", random_state=3)
    same = nbp.Population((9, 4, 1), 20, loss="binary_cross_entropy", random_state=3)
    with pytest.raises(ZeroDivisionError):
        population.fit(inputs, Y, epochs=5, callback=fails, random_state=0)
    same.fit(inputs, Y, epochs=3, random_state=0)
    np.testing.assert_array_equal(population.parameters, same.parameters)
    assert population.history.stop_reason == "interrupted" and population.history.loss.shape == (20, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"callback": 3}, TypeError, "callback must be callable, got 3"),
        ({"callback_every": 0}, ValueError, "callback_every must be at least 1"),
        ({"chunk_size": 5}, ValueError, "callback goes without chunk_size=5"),
        ({"client": object()}, ValueError, "callback goes without a client"),
        ({"kernel": "thread"}, ValueError, "kernel='thread' is not possible|no usable GPU|NVIDIA"),
        (
            {"callback": lambda epoch, now: np.ones(3, bool)},
            ValueError,
            r"bool of shape \(20,\), which networks are to end; got bool of shape \(3,\)",
        ),
        ({"callback": lambda epoch, now: now.loss}, ValueError, "got float64 of shape"),
    ],
)
def test_what_is_not_possible_is_refused(options, error, message):
    population = nbp.Population((9, 4, 1), 20, loss="binary_cross_entropy", random_state=3)
    with pytest.raises((error, NoGPUError), match=message):
        population.fit(SAMPLES[9], Y, epochs=3, **{"callback": Looks(), **options})


def test_the_checkpoint_of_a_run_without_looks_is_another_runs(tmp_path):
    fit("lanes", checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="of another run; what differs: callback"):
        fit("lanes", Looks(), checkpoint=tmp_path / "run")


def test_plans_know_of_it():
    population = nbp.Population((9, 4, 1), 20)
    assert population.plan(100, callback=Looks()).kernel == "lanes"
    with pytest.raises(ValueError, match="callback goes without chunk_size"):
        population.plan(100, callback=Looks(), chunk_size=3)


def test_it_runs_without_the_compiler():
    program = (
        "import numpy as np, numbabp as nbp\n"
        "p = nbp.Population((3, 2, 1), 3, random_state=0)\n"
        "X = np.random.RandomState(0).standard_normal((9, 3))\n"
        "seen = []\n"
        "p.fit(X, X[:, 0], epochs=3, kernel='lanes', n_threads=1, progress=False,\n"
        "      callback=lambda epoch, now: seen.append(now.loss) or now.loss > 1e9)\n"
        "print(np.array(seen).tolist())\n"
    )
    results = []
    for disabled in "01":
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        results.append(np.array(eval(done.stdout)))
    np.testing.assert_allclose(*results, rtol=1e-12)
