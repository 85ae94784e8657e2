"""Checkpoints: a run that was stopped anywhere ends with the bits of one that was not."""

import functools
import os
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from checkpointing import all_versions, slices_end_anywhere

import numbabp as nbp
from numbabp.atomic_files import where_processes_count
from numbabp.kernels.minibatch import batch
from numbabp.training import loop
from numbabp.training.checkpoints import files, keeper
from numbabp.training.checkpoints.standing import Standing
from numbabp.training.divergence import LIMITS, reach
from numbabp.training.network_setup import told_apart

N = 60


@pytest.fixture
def versions(monkeypatch):
    """All that is written, as whole files, where a checkpoint comes after every slice."""
    slices_end_anywhere(monkeypatch, N)
    return all_versions(monkeypatch)


def samples(n_inputs, sparse=False):
    draw = np.random.RandomState(1)
    X = draw.standard_normal((N, n_inputs))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    if sparse:
        X[draw.uniform(size=X.shape) < 0.7] = 0
        X = scipy.sparse.csr_matrix(X)
    return X, y


def new_network(sizes, dtype="float64"):
    return nbp.Network(
        sizes, hidden_activation="tanh", loss="binary_cross_entropy", dtype=dtype, random_state=3
    )


def bits(net, history):
    """All that a run leaves behind, but how long it took."""
    state = net.rule_state(history_rule(net))
    found = {**history.to_dict(), "seconds": 0}
    return (
        net.parameters.tobytes(),
        state.moments.tobytes(),
        int(state.steps),
        repr(found),
        net.random_state.get_state()[1].tobytes(),
        net.random_state.get_state()[2],
    )


def history_rule(net):
    return net._rule_state.update_rule


BASE = {"learning_rate": 0.01, "epochs": 6, "random_state": None}
CASES = {
    "sequential": ((3, 4, 1), {"kernel": "sequential"}),
    "sequential, fixed order": ((3, 4, 1), {"kernel": "sequential", "shuffle": False, "l2": 0.01}),
    "sequential, updated": ((3, 5, 4, 1), {"propagate": "updated"}),
    "tiny": ((2, 10, 1), {"kernel": "tiny"}),
    "general, momentum": ((3, 4, 1), {"kernel": "general", "update_rule": "momentum"}),
    "general, nesterov": ((3, 4, 1), {"kernel": "general", "update_rule": "nesterov", "clip_norm": 1.0}),
    "general, adagrad": ((3, 4, 1), {"kernel": "general", "update_rule": "adagrad", "l1": 1e-4}),
    "general, rmsprop": ((3, 4, 1), {"kernel": "general", "update_rule": "rmsprop"}),
    "general, adam": ((3, 4, 1), {"kernel": "general", "update_rule": "adam"}),
    "general, adamw": ((3, 4, 1), {"kernel": "general", "update_rule": "adamw", "l2": 0.01}),
    "general, batches": ((3, 4, 1), {"kernel": "general", "update_rule": "adam", "batch_size": 7}),
    "general, rprop": ((3, 4, 1), {"kernel": "general", "update_rule": "rprop", "batch_size": N}),
    "minibatch": ((3, 4, 1), {"kernel": "minibatch", "batch_size": 7, "update_rule": "adam"}),
    "minibatch, clipped": ((3, 4, 1), {"kernel": "minibatch", "batch_size": 7, "clip_norm": 0.5}),
    "minibatch, in parts": ((3, 4, 1), {"kernel": "minibatch", "batch_size": 20, "update_rule": "adam"}),
    "blocked": ((20, 8, 1), {"kernel": "blocked", "block_length": 16}),
    "blocked, momentum": ((20, 8, 8, 1), {"block_length": 8, "update_rule": "momentum", "l2": 0.01}),
    "blocked, nesterov": ((20, 8, 1), {"block_length": 32, "update_rule": "nesterov"}),
    "shared": ((5, 66, 64, 1), {"kernel": "shared", "block_length": 16}),
    "sparse": ((20, 4, 1), {}),
    "sparse, momentum": ((20, 4, 1), {"update_rule": "momentum", "l2": 0.01}),
    "sparse, adam": ((20, 4, 1), {"update_rule": "adam"}),
    "sparse, batches": ((20, 4, 1), {"update_rule": "adam", "batch_size": 7}),
    "cosine": ((3, 4, 1), {"schedule": "cosine"}),
    "adaptive": ((3, 4, 1), {"schedule": "adaptive", "tol": 1.0, "schedule_options": {"patience": 1}}),
    "a function": ((3, 4, 1), {"schedule": lambda epoch: 0.1 / (1 + epoch)}),
    "early stopping": ((3, 4, 1), {"early_stopping": True, "patience": 2, "learning_rate": 2.0}),
    "own seed": ((3, 4, 1), {"random_state": 5, "monitor": ("squared_error",)}),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_from_every_checkpoint_a_run_ends_with_the_same_bits(tmp_path, versions, monkeypatch, name, weighted):
    sizes, options = CASES[name]
    if name.endswith("in parts"):  # which else only large mini-batches are taken in
        monkeypatch.setattr(batch, "PART_BYTES", 1)
        monkeypatch.setattr(batch, "LEAST_PART", 3)
    dtype = "float32" if weighted else "float64"
    X, y = samples(sizes[0], name.startswith("sparse"))
    arguments = {**BASE, **options}
    if weighted:
        arguments["sample_weight"] = np.random.RandomState(2).randint(3, size=N)
        arguments["validation_data"] = X[:20], y[:20]
    plain = new_network(sizes, dtype)
    expected = bits(plain, plain.fit(X, y, **arguments))

    path = tmp_path / "run"
    kept = new_network(sizes, dtype)
    assert bits(kept, kept.fit(X, y, checkpoint=path, checkpoint_every=0, **arguments)) == expected
    assert len(versions) > 4
    for version in versions[::3] + versions[-1:]:
        path.write_bytes(version)
        again = new_network(sizes, dtype)
        again.random_state.seed(9)  # comes from the file, where it is the network's own
        found = bits(again, again.fit(X, y, checkpoint=path, **arguments))
        assert found[:4] == expected[:4]
        assert found[4:] == expected[4:]


def test_a_blocked_run_that_went_over_to_single_steps_goes_on_so(tmp_path, versions, monkeypatch):
    sizes, options = CASES["blocked, momentum"]
    X, y = samples(sizes[0])
    options = {**BASE, **options, "learning_rate": 0.01}
    real, calls = loop.Training._is_of_use, []

    def is_of_use(self, since):
        calls.append(self.plan.block_length)
        return real(self, since) and not (self.plan.block_length and len(calls) == 3)

    monkeypatch.setattr(loop.Training, "_is_of_use", is_of_use)
    found, path = [], tmp_path / "run"
    for checkpoint in (None, path):
        calls.clear()
        net = new_network(sizes)
        found.append(bits(net, net.fit(X, y, checkpoint=checkpoint, checkpoint_every=0, **options)))
    assert found[0] == found[1] and {0, 8} == set(calls)
    plans = set()
    for version in versions[3::2]:
        path.write_bytes(version)
        plans.add(files.read(path).standing.facts["plan"]["kernel"])
        net = new_network(sizes)
        found.append(bits(net, net.fit(X, y, checkpoint=path, **options)))
        assert found[-1] == found[0]
    assert plans == {"general"}


X, Y = samples(3)
OPTIONS = {"epochs": 6, "update_rule": "adam", "learning_rate": 0.01}


def trained(path, **changes):
    """A network after a run that was kept, or gone on with."""
    net = new_network((3, 4, 1))
    net.fit(X, Y, checkpoint=path, **{**OPTIONS, **changes})
    return net


def test_a_finished_run_returns_at_once_what_it_found(tmp_path):
    called = []
    net = trained(tmp_path / "run", callback=lambda epoch, metrics: called.append(epoch) or epoch == 4)
    assert called == [0, 1, 2, 3, 4]
    again = trained(tmp_path / "run", callback=lambda epoch, metrics: called.append(epoch))
    assert called == [0, 1, 2, 3, 4]
    assert again.history.to_dict() == net.history.to_dict() and net.history.stop_reason == "callback"
    assert bits(again, again.history) == bits(net, net.history)


def test_a_run_may_be_made_longer(tmp_path):
    trained(tmp_path / "run", epochs=3)
    longer, whole = trained(tmp_path / "run"), trained(tmp_path / "other")
    assert bits(longer, longer.history) == bits(whole, whole.history)
    with pytest.raises(ValueError, match="beyond epochs=5"):
        trained(tmp_path / "run", epochs=5)
    trained(tmp_path / "cosine", epochs=3, schedule="cosine")
    rates = [0.005 * (1 + np.cos(np.pi / n)) for n in (3, 6)]
    with pytest.raises(
        ValueError,
        match=f"learning rate of epoch 1 was {rates[0]:g}, and {rates[1]:.6g} is asked .*'cosine' follows "
        "the number of epochs, which were 3 and are epochs=6 now, .* resume=False",
    ):
        trained(tmp_path / "cosine", schedule="cosine")
    trained(tmp_path / "function", epochs=3, schedule=lambda epoch: 0.1)
    with pytest.raises(ValueError, match="learning rate of epoch 0"):
        trained(tmp_path / "function", schedule=lambda epoch: 0.2)


def test_resume_false_begins_anew(tmp_path):
    path = tmp_path / "run"
    trained(path)
    called = []
    trained(path, learning_rate=0.02, resume=False, callback=lambda epoch, metrics: called.append(epoch))
    assert len(called) == 6
    with pytest.raises(ValueError, match=r"learning_rate \(0.02 there, 0.01 here\)"):
        trained(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"run: truncated.*resume=False begins anew"):
        trained(path)
    trained(path, resume=False)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 0.02}, "learning_rate"),
        ({"update_rule": "adamw"}, "update_rule"),
        ({"shuffle": False}, "shuffle"),
        ({"batch_size": 2}, "batch_size"),
        ({"schedule": "step", "schedule_options": {"every": 100}}, "schedule_options"),
        ({"monitor": ("squared_error",)}, "monitor"),
        ({"sample_weight": np.full(N, 2.0)}, "the samples"),
        ({"validation_data": (X, Y)}, "the validation samples"),
        ({"kernel": "general"}, "kernel"),
        ({"random_state": 1}, r"random_state \(null there, 1 here\)"),
        ({"X": X + 1e-12}, "the samples"),
        ({"X": scipy.sparse.csr_matrix(X)}, "the samples"),
        ({"X": X[:50]}, "number of samples"),
        ({"y": 1 - Y}, "the samples"),
        ({"net": new_network((3, 5, 1))}, "layer_sizes"),
        ({"net": new_network((3, 4, 1), "float32")}, "dtype"),
        ({"net": nbp.Network((3, 4, 1))}, "activations"),
        ({"net": nbp.Network((3, 4, 1), hidden_activation="tanh", output_activation="sigmoid")}, "loss"),
    ],
)
def test_a_file_of_another_run_is_refused(tmp_path, changes, named):
    trained(tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    net = changes.pop("net", None) or new_network((3, 4, 1))
    X_, y_ = changes.pop("X", X), changes.pop("y", Y)
    parameters, state = net.parameters.copy(), net.random_state.get_state()[1].copy()
    with pytest.raises(ValueError, match=rf"of another run; what differs: .*{named}"):
        net.fit(X_, y_[: X_.shape[0]], checkpoint=tmp_path / "run", **{**OPTIONS, **changes})
    assert np.array_equal(net.parameters, parameters)
    assert np.array_equal(net.random_state.get_state()[1], state) and net.history is None
    assert (tmp_path / "run").read_bytes() == before


def test_what_changes_nothing_is_not_told_apart(tmp_path):
    trained(tmp_path / "run", epochs=3)
    net = new_network((3, 4, 1))
    whole = trained(tmp_path / "other")
    arguments = {**OPTIONS, "l2": 0, "tol": np.float32(0), "monitor": []}
    net.fit(X.tolist(), Y, checkpoint=str(tmp_path / "run"), progress=False, checkpoint_every=1, **arguments)
    assert bits(net, net.history) == bits(whole, whole.history)


@pytest.mark.parametrize("resume", [False, True])
def test_what_is_no_checkpoint_is_not_replaced(tmp_path, resume):
    net = new_network((3, 4, 1))
    net.save(tmp_path / "net")
    (tmp_path / "table.csv").write_text("x,y\n" * 100)
    (tmp_path / "zeros").write_bytes(bytes(1000))
    (tmp_path / "empty").touch()
    for name in ("net", "table.csv", "zeros", "empty"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ValueError, match=rf"{name}: .*It is not replaced"):
            trained(tmp_path / name, resume=resume)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(ValueError, match="not a regular file"):
        trained(tmp_path, resume=resume)
    with pytest.raises(ValueError, match="there is no folder"):
        trained(tmp_path / "none" / "run", resume=resume)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"checkpoint": 3}, TypeError),
        ({"checkpoint": ""}, TypeError),
        ({"checkpoint_every": -1}, ValueError),
        ({"checkpoint_every": "now"}, TypeError),
        ({"resume": "no"}, TypeError),
    ],
)
def test_arguments(tmp_path, arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        new_network((3, 4, 1)).fit(X, Y, **{"checkpoint": tmp_path / "run", **arguments})
    assert not list(tmp_path.iterdir())


def test_every_damage_is_one_error(tmp_path):
    path = tmp_path / "run"
    trained(path)
    whole, draw = path.read_bytes(), np.random.RandomState(0)
    for _ in range(200):
        altered = bytearray(whole)
        at = draw.randint(len(whole))
        altered[at] ^= 1 << draw.randint(8)
        path.write_bytes(altered[: draw.randint(len(whole))] if draw.rand() < 0.2 else altered)
        net = new_network((3, 4, 1))
        before = net.parameters.copy()
        with pytest.raises(ValueError, match=r"checkpoint .*run"):
            net.fit(X, Y, checkpoint=path, **OPTIONS)
        assert np.array_equal(net.parameters, before)


def test_interrupted_runs_go_on(tmp_path, monkeypatch):
    """By Ctrl-C after a slice, in validation, and in a callback, which is called again."""
    validation = {"validation_data": (X[:20], Y[:20])}
    whole = trained(None, **validation)
    expected = bits(whole, whole.history)
    path, called = tmp_path / "run", []

    def stop(epoch, metrics):
        called.append(epoch)
        if called.count(2) == 1 and epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(path, callback=stop, checkpoint_every=0, **validation)
    net = trained(path, callback=stop, **validation)
    assert bits(net, net.history) == expected and called[-4:] == [2, 3, 4, 5]

    slices_end_anywhere(monkeypatch, N)
    real, calls = loop.Training._call_kernel, []

    def interrupted(self, *arguments):
        status = real(self, *arguments)
        calls.append(arguments)
        if arguments[1] and len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return status

    monkeypatch.setattr(loop.Training, "_call_kernel", interrupted)
    path.unlink()
    stopped = 0
    while True:
        try:
            net = trained(path, **validation)
        except KeyboardInterrupt:
            stopped += 1
            assert files.read(path).standing.facts["stop_reason"] is None
        else:
            break
    assert stopped > 2 and bits(net, net.history) == expected


def test_an_interruption_of_the_last_checkpoint_leaves_the_one_before(tmp_path, monkeypatch):
    whole, real = trained(None), files.write

    def interrupted(path, identity, standing, *more):
        if standing.facts["stop_reason"] is not None:
            raise KeyboardInterrupt
        real(path, identity, standing, *more)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", interrupted)
        patch.setattr(keeper.Keeper, "_start", lambda self, work: work())
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "run", checkpoint_every=0, callback=lambda *_: None)
    assert files.read(tmp_path / "run").standing.facts["stop_reason"] is None
    net = trained(tmp_path / "run")
    assert bits(net, net.history) == bits(whole, whole.history)


def test_a_run_that_diverges_does_so_again(tmp_path):
    errors = []
    for _ in range(2):
        net = new_network((3, 4, 1))
        with pytest.raises(nbp.DivergenceError) as caught:
            net.fit(
                1e3 * X, Y, checkpoint=tmp_path / "run", checkpoint_every=0, learning_rate=-1e300, epochs=9
            )
        errors.append((str(caught.value), net.parameters.tobytes()))
    assert errors[0] == errors[1]


def test_what_is_of_no_use_is_not_kept(tmp_path, versions):
    """Parameters that climb the loss are finite for ten times as many steps as they are of use."""
    path, ends = tmp_path / "run", set()

    def fails():
        net = nbp.Network((3, 1), random_state=0)
        with pytest.raises(nbp.DivergenceError, match="beyond any use") as caught:
            net.fit(X, Y, checkpoint=path, checkpoint_every=0, learning_rate=-0.01, epochs=1000)
        ends.add((str(caught.value), net.parameters.tobytes()))
        return net

    net, kept = fails(), versions.copy()
    assert len(kept) > 20 and abs(net.parameters).max() > 1e36
    for version in kept:
        path.write_bytes(version)
        parameters = files.read(path).standing.arrays["parameters"]
        assert reach(net.architecture, parameters) <= LIMITS["float64"]
    for version in (kept[0], kept[-1]):
        path.write_bytes(version)
        fails()
    assert len(ends) == 1


def test_a_checkpoint_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_tensors", fail)
    with pytest.warns(RuntimeWarning, match="could not be written to .*run: .*No space left"):
        net = trained(tmp_path / "run")
    assert net.history.n_epochs == 6


def test_without_memory_for_a_copy_training_goes_on(tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    whole = trained(None)
    monkeypatch.setattr(keeper.Keeper, "_start", lambda self, work: work())
    monkeypatch.setattr(keeper, "np", SimpleNamespace(empty=fail, random=np.random))
    with pytest.warns(RuntimeWarning, match="could not be written to .*run: MemoryError"):
        net = trained(tmp_path / "run", checkpoint_every=0, callback=lambda *_: None, kernel="general")
    assert net.history.n_epochs == whole.history.n_epochs
    assert files.read(tmp_path / "run").standing.facts["stop_reason"] == "finished"


def test_what_killed_processes_have_left_is_removed(tmp_path):
    where, living = where_processes_count(), os.getpid()
    left = tmp_path / f".run.{where}-999999999-{'0a' * 8}.tmp"
    others = [tmp_path / f".run.{where}-{living}-{'0a' * 8}.tmp", tmp_path / ".run.notes.tmp"]
    for path in (left, *others):
        path.touch()
    trained(tmp_path / "run")
    assert not left.exists() and all(path.exists() for path in others)


def test_random_states_go_on_as_they_were(tmp_path):
    """Also one that is passed to fit, and what a callback draws."""
    found = []
    for path in (None, tmp_path / "run", tmp_path / "run"):
        net, own = new_network((3, 4, 1)), np.random.RandomState(7)
        drawing = functools.partial(lambda net, *_: net.random_state.rand() > 1, net)
        net.fit(X, Y, random_state=own, checkpoint=path, callback=drawing, **OPTIONS)
        found.append((bits(net, net.history), own.rand(), net.random_state.rand()))
    assert found[0] == found[1] == found[2]
    other = np.random.RandomState(np.random.PCG64(0))
    with pytest.raises(ValueError, match=r"PCG64.*a RandomState of one as random_state, or leave out"):
        net.fit(X, Y, random_state=other, checkpoint=tmp_path / "other", **OPTIONS)
    net.random_state = other
    with pytest.raises(ValueError, match="PCG64") as told:
        net.fit(X, Y, checkpoint=tmp_path / "other", **OPTIONS)
    assert "training_state" not in str(told.value)
    net.fit(X, Y, **OPTIONS)


def test_what_a_checkpoint_lacks_is_said(tmp_path):
    path = tmp_path / "run"
    trained(path)
    found = files.read(path)
    for name in ("seconds", "stop_reason", "n_watched"):
        facts = {other: value for other, value in found.standing.facts.items() if other != name}
        files.write(path, found.identity, Standing(facts, found.standing.arrays))
        with pytest.raises(ValueError, match=f"the checkpoint lacks '{name}': resume=False begins anew"):
            trained(path)


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((0.01, 0.02), ("0.01", "0.02")),
        ((0.01, 0.010000001), ("0.01", "0.010000001")),
        ((0.1, np.nextafter(0.1, 1)), ("0.10000000000000001", "0.10000000000000002")),
        ((0.009997532801828658, 0.009997532), ("0.009997533", "0.009997532")),
    ],
)
def test_different_numbers_are_told_apart(numbers, texts):
    found = told_apart(*numbers)
    assert found[0] != found[1]
    assert list(map(float, found)) == pytest.approx(numbers, rel=1e-5)
    assert found == texts


@pytest.mark.parametrize(
    "changes",
    [
        {"order": np.full(N, 2**40)},
        {"order": np.zeros(N, np.int64)},
        {"order": np.arange(N - 1)},
        {"position": np.array([2, N, 5, 0])},
        {"position": np.array([-1, 0, 5, 0])},
        {"position": np.array([2**40, 0, 5, 0])},
        {"position": np.zeros(3, np.int64)},
        {"sums": np.zeros((9, 3))},
        {"moments": np.zeros((1, 3))},
        {"parameters": np.full(21, np.nan)},
        {"validation": np.zeros((9, 2))},
        {"sums": None},
        {"n_watched": -1},
        {"n_watched": "1"},
        {"n_watched": 99},
        {"seconds": "long"},
        {"stop_reason": 3},
        {"random_states": [1]},
        {"plan": {"delayed_layers": 3}},
        {"plan": {"block_length": 10**12}},
    ],
    ids=str,
)
def test_what_no_run_has_come_to_is_refused(tmp_path, changes):
    """With a digest that is right: kernels would read and write wherever an order says."""
    path = tmp_path / "run"
    trained(path)
    found = files.read(path)
    facts, arrays = dict(found.standing.facts, stop_reason=None), dict(found.standing.arrays)
    for name, value in changes.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif value is None:
            del arrays[name]
        else:
            facts[name] = {**facts[name], **value} if isinstance(value, dict) else value
    files.write(path, found.identity, Standing(facts, arrays))
    net = new_network((3, 4, 1))
    before = net.parameters.tobytes()
    with pytest.raises(ValueError, match=r"checkpoint|its plan|is needed") as told:
        net.fit(X, Y, checkpoint=path, **OPTIONS)
    assert not isinstance(told.value, nbp.DivergenceError)
    assert net.parameters.tobytes() == before
