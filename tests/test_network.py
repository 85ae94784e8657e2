"""Networks: construction, the design's figures, predictions, and errors that leave everything as it was."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

import numbabp as nbp
from numbabp.cli import xor_experiments
from numbabp.data.datasets import xor

X, Y = np.random.RandomState(0).standard_normal((10, 3)), np.random.RandomState(1).random((10, 2))


def network(**options):
    return nbp.Network((3, 4, 2), random_state=0, **options)


def test_the_notebooks_printed_figures():
    run = xor_experiments.faithful()
    for epoch, loss in xor_experiments.FAITHFUL_LOSSES.items():
        assert run.losses[epoch] == pytest.approx(loss, rel=1e-12)
    for epoch, accuracy in xor_experiments.FAITHFUL_ACCURACIES.items():
        assert run.accuracies[epoch] == accuracy


def test_the_notebooks_zero_initialisation():
    run = xor_experiments.zeros()
    for epoch, loss in xor_experiments.ZEROS_LOSSES.items():
        assert run.losses[epoch] == pytest.approx(loss, rel=1e-12)
    assert run.accuracies.tolist() == list(xor_experiments.ZEROS_ACCURACIES.values())
    first, second = run.weights[0]
    np.testing.assert_allclose(first, np.outer([0.0015006, -0.00013937], np.ones(10)), atol=5e-9)
    np.testing.assert_allclose(second, 0.00877009, atol=5e-9)
    first, second = run.weights[1]
    np.testing.assert_allclose(first, np.outer([3.07843345e-03, 6.32326402e-05], np.ones(10)), rtol=1e-8)
    np.testing.assert_allclose(second, 0.03001629, atol=5e-9)
    for layers in run.weights:
        assert np.ptp(layers[0], axis=1).max() == 0


def test_initial_weights_are_those_of_the_global_seed():
    np.random.seed(0)  # noqa: NPY002
    expected = [np.sqrt(1 / m) * np.random.randn(m, n) for m, n in ((2, 10), (10, 1))]  # noqa: NPY002
    for own, weights in zip(nbp.Network((2, 10, 1), random_state=0).weights, expected, strict=True):
        assert np.array_equal(own, weights)


@pytest.mark.parametrize(
    "init, low, high, deviation",
    [
        ("zeros", 0, 0, 0),
        ("lecun_normal", None, None, np.sqrt(1 / 300)),
        ("glorot_normal", None, None, np.sqrt(2 / 500)),
        ("he_normal", None, None, np.sqrt(2 / 300)),
        ("glorot_uniform", -np.sqrt(6 / 500), np.sqrt(6 / 500), np.sqrt(2 / 500)),
        ("he_uniform", -np.sqrt(6 / 300), np.sqrt(6 / 300), np.sqrt(2 / 300)),
    ],
)
def test_initialisers(init, low, high, deviation):
    net = nbp.Network((300, 200, 1), init=init, random_state=0)
    weights = net.weights[0]
    assert weights.std() == pytest.approx(deviation, rel=0.02)
    if low is not None:
        assert low <= weights.min() and weights.max() <= high
    assert not any(biases.any() for biases in net.biases)


def test_readme_example():
    samples, targets = xor()
    net = nbp.Network((2, 10, 1), hidden_activation="sigmoid", loss="binary_cross_entropy", random_state=0)
    history = net.fit(samples, targets, learning_rate=1.0, epochs=1000)
    assert net.predict(samples).tolist() == [0, 1, 1, 0]
    assert history.accuracy[-1] == 1
    assert nbp.gradient_check(net, samples, targets) < 1e-6


@pytest.mark.parametrize(
    "loss, n_outputs, shape",
    [
        ("binary_cross_entropy", 1, (10,)),
        ("binary_cross_entropy", 3, (10, 3)),
        ("categorical_cross_entropy", 3, (10,)),
        ("squared_error", 1, (10,)),
        ("squared_error", 3, (10, 3)),
    ],
)
def test_predictions_have_the_documented_shape(loss, n_outputs, shape):
    net = nbp.Network((3, 4, n_outputs), loss=loss, random_state=0)
    assert net.forward(X).shape == (10, n_outputs)
    assert net.predict(X).shape == shape


def test_forward_in_chunks_is_the_same(monkeypatch):
    from numbabp.inference import host

    net = nbp.Network((3, 50, 40, 5), loss="categorical_cross_entropy", random_state=0)
    samples = np.random.RandomState(0).standard_normal((1000, 3))
    whole = net.forward(samples)
    monkeypatch.setattr(host, "CHUNK_BYTES", 1)
    np.testing.assert_allclose(net.forward(samples), whole, rtol=1e-13)


def test_weights_are_views_and_can_be_assigned():
    net = network()
    net.weights[0][...] = 1
    assert (net.parameters[:12] == 1).all()
    net.biases = [np.arange(4), np.arange(2)]
    assert net.biases[1].tolist() == [0, 1]
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"weights\[1\] must have shape \(4, 2\), got \(2, 4\)"):
        net.weights = [np.zeros((3, 4)), np.zeros((2, 4))]
    with pytest.raises(ValueError, match="weights must have 2 arrays"):
        net.weights = [np.zeros((3, 4))]
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_go_on_as_the_original(clone):
    net = network()
    net.fit(X, Y, epochs=3, update_rule="momentum")
    twin = clone(net)
    for each in (net, twin):
        each.fit(X, Y, epochs=3, update_rule="momentum")
    assert np.array_equal(net.parameters, twin.parameters)
    twin.weights[0][...] = 0
    assert not np.array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"layer_sizes": (3,)}, ValueError, "layer_sizes"),
        ({"layer_sizes": (3, 0, 1)}, ValueError, "layer_sizes[1] must be at least 1, got 0"),
        ({"layer_sizes": (3, -2, 1)}, ValueError, "layer_sizes[1] must be at least 1, got -2"),
        ({"layer_sizes": (3, 2.5, 1)}, TypeError, "layer_sizes[1] must be an integer, got 2.5"),
        ({"layer_sizes": (3, True, 1)}, TypeError, "layer_sizes[1]"),
        ({"layer_sizes": 3}, TypeError, "layer_sizes must be a sequence"),
        ({"layer_sizes": "321"}, TypeError, "layer_sizes must be a sequence"),
        ({"hidden_activation": "sigmod"}, ValueError, "hidden_activation='sigmod' is not known; allowed: "),
        ({"hidden_activation": "softmax"}, ValueError, "hidden_activation='softmax'"),
        ({"hidden_activation": "exp"}, ValueError, "hidden_activation='exp' is not known; allowed: "),
        ({"hidden_activation": ["relu", "relu"]}, ValueError, "names 2 activations"),
        ({"hidden_activation": 3}, TypeError, "hidden_activation"),
        ({"output_activation": "max"}, ValueError, "output_activation='max'"),
        ({"loss": "mse"}, ValueError, "loss='mse' is not known; allowed: absolute_error"),
        (
            {"loss": "binary_cross_entropy", "output_activation": "tanh"},
            ValueError,
            "output_activation='tanh' does not go with loss='binary_cross_entropy', which needs 'sigmoid'",
        ),
        (
            {"loss": "poisson", "output_activation": "softplus"},
            ValueError,
            "output_activation='softplus' does not go with loss='poisson', which needs 'exp'",
        ),
        (
            {"quantile": 0.9},
            ValueError,
            "quantile=0.9 is for loss='quantile', but the loss is 'squared_error'",
        ),
        (
            {"loss": "quantile", "quantile": 0},
            ValueError,
            "quantile must be finite and greater than 0 and less",
        ),
        ({"loss": "quantile", "quantile": 1.5}, ValueError, "less than 1, got 1.5"),
        ({"loss": "quantile", "quantile": np.nan}, ValueError, "less than 1, got nan"),
        ({"loss": "quantile", "quantile": "high"}, TypeError, "quantile must be a number, got 'high'"),
        ({"init": "ones"}, ValueError, "init='ones'"),
        ({"dtype": "float16"}, ValueError, "dtype='float16' is not supported; allowed: 'float32', 'float64'"),
        ({"dtype": None}, ValueError, "dtype=None"),
        ({"random_state": -1}, ValueError, "random_state must be between 0 and"),
        ({"random_state": "a"}, ValueError, "random_state must be None, an int"),
    ],
)
def test_construction_errors_say_what_is_allowed(arguments, error, words):
    with pytest.raises(error) as caught:
        nbp.Network(**{"layer_sizes": (3, 4, 2), **arguments})
    assert words in str(caught.value)


nan, inf = X.copy(), X.copy()
nan[3, 1], inf[0, 2] = np.nan, -np.inf


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"X": X[:, :2]}, ValueError, "X has 2 columns, but the network has 3 inputs"),
        ({"X": X[0]}, ValueError, "X must have 2 dimensions"),
        ({"X": X[np.newaxis]}, ValueError, "X must have 2 dimensions"),
        ({"X": X[:0], "y": Y[:0]}, ValueError, "X is empty"),
        ({"X": nan}, ValueError, "X must be finite, but X[3, 1] is nan"),
        ({"X": inf}, ValueError, "X must be finite, but X[0, 2] is -inf"),
        ({"X": X.astype(object)}, TypeError, "X must be numeric"),
        ({"X": X.astype(str)}, TypeError, "X must be numeric"),
        ({"X": X.astype(complex)}, TypeError, "X must be numeric"),
        ({"X": X.astype("datetime64[s]")}, TypeError, "X must be numeric"),
        ({"X": np.ma.masked_less(X, X.min() + 1e-9)}, ValueError, "X is a masked array of which 1 values"),
        ({"y": np.ma.masked_array(Y, np.eye(10, 2))}, ValueError, "y is a masked array of which 2 values"),
        (
            {"sample_weight": np.ma.masked_array(np.ones(10), np.arange(10) == 3)},
            ValueError,
            "sample_weight is a masked array of which 1 values",
        ),
        ({"X": [[1, 2, 3], [1, 2]]}, ValueError, "X is not a rectangular array"),
        ({"y": sparse.csr_matrix(Y)}, TypeError, "y is a sparse matrix"),
        ({"X": None}, TypeError, "X must be numeric"),
        ({"y": Y[:5]}, ValueError, "y has 5 samples, but X has 10"),
        ({"y": Y[:, :1]}, ValueError, "y has 1 columns, but the network has 2 outputs"),
        ({"y": Y[:, 0]}, ValueError, "y has shape (10,), but the network has 2 outputs"),
        ({"y": np.full((10, 2), np.nan)}, ValueError, "y must be finite"),
        ({"sample_weight": np.ones(3)}, ValueError, "sample_weight must have shape (10,)"),
        ({"sample_weight": -np.ones(10)}, ValueError, "sample_weight must not be negative"),
        ({"sample_weight": np.zeros(10)}, ValueError, "sample_weight must not be 0 for every sample"),
        ({"learning_rate": 0}, ValueError, "learning_rate must not be 0"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate must be finite"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate must be finite"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"update_rule": "lbfgs"}, ValueError, "update_rule='lbfgs' is not known; allowed: adagrad"),
        ({"momentum": 1.0}, ValueError, "momentum must be finite and at least 0 and less than 1"),
        ({"l2": -1}, ValueError, "l2 must be finite and at least 0"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be finite and greater than 0"),
        ({"schedule": "linear"}, ValueError, "schedule='linear'"),
        ({"schedule": "step", "schedule_options": {"power": 1}}, ValueError, "has no 'power'"),
        ({"schedule": lambda epoch: np.nan}, ValueError, "schedule(0) returned nan"),
        ({"propagate": "both"}, ValueError, "propagate='both'"),
        ({"propagate": "updated", "batch_size": 2}, ValueError, "propagate='updated' needs"),
        ({"monitor": "accuracy"}, TypeError, "monitor must be a sequence"),
        ({"monitor": ("auc",)}, ValueError, "monitor='auc'"),
        ({"validation_data": X}, TypeError, "validation_data must be a tuple"),
        ({"validation_data": (nan, Y)}, ValueError, "validation_data X must be finite"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True or False"),
        ({"callback": 3}, TypeError, "callback must be callable"),
        ({"device": "gpu"}, ValueError, "device='gpu' is not known; allowed: 'auto', 'cpu', 'cuda', or"),
    ],
)
def test_fit_errors_leave_the_network_unchanged(arguments, error, words):
    net = network()
    before = pickle.dumps(net)
    with pytest.raises(error) as caught:
        net.fit(**{"X": X, "y": Y, "epochs": 2, **arguments})
    assert words in str(caught.value)
    assert pickle.dumps(net) == before


def test_class_indices_are_checked():
    net = nbp.Network((3, 2), loss="categorical_cross_entropy")
    with pytest.raises(ValueError, match="class indices from 0 to 1, got values from 0 to 9"):
        net.fit(X, np.arange(10))
    with pytest.raises(ValueError, match="class indices"):
        net.fit(X, np.full(10, 0.5))


def test_too_large_for_float32():
    with pytest.raises(ValueError, match="X must be finite"):
        network(dtype="float32").forward(np.full((1, 3), 1e300))


def test_history_says_what_it_lacks():
    history = network().fit(X, Y, epochs=2, monitor=("absolute_error",))
    assert list(history) == ["loss", "absolute_error"]
    with pytest.raises(AttributeError, match="accuracy was not recorded"):
        _ = history.accuracy
    with pytest.raises(KeyError, match="'huber' was not recorded"):
        _ = history["huber"]
    assert history.to_dict()["loss"] == history.loss.tolist()


def run_python(code, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_importing_the_package_is_light():
    done = run_python(
        "import sys, numbabp\n"
        "heavy = {'numba', 'numpy', 'sklearn', 'scipy', 'typer', 'rich', 'matplotlib'}\n"
        "print(heavy & set(sys.modules)); numbabp.Network\n"
        "print({'sklearn', 'typer', 'rich'} & set(sys.modules))"
    )
    assert done.stdout.split() == ["set()", "set()"], done.stderr


SMALL_RUN = """
import numpy as np, numbabp as nbp
X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
for options in ({}, {"update_rule": "adam", "batch_size": 2, "l1": 0.01, "clip_norm": 1.0}):
    net = nbp.Network((2, 3, 1), hidden_activation="gelu", loss="binary_cross_entropy", random_state=0)
    net.fit(X, y, epochs=20, learning_rate=0.1, **options)
    print(*net.parameters.tolist(), *net.forward(X)[:, 0].tolist())
"""


def test_kernels_run_without_the_compiler():
    compiled, plain = run_python(SMALL_RUN), run_python(SMALL_RUN, NUMBA_DISABLE_JIT="1")
    assert plain.returncode == 0, plain.stderr
    numbers = [np.array(done.stdout.split(), float) for done in (compiled, plain)]
    np.testing.assert_allclose(*numbers, rtol=1e-11)


def test_a_cache_folder_that_can_not_be_written_costs_only_time(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    code = (
        "import numbabp as nbp\n"
        "net = nbp.Network((2, 3, 1), random_state=0)\n"
        "net.fit([[0, 1], [1, 0]], [0, 1], epochs=1, kernel='sequential')\n"  # which compiles soonest
        "print(*net.parameters.tolist())"
    )
    done = run_python(code, NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == run_python(code).stdout != ""


def test_a_copy_made_in_a_callback_goes_on_with_the_rules_state():
    X, y = np.random.RandomState(0).standard_normal((5, 3)), np.arange(5.0)
    copies = []
    options = {"update_rule": "momentum", "learning_rate": 0.01, "shuffle": False}
    net = nbp.Network((3, 4, 1), random_state=0)
    net.fit(X, y, epochs=2, callback=lambda epoch, _: copies.append(copy.deepcopy(net)), **options)
    copies[0].partial_fit(X, y, **options)
    np.testing.assert_array_equal(copies[0].parameters, net.parameters)


def test_astype_keeps_the_class_and_what_it_was_given():
    class Own(nbp.Network):
        pass

    net = Own((3, 4, 1), random_state=0)
    net.note = "mine"
    net.fit(np.zeros((2, 3)), np.zeros(2), epochs=1)
    twin = net.astype("float32")
    assert type(twin) is Own and twin.note == "mine" and twin.dtype == twin.parameters.dtype == np.float32
    assert twin.history is None and twin.random_state is not net.random_state
    np.testing.assert_allclose(twin.parameters, net.parameters, rtol=1e-6)


@pytest.mark.parametrize("own", [5, None, np.random.RandomState(5)], ids=["int", "None", "RandomState"])
def test_a_random_state_may_be_assigned(own):
    net = nbp.Network((3, 4, 1), random_state=0)
    net.random_state = own
    assert net.fit(np.zeros((2, 3)), np.zeros(2), epochs=1).n_epochs == 1


@pytest.mark.parametrize("dtype", ["foo", "int32", None, "float16", object])
def test_dtypes_that_are_not_supported(dtype):
    with pytest.raises(ValueError, match=r"dtype=.* is not supported; allowed: 'float32', 'float64'"):
        nbp.Network((3, 4, 1), dtype=dtype)


def test_a_plan_and_a_name_of_each_level():
    low, high = (nbp.Network((3, 1), loss="quantile", quantile=level) for level in (0.1, 0.9))
    assert low.architecture != high.architecture
    assert "quantile 0.1" in str(low.architecture)
    population = nbp.Population.from_networks([low, low])
    assert population.quantile == 0.1
    with pytest.raises(ValueError, match=r"networks\[1\] has quantile 0\.9, but networks\[0\] has 0\.1"):
        nbp.Population.from_networks([low, high])


def test_a_linear_network_finds_quantiles():
    """Of exponential targets, whose quantile of level q is -log(1 - q)."""
    y = np.random.RandomState(0).exponential(size=4000)
    for level in (0.1, 0.5, 0.9):
        net = nbp.Network((1, 1), loss="quantile", quantile=level, init="zeros")
        net.fit(np.zeros((4000, 1)), y, learning_rate=0.05, epochs=40, schedule="cosine", random_state=0)
        found = net.biases[0][0]
        assert np.mean(y < found) == pytest.approx(level, abs=0.01)
        expected = np.mean(np.maximum(level * (y - found), (level - 1) * (y - found)))
        assert net.evaluate(np.zeros((4000, 1)), y)["loss"] == pytest.approx(expected, rel=1e-12)


def test_counts_are_not_negative():
    net = nbp.Network((3, 2), loss="poisson")
    before = pickle.dumps(net)
    counts = np.ones((10, 2))
    counts[4, 1] = -0.5
    for call in (net.fit, net.partial_fit, net.evaluate):
        with pytest.raises(ValueError, match=r"y must not be negative for loss='poisson', got -0\.5"):
            call(X, counts)
    assert pickle.dumps(net) == before


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-3), ("float64", 1e-9)])
def test_the_deviance_of_large_counts_keeps_its_digits(dtype, tolerance):
    """y log(y / a) - y + a as it is written has none left in float32: its parts are of the size of y."""
    y = np.array([1e3, 1e5, 1e6, 1e6, 3e6])[:, np.newaxis]
    a = y * (1 + np.array([0.05, 0.01, -0.01, 0.01, 0.02]))[:, np.newaxis]
    net = nbp.Network((1, 1), loss="poisson", dtype=dtype)
    net.weights, net.biases = [np.ones((1, 1))], [np.zeros(1)]
    z = np.log(a).astype(dtype)
    u = z.astype(np.longdouble) - np.log(y.astype(np.longdouble))
    expected = y * (np.expm1(u) - u)
    found = [net.evaluate(z[i : i + 1], y[i : i + 1])["loss"] for i in range(len(y))]
    np.testing.assert_allclose(found, expected[:, 0].astype(float), rtol=tolerance)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: nbp.Network((2, 1)).fit([[0, 1]], [1], learning_rte=0.1), "learning_rate"),
        (lambda: nbp.Network((2, 1)).fit([[0, 1]], [1], kernel="blockd"), "blocked"),
        (lambda: nbp.Network((2, 1), loss="squared_eror"), "squared_error"),
        (lambda: nbp.Population((2, 1), 3).fit([[0, 1]], [1], kernel="lane"), "lanes"),
        (lambda: nbp.sweep({"learning_rats": [0.1]}, [[0, 1]], [1]), "learning_rate"),
    ],
)
def test_a_misspelt_name_is_asked_about(call, meant):
    with pytest.raises((TypeError, ValueError), match=f"Did you mean '{meant}'"):
        call()


def test_python_asks_about_a_misspelt_public_name():
    command = [sys.executable, "-c", "import numbabp as nbp; nbp.Netwrk"]
    shown = subprocess.run(command, capture_output=True, text=True).stderr
    assert shown.rstrip().endswith("Did you mean: 'Network'?")
