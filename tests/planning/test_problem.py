"""Plans are asked for as training is: what one takes, the other takes, and refuses with the same words."""

import gc
import os
import weakref

import numpy as np
import pytest

import numbabp as nbp
from numbabp.devices.placement import Placement
from numbabp.options import NAMES
from numbabp.planning import catalogue, planner

X, Y = np.random.RandomState(0).standard_normal((6, 2)), np.arange(6) % 2


def network(**options):
    return nbp.Network((2, 3, 1), loss="binary_cross_entropy", random_state=0, **options)


def population(n=4):
    return nbp.Population((2, 3, 1), n, loss="binary_cross_entropy", random_state=0)


def first_half(caught):
    """The message, but without the names that one method takes and the other does not."""
    text = str(caught.value)
    return text.partition("; allowed")[0] if " takes no " in text else text


@pytest.mark.parametrize("make", [network, population])
@pytest.mark.parametrize("arguments", [{"X": 0}, {"X": -3}, {"X": 5, "epochs": 0}])
def test_numbers_of_samples_and_epochs_are_at_least_one(make, arguments):
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]} must be at least 1, got"):
        make().plan(**arguments)


@pytest.mark.parametrize("make", [network, population])
def test_numpys_integers_are_numbers_of_samples(make):
    assert make().plan(np.int64(5)) == make().plan(5)
    with pytest.raises(ValueError, match="X must have 2 dimensions"):
        make().plan(5.0)


@pytest.mark.parametrize(
    "per_network",
    [
        {"l2": np.array([0.0, 0.1, 0.2, 0.3])},
        {"learning_rate": [0.1, 0.2, 0.3, 0.4]},
        {"momentum": np.full(4, 0.5), "update_rule": "momentum"},
    ],
)
def test_a_population_plans_with_numbers_for_each_network(per_network):
    asked = population().plan(X, epochs=2, **per_network)
    assert asked.kernel in catalogue.kernel_names(True)
    assert len(population().fit(X, Y, epochs=2, **per_network).loss) == 4


@pytest.mark.parametrize(
    "refused",
    [
        {"early_stopping": True, "n_iter_no_change": 3},
        {"patience": 0},
        {"block_length": 4},
        {"schedule": "adaptive"},
        {"kernel": "sequential"},
        {"kernel": "lanes", "update_rule": "rprop", "batch_size": 6},
        {"kernel": "warp"},
        {"learning_rate": [0.1, 0.2]},
        {"l2": np.array([0.1, 0.1, 0.1, -1.0])},
        {"tol": -1.0},
        {"n_iter_no_change": 0},
        {"chunk_size": 0},
        {"foo": 1},
        {"_stop": 3},
        {"stop": None},
    ],
    ids=str,
)
def test_a_population_plans_nothing_that_it_would_not_fit(refused):
    own = population()
    before = own.parameters.copy()
    with pytest.raises((TypeError, ValueError)) as planned:
        own.plan(6, **refused)
    with pytest.raises(type(planned.value)) as fitted:
        own.fit(X, Y, **refused)
    assert first_half(fitted) == first_half(planned).replace("Population.plan", "Population.fit")
    np.testing.assert_array_equal(own.parameters, before)


@pytest.mark.parametrize(
    "refused",
    [
        {"kernel": "lanes"},
        {"kernel": "tiny", "update_rule": "adam"},
        {"kernel": "persistent"},
        {"block_length": 4, "batch_size": 2},
        {"propagate": "updated", "kernel": "general"},
        {"foo": 1},
    ],
    ids=str,
)
def test_a_network_plans_nothing_that_it_would_not_fit(refused):
    own = network()
    with pytest.raises((TypeError, ValueError)) as planned:
        own.plan(6, **refused)
    with pytest.raises(type(planned.value)) as fitted:
        own.fit(X, Y, **refused)
    assert first_half(fitted) == first_half(planned).replace("plan takes", "Network.fit takes")


def test_what_is_not_taken_is_told_with_what_is():
    with pytest.raises(
        TypeError, match=r"Population\.plan takes no 'foo'; allowed: batch_size, .*, update_rule"
    ):
        population().plan(5, foo=1)
    with pytest.raises(TypeError, match=r"Network\.fit takes no 'foo'; allowed: .*, early_stopping, "):
        network().fit(X, Y, foo=1)
    with pytest.raises(
        TypeError, match=r"Network\.fit takes no 'epoch'; allowed: .*, epochs, .*, validation_data"
    ):
        network().fit(X, Y, epoch=1)
    with pytest.raises(
        TypeError, match=r"Population\.fit takes no 'clients'; allowed: .*, client, .*, own_order"
    ):
        population().fit(X, Y, clients=1)


@pytest.mark.parametrize(("make", "for_many"), [(network, False), (population, True)])
def test_docstrings_name_every_kernel(make, for_many):
    text = make().fit.__doc__
    missing = [
        name for name in catalogue.kernel_names(for_many) if f'"{name}"' not in text and name != "auto"
    ]
    assert missing == []


def test_every_kernel_says_what_it_does():
    assert all(kernel.what for kernel in catalogue.KERNELS)
    rows = [(kernel.name, kernel.device, kernel.for_many) for kernel in catalogue.KERNELS]
    assert len(rows) == len(set(rows))


def test_signatures_show_all_options_with_their_defaults():
    import inspect

    shown = inspect.signature(nbp.Network.fit).parameters
    assert set(shown) >= NAMES
    assert shown["learning_rate"].default == 0.1 and shown["epochs"].default == 100
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in shown.values())
    assert set(shown) - set(inspect.signature(nbp.Network.partial_fit).parameters) == {
        "early_stopping", "patience", "epochs", "validation_data", "callback",
        "checkpoint", "checkpoint_every", "resume",
    }  # fmt: skip


def test_a_plan_is_made_once_for_calls_that_ask_for_the_same(monkeypatch):
    made = []
    make = planner._make
    monkeypatch.setattr(planner, "_make", lambda problem: made.append(problem) or make(problem))
    monkeypatch.setattr(planner, "_kept", type(planner._kept)())
    net = network()
    for rate in (0.1, 0.2, 0.3):
        net.partial_fit(X[:1], Y[:1], learning_rate=rate)
    assert len(made) == 1
    net.partial_fit(X[:2], Y[:2])
    net.partial_fit(X[:1], Y[:1], update_rule="adam")
    network(dtype="float32").partial_fit(X[:1], Y[:1])
    assert len(made) == 4


def test_schedules_are_no_part_of_the_question(monkeypatch):
    """A function need not be hashable, may hold much, and may be another one in each call."""

    class Falling:
        __hash__ = None

        def __call__(self, epoch):
            return 0.1 / (epoch + 1)

    kept = type(planner._kept)()
    monkeypatch.setattr(planner, "_kept", kept)
    held = []
    for own in (network(), population()):
        for _ in range(3):
            schedule = Falling()
            held.append(weakref.ref(schedule))
            own.fit(X, Y, epochs=2, schedule=schedule)
            del schedule
    assert len(kept) <= 3  # of the network, the population, and of its networks by themselves
    gc.collect()
    assert not any(reference() for reference in held)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads can't be taken from a process here")
def test_plans_follow_the_threads_that_a_process_has():
    own, before = population(1000), os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("there is one thread only")
    first = own.plan(100).n_threads
    os.sched_setaffinity(0, {min(before)})
    try:
        assert (first, own.plan(100).n_threads) == (len(before), 1)
    finally:
        os.sched_setaffinity(0, before)


def test_a_plan_that_looked_for_a_gpu_is_made_anew(monkeypatch):
    looked = []
    monkeypatch.setattr(planner, "_kept", type(planner._kept)())
    monkeypatch.setattr(planner, "gpu_at_hand", lambda n_bytes: (None, looked.append(n_bytes) or "none"))
    monkeypatch.setattr(
        "numbabp.network.resolve", lambda device, data_on: Placement(None, "not looked for", is_open=True)
    )
    long, short = {"X": 10**6, "epochs": 10**4}, {"X": 4, "epochs": 1}
    for _ in range(2):
        assert "No GPU: none." in network().plan(**long).explain()
        assert "No GPU: not looked for." in network().plan(**short).explain()
    assert len(looked) == 2
