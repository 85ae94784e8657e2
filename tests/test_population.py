"""Populations: every network as if it were alone, in lanes and one by one."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import reference
import scipy.sparse
from population_problems import ADAPTIVE, LANES, LINEAR, TOLERANCE, N, assert_as_the_reference

import numbabp as nbp
from numbabp.checks import population as checks
from numbabp.data.datasets import xor
from numbabp.inference import host as population_inference
from numbabp.training import slicing

pytestmark = pytest.mark.once

CASES = [  # sizes, activations, loss
    ((2, 10, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy"),
    ((3, 4), ("softmax",), "categorical_cross_entropy"),
    ((5, 7, 6, 3), ("tanh", "gelu", "softmax"), "categorical_cross_entropy"),
    ((4, 6, 3), ("relu", "sigmoid"), "binary_cross_entropy"),
    ((3, 5, 2), ("softplus", "identity"), "huber"),
    ((3, 5, 2), ("elu", "softmax"), "squared_error"),
    ((2, 9, 2), ("silu", "tanh"), "squared_error"),
    ((3, 4, 1), ("leaky_relu", "identity"), "absolute_error"),
    ((1, 1, 1), ("identity", "sigmoid"), "squared_error"),
    ((3, 5, 2), ("tanh", "exp"), "poisson"),
    ((3, 5, 2), ("tanh", "identity"), "quantile"),
    ((3, 4, 2), ("sigmoid", "exp"), "squared_error"),
    ((9, 6, 3), ("relu", "sigmoid"), "binary_cross_entropy"),  # from 8 inputs on in blocks of samples
    ((12, 3), ("softmax",), "categorical_cross_entropy"),
]
X, Y = xor()


def xor_population(n=N, **options):
    return nbp.Population((2, 10, 1), n, loss="binary_cross_entropy", random_state=0, **options)


# --- as alone -------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(("kernel", "own_order"), [("lanes", False), ("lanes", True), ("each", False)])
@pytest.mark.parametrize(
    ("sizes", "activations", "loss", "rule"),
    [(*case, rule) for rule in LINEAR for case in CASES]
    + [(*CASES[i], rule) for rule in ADAPTIVE for i in (0, 2, 4, 12)],
)
def test_every_network_agrees_with_the_reference(sizes, activations, loss, rule, kernel, own_order):
    assert_as_the_reference((sizes, activations, loss), rule, kernel, own_order)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("own_order", [False, True])
@pytest.mark.parametrize("kernel", ["lanes", "each"])
def test_shuffled_as_alone(kernel, own_order, dtype):
    population = xor_population(dtype=dtype)
    alone = [population[i] for i in range(N)]
    history = population.fit(
        X,
        Y,
        epochs=125,
        learning_rate=0.5,
        random_state=5,
        kernel=kernel,
        own_order=own_order,
        progress=False,
    )
    seeds = np.random.RandomState(5).randint(0, 2**31 - 1, size=N, dtype=np.int64)
    for i, network in enumerate(alone):
        seed = int(seeds[i]) if own_order else 5
        network.fit(X, Y, epochs=125, learning_rate=0.5, random_state=np.random.RandomState(seed))
        error = reference.largest_relative_error([population.parameters[i]], [network.parameters])
        assert error < TOLERANCE[dtype]
        np.testing.assert_allclose(history.loss[i], network.history.loss, rtol=10 * TOLERANCE[dtype])


def test_networks_begin_where_their_seeds_say():
    population = nbp.Population((3, 4, 2), 5, init="he_normal", random_state=[3, 1, 4, 1, 5])
    for i, seed in enumerate([3, 1, 4, 1, 5]):
        alone = nbp.Network((3, 4, 2), init="he_normal", random_state=seed)
        np.testing.assert_array_equal(population[i].parameters, alone.parameters)
    drawn = nbp.Population((3, 4, 2), 5, random_state=0)
    again = nbp.Population((3, 4, 2), 5, random_state=0)
    np.testing.assert_array_equal(drawn.parameters, again.parameters)
    assert len(np.unique(drawn.parameters[:, 0])) == 5


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_partial_fit_goes_on_where_fit_would(rule):
    whole, parts = xor_population(), xor_population()
    options = {"shuffle": False, "update_rule": rule, "learning_rate": 0.1, "progress": False}
    whole.fit(X, Y, epochs=6, **options)
    for _ in range(6):
        parts.partial_fit(X, Y, **options)
    np.testing.assert_allclose(parts.parameters, whole.parameters, rtol=1e-12)


def test_schedules_and_rates_of_each_network():
    population, rates = xor_population(4), [0.1, 0.2, 0.1, 0.4]
    history = population.fit(X, Y, learning_rate=rates, epochs=5, schedule="cosine", progress=False)
    for i, rate in enumerate(rates):
        alone = xor_population(4)[i]
        alone.fit(X, Y, learning_rate=rate, epochs=5, schedule="cosine")
        np.testing.assert_allclose(history[i].learning_rate, alone.history.learning_rate)


# --- threads, slices, turns: no bit changes --------------------------------------------------------


@pytest.mark.parametrize("own_order", [False, True])
@pytest.mark.parametrize(("rule", "n_inputs"), [("sgd", 2), ("momentum", 2), ("sgd", 10), ("adam", 2)])
@pytest.mark.parametrize(
    ("seconds", "options"),
    [(1e-12, {}), (1e-6, {"n_threads": 1}), (0.05, {"n_threads": 1}), (0.05, {"chunk_size": 5}), (0.05, {})],
)
def test_slices_threads_and_turns_change_no_bit(seconds, options, rule, n_inputs, own_order, monkeypatch):
    options = {**options, "own_order": own_order}
    train = {"epochs": 7, "random_state": 0, "update_rule": rule, "learning_rate": 0.1, "progress": False}
    data = np.random.RandomState(0)
    X, Y = data.standard_normal((19, n_inputs)), data.randint(0, 2, (19, 1))
    whole, parts = (
        nbp.Population((n_inputs, 10, 1), 3 * LANES + 1, loss="binary_cross_entropy", random_state=0)
        for _ in range(2)
    )
    of_whole = whole.fit(X, Y, **train, kernel="lanes", own_order=own_order)
    monkeypatch.setattr(slicing, "SLICE_SECONDS", seconds)
    of_parts = parts.fit(X, Y, **train, kernel="lanes", **options)
    np.testing.assert_array_equal(parts.parameters, whole.parameters)
    np.testing.assert_array_equal(of_parts.loss, of_whole.loss)
    np.testing.assert_array_equal(of_parts.accuracy, of_whole.accuracy)


# --- divergence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["lanes", "each"])
@pytest.mark.parametrize(("rule", "n_inputs"), [("sgd", 3), ("momentum", 3), ("sgd", 9)])
def test_a_network_that_diverges_is_frozen_and_harms_no_other(kernel, rule, n_inputs):
    data = np.random.RandomState(0)
    X, Y = data.standard_normal((20, n_inputs)), data.standard_normal((20, 2))
    rates = np.full(N, 0.01)
    rates[[4, LANES + 1]] = 1e3
    options = {"epochs": 30, "update_rule": rule, "random_state": 0, "progress": False, "kernel": kernel}
    make = {"hidden_activation": "relu", "random_state": 0}
    population, healthy = (nbp.Population((n_inputs, 6, 2), N, **make) for _ in range(2))
    alone = population[4]
    history = population.fit(X, Y, learning_rate=rates, **options)
    healthy.fit(X, Y, learning_rate=0.01, **options)
    assert sorted(history.diverged) == [4, LANES + 1]
    assert history.diverged[4].learning_rate == 1e3
    assert np.isfinite(population.parameters).all()
    others = np.delete(np.arange(N), [4, LANES + 1])
    np.testing.assert_array_equal(population.parameters[others], healthy.parameters[others])
    assert np.isfinite(history.loss[others]).all()
    with pytest.raises(nbp.DivergenceError) as error:
        alone.fit(X, Y, learning_rate=1e3, update_rule=rule, epochs=30, random_state=0)
    assert (error.value.epoch, error.value.sample) == (history.diverged[4].epoch, history.diverged[4].sample)
    np.testing.assert_allclose(population.parameters[4], alone.parameters, rtol=1e-9)
    assert np.isnan(history.loss[4, error.value.epoch :]).all()
    assert history[4].stop_reason == "diverged"
    assert 4 not in [population.best_index()]
    assert len(population.ensemble().population) == N - 2


# --- interruption ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("kernel", ["lanes", "each"])
def test_ctrl_c_stops_soon_and_leaves_finite_networks(kernel, n_threads):
    script = textwrap.dedent(
        f"""
        import os, signal, time
        import numpy as np, numbabp as nbp
        from numbabp.training.population_loop import PopulationTraining
        X, y = np.random.RandomState(0).standard_normal((1000, 8)), np.arange(1000) % 2
        population = nbp.Population((8, 16, 1), 500, loss="binary_cross_entropy", random_state=0)
        before = population.parameters.copy()
        options = {{"kernel": {kernel!r}, "n_threads": {n_threads}, "progress": False}}
        population[:40].fit(X, y, epochs=1, **options)  # compiles
        sent = []
        def interrupt(training):  # after the first slices
            if not sent and sum(training._steps_done):
                sent.append(time.process_time())  # which others' work does not lengthen
                os.kill(os.getpid(), signal.SIGINT)
        PopulationTraining._show = interrupt
        try:
            population.fit(X, y, epochs=5_000, **options)
        except KeyboardInterrupt:
            print(time.process_time() - sent[0])
            assert np.isfinite(population.parameters).all()
            assert (population.parameters != before).any()
            assert population.history.stop_reason == "interrupted"
            finished = max(1, population.history.n_epochs.max())
            assert population.history.loss.shape == (500, finished)
            assert population.history[0].learning_rate.shape == population.history[0].loss.shape
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.0  # 0.2 s on an idle machine


# --- the plan --------------------------------------------------------------------------------------


def test_small_networks_go_in_lanes_and_large_ones_by_themselves():
    assert xor_population().plan(X).kernel == "lanes"
    large = nbp.Population((200, 300, 10), 4)
    assert large.plan(1000).kernel == "each"
    text = xor_population().plan(X, n_threads=1).explain()
    assert f"lanes, {LANES} networks at a time on the cpu, 1 thread: the fastest predicted." in text
    assert "Not taken: each network by itself (tiny):" in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"update_rule": "rprop", "batch_size": 4}, "update_rule='rprop'"),
        ({"batch_size": 2, "clip_value": 0.5}, "clip_value=0.5"),
        ({"l1": 0.1}, "l1=0.1"),
        ({"propagate": "updated"}, "propagate='updated'"),
        ({"monitor": ("squared_error",)}, "monitor="),
    ],
)
def test_what_lanes_do_not_take_is_trained_one_by_one(options, reason):
    population = xor_population(3)
    plan = population.plan(X, **options)
    assert plan.kernel == "each"
    assert "the only one possible" in plan.explain()
    assert reason in plan.explain()
    with pytest.raises(ValueError, match=f"kernel='lanes' is not possible: {reason}"):
        population.fit(X, Y, kernel="lanes", **options)
    history = population.fit(X, Y, epochs=3, progress=False, **options)
    assert np.isfinite(history.loss).all()


def test_sparse_samples():
    from scipy import sparse

    data = sparse.random(40, 30, 0.2, format="csr", random_state=0)
    y = np.arange(40) % 2
    dense, of_sparse = (
        nbp.Population((30, 5, 1), 3, loss="binary_cross_entropy", random_state=0) for _ in range(2)
    )
    assert "X is sparse" in of_sparse.plan(data).explain()
    options = {"epochs": 3, "random_state": 0, "progress": False}
    dense.fit(data.toarray(), y, **options)
    of_sparse.fit(data, y, **options)
    np.testing.assert_allclose(of_sparse.parameters, dense.parameters, rtol=1e-9)


# --- predictions, selections, files ----------------------------------------------------------------


def test_it_learns_and_predicts():
    population = xor_population(40)
    history = population.fit(X, Y, learning_rate=1.0, epochs=2000, progress=False)
    assert history.loss.shape == history.accuracy.shape == (40, 2000)
    assert population.forward(X).shape == (40, 4, 1)
    assert population.predict(X).shape == (40, 4)
    for i in (0, 17, 39):
        np.testing.assert_array_equal(population.forward(X)[i], population[i].forward(X))
        np.testing.assert_array_equal(history[i].loss, history.loss[i])
    best = population.best_index()
    assert history.loss[best, -1] == history.loss[:, -1].min()
    assert history.accuracy[population.best_index("accuracy"), -1] == 1
    np.testing.assert_array_equal(population.best().predict(X), Y)
    measured = population.evaluate(X, Y)
    for name in ("loss", "accuracy"):
        assert measured[name][3] == population[3].evaluate(X, Y)[name]
    ensemble = population.ensemble()
    np.testing.assert_allclose(ensemble.forward(X), population.forward(X).mean(axis=0))
    np.testing.assert_allclose(ensemble.std(X), population.forward(X).std(axis=0))
    np.testing.assert_array_equal(ensemble.predict(X), Y)
    assert "40 networks, 2000 epochs, finished" in repr(history)


@pytest.mark.parametrize("n_at_once", [1, 2, 5])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
def test_outputs_and_measurements_are_those_of_each_network(output, n_at_once, monkeypatch):
    n_samples, widest = 6, 7
    monkeypatch.setattr(population_inference, "TOGETHER_BYTES", 8 * n_at_once * n_samples * widest)
    population = nbp.Population(
        (3, widest, 5, 4), 5, hidden_activation=["tanh", "gelu"], output_activation=output, random_state=0
    )
    random_state = np.random.RandomState(0)
    X, y = random_state.standard_normal((n_samples, 3)), random_state.standard_normal((n_samples, 4))
    weights = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 3.0])
    outputs, predicted = population.forward(X), population.predict(X)
    measured = population.evaluate(X, y, weights, monitor=["huber"])
    for i in range(5):
        network = population[i]
        np.testing.assert_allclose(outputs[i], network.forward(X), rtol=1e-13)
        np.testing.assert_allclose(predicted[i], network.predict(X), rtol=1e-13)
        for name, value in network.evaluate(X, y, weights, monitor=["huber"]).items():
            assert measured[name][i] == pytest.approx(value, rel=1e-13)
    sparse = scipy.sparse.csr_matrix(X)
    np.testing.assert_allclose(population.forward(sparse), outputs, rtol=1e-12)


def test_selections_are_copies():
    population = xor_population(6)
    some = population[1:4]
    assert isinstance(some, nbp.Population)
    assert len(some) == 3
    np.testing.assert_array_equal(some.parameters, population.parameters[1:4])
    np.testing.assert_array_equal(population[[5, 0]].seeds, population.seeds[[5, 0]])
    some.parameters[:] = 0
    population[0].parameters[:] = 0
    assert (population.parameters[:, 0] != 0).all()
    with pytest.raises(IndexError):
        population[6]
    with pytest.raises(IndexError, match="selects no networks"):
        population[4:4]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_files_keep_every_bit(dtype, tmp_path):
    population = nbp.Population((3, 4, 2), 7, hidden_activation="gelu", loss="huber", dtype=dtype)
    population.save(tmp_path / "p.safetensors")
    loaded = nbp.Population.load(tmp_path / "p.safetensors")
    np.testing.assert_array_equal(loaded.parameters, population.parameters)
    np.testing.assert_array_equal(loaded.seeds, population.seeds)
    assert (loaded.dtype, loaded.activations, loaded.loss) == (dtype, population.activations, "huber")
    with pytest.raises(ValueError, match="a population of numbabp, not a network"):
        nbp.load(tmp_path / "p.safetensors")
    population[0].save(tmp_path / "n.safetensors")
    with pytest.raises(ValueError, match="a network of numbabp, not a population"):
        nbp.Population.load(tmp_path / "n.safetensors")


def test_files_that_are_not_whole_are_refused(tmp_path):
    population = nbp.Population((3, 4, 2), 7)
    population.save(tmp_path / "p.safetensors")
    content = bytearray((tmp_path / "p.safetensors").read_bytes())
    broken = tmp_path / "broken.safetensors"
    for length in (0, 5, 100, len(content) - 8, len(content) - 1):
        broken.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"broken\.safetensors: "):
            nbp.Population.load(broken)
    content[-5] ^= 1
    broken.write_bytes(content)
    with pytest.raises(ValueError, match="altered"):
        nbp.Population.load(broken)


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": [0.1, 0.2]}, "learning_rate must be a number or 3 numbers"),
        ({"learning_rate": [0.1, 0.0, 0.1]}, "learning_rate"),
        ({"learning_rate": [0.1, np.nan, 0.1]}, "learning_rate"),
        ({"momentum": [0.1, 1.0, 0.1]}, "momentum"),
        ({"l2": [0, 0, -1]}, "l2"),
        ({"sample_weight": np.ones((2, 4))}, r"sample_weight must have shape \(4,\) or \(3, 4\)"),
        ({"sample_weight": -np.ones(4)}, "sample_weight must be finite and not negative"),
        ({"sample_weight": [[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]}, "sample_weight must not be 0"),
        ({"epochs": 0}, "epochs"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"kernel": "tiny"}, "kernel='tiny' is not known for a population; allowed: auto, lanes, each"),
        ({"patience": 0}, "patience must be"),
        ({"schedule": "adaptive"}, "schedule='adaptive' is for one network"),
    ],
)
def test_bad_arguments_change_nothing(options, message):
    population = xor_population(3)
    before = population.parameters.copy()
    with pytest.raises((ValueError, TypeError), match=message):
        population.fit(X, Y, **options)
    np.testing.assert_array_equal(population.parameters, before)
    assert population.history is None


def test_bad_populations():
    for seeds in ([1, 2], [0.5, 1.5, 2.5], "abc"):
        with pytest.raises(ValueError, match="random_state must be"):
            nbp.Population((2, 1), 3, random_state=seeds)
    with pytest.raises(ValueError, match="n_networks must be at least 1"):
        nbp.Population((2, 1), 0)
    with pytest.raises(TypeError, match="networks must be a sequence"):
        nbp.Population.from_networks([])
    with pytest.raises(ValueError, match=r"networks\[1\] has layer_sizes \(2, 2\)"):
        nbp.Population.from_networks([nbp.Network((2, 1)), nbp.Network((2, 2))])
    with pytest.raises(RuntimeError, match="call fit first"):
        xor_population(3).best()


def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch):
    with pytest.raises(MemoryError, match=r"n_networks=10000000000: .* enough for [\d,]+ networks"):
        nbp.Population((1000, 1000, 10), 10**10)
    population = xor_population(100)
    monkeypatch.setattr(checks, "_available_memory", lambda: 60_000)
    with pytest.raises(MemoryError, match="chunk_size trains them in turns"):
        population.fit(X, Y, epochs=20)
    population.fit(X, Y, epochs=20, chunk_size=10, progress=False)
    with pytest.raises(
        MemoryError, match=r"n_networks=100: .* 1,6\d\d bytes, and 60,000 .* for 3\d networks"
    ):
        population.fit(X, Y, epochs=100, chunk_size=10)


def test_a_bar_is_shown_when_asked_for(capfd):
    xor_population(200).fit(X, Y, epochs=50, progress=True, n_threads=1)
    assert "epoch" in capfd.readouterr().err


def test_lanes_without_the_compiler():
    """The kernel as plain Python gives what it gives compiled."""
    script = textwrap.dedent(
        """
        import numpy as np, numbabp as nbp
        from numbabp.data.datasets import xor
        X, y = xor()
        p = nbp.Population((2, 3, 1), 3, loss="binary_cross_entropy", random_state=0)
        how = {"kernel": "lanes", "n_threads": 1, "learning_rate": [0.5, 0.1, 1.0], "progress": False}
        for rule in ("sgd", "adagrad", "rmsprop", "adam", "adamw"):
            p.fit(X, y, epochs=2, update_rule=rule, l2=0.01, **how)
        p.fit(X, y, epochs=2, own_order=True, random_state=0, sample_weight=[1, 0, 2, 1], **how)
        of_classes = nbp.Population((2, 3, 3), 3, loss="categorical_cross_entropy", random_state=0)
        how["own_order"] = True
        history = of_classes.fit(X, [0, 2, 1, 0], epochs=2, random_state=0, **how)
        print(history.accuracy.tolist(), end=", ")
        print(of_classes.parameters.tolist(), end=", ")
        print(p.parameters.tolist())
        """
    )
    results = []
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        results.append(eval(done.stdout))
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-12)


def epochs_until_no_change(losses, tol, n_iter_no_change):
    """How many epochs scikit-learn's rule lets a network of these losses train."""
    best, waited = np.inf, 0
    for epoch, loss in enumerate(losses):
        waited = 0 if loss <= best - tol else waited + 1
        best = min(best, loss)
        if waited > n_iter_no_change:
            return epoch + 1
    return len(losses)


@pytest.mark.parametrize("kernel", ["lanes", "each"])
@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_a_network_ends_when_its_loss_improves_no_more(kernel, rule):
    X, y = xor()
    options = {
        "learning_rate": np.geomspace(0.05, 5, 40),
        "update_rule": rule,
        "momentum": 0.5,
        "shuffle": False,
        "kernel": kernel,
    }
    whole = xor_population(40).fit(X, y, epochs=60, **options)
    population = xor_population(40)
    history = population.fit(X, y, epochs=60, tol=1e-3, n_iter_no_change=3, **options)
    expected = [epochs_until_no_change(losses, 1e-3, 3) for losses in whole.loss]
    assert len(set(expected)) > 1 and 60 in expected and min(expected) < 30
    np.testing.assert_array_equal(history.n_epochs, expected)
    for i, epochs in enumerate(expected):
        np.testing.assert_allclose(history.loss[i, :epochs], whole.loss[i, :epochs], rtol=1e-12)
        assert np.isnan(history.loss[i, epochs:]).all()
        assert history.last()[i] == history.loss[i, epochs - 1]
        assert history[i].stop_reason == ("no change" if epochs < 60 else "finished")
        alone = xor_population(40)[i]
        alone.fit(
            X, y, epochs=epochs, progress=False,
            **{**options, "kernel": "auto", "learning_rate": options["learning_rate"][i]},
        )  # fmt: skip
        np.testing.assert_allclose(population.parameters[i], alone.parameters, rtol=1e-10)
    assert population.best_index() == np.nanargmin(history.last())


def test_networks_that_ended_change_no_bit_in_slices_and_harm_no_other(monkeypatch):
    X, y = xor()
    options = {
        "learning_rate": np.geomspace(0.05, 1e3, 70),
        "epochs": 300,
        "tol": 1e-2,
        "n_iter_no_change": 2,
    }
    one = xor_population(70)
    first = one.fit(X, y, n_threads=1, **options)
    monkeypatch.setattr("numbabp.training.slicing.SLICE_SECONDS", 1e-6)
    other = xor_population(70)
    second = other.fit(X, y, n_threads=2, chunk_size=33, **options)
    assert first.diverged.keys() == second.diverged.keys()
    np.testing.assert_array_equal(first.n_epochs, second.n_epochs)
    np.testing.assert_array_equal(one.parameters, other.parameters)


@pytest.mark.parametrize("argument", [{"tol": -1.0}, {"n_iter_no_change": 0}, {"n_iter_no_change": 1.5}])
def test_bad_ends_are_refused(argument):
    population = xor_population(2)
    before = population.parameters.copy()
    with pytest.raises((ValueError, TypeError), match=next(iter(argument))):
        population.fit(*xor(), **argument)
    np.testing.assert_array_equal(population.parameters, before)


@pytest.mark.parametrize("update_rule", ["sgd", "momentum", "adam"])
def test_training_goes_on_as_if_never_saved(tmp_path, update_rule):
    X, y = np.random.RandomState(0).standard_normal((20, 3)), np.arange(20) % 2
    population = nbp.Population((3, 4, 1), 5, random_state=0)
    population.fit(X, y, epochs=2, update_rule=update_rule)
    population.save(tmp_path / "p")
    twin = nbp.Population.load(tmp_path / "p")
    for each in (population, twin):
        each.fit(X, y, epochs=3, update_rule=update_rule)
    assert twin.parameters.tobytes() == population.parameters.tobytes()
    assert twin.random_state.randint(2**31) == population.random_state.randint(2**31)
    whole, draw = (tmp_path / "p").read_bytes(), np.random.RandomState(0)
    for _ in range(200):
        altered = bytearray(whole)
        altered[draw.randint(len(whole))] ^= 1 << draw.randint(8)
        (tmp_path / "p").write_bytes(altered)
        with pytest.raises(ValueError, match="p: "):
            nbp.Population.load(tmp_path / "p")
    population.save(tmp_path / "p", training_state=False)
    assert len((tmp_path / "p").read_bytes()) < len(whole) - 2000
    nbp.Population.load(tmp_path / "p").fit(X, y, epochs=1, update_rule=update_rule)
