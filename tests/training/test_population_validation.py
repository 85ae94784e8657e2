"""Populations that are measured on samples they do not learn from, and that end by them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

import numbabp as nbp

pytestmark = pytest.mark.once
draw = np.random.RandomState(7)
X, X_VALIDATION = draw.standard_normal((60, 9)), draw.standard_normal((27, 9))


def classes(inputs):
    """Which of three, with noise, so that networks learn by heart what is no rule."""
    return (inputs[:, 0] + inputs[:, 1] * inputs[:, 2] + draw.standard_normal(len(inputs)) > 0).astype(
        int
    ) + (inputs[:, 3] > 1)


Y, Y_VALIDATION = classes(X), classes(X_VALIDATION)
RATES = np.geomspace(0.002, 0.1, 70)

MODELS = {
    "binary": ((9, 6, 1), {"loss": "binary_cross_entropy"}, lambda y: y > 0),
    "few inputs": ((3, 5, 1), {"loss": "binary_cross_entropy"}, lambda y: y > 0),
    "several classes": (
        (9, 5, 4, 3),
        {
            "loss": "categorical_cross_entropy",
            "hidden_activation": "tanh",
            "output_activation": "softmax",
        },
        lambda y: y,
    ),
    "without hidden layer": ((4, 1), {"loss": "binary_cross_entropy"}, lambda y: y > 1),
    "numbers": ((9, 6, 2), {"hidden_activation": "relu", "output_activation": "identity"}, None),
}
STEPS = {
    "plain": {},
    "momentum": {"update_rule": "momentum", "momentum": 0.5, "learning_rate": RATES / 4},
    "adam": {"update_rule": "adam", "learning_rate": RATES / 4},
    "penalty": {"l2": np.linspace(0, 0.05, 70)},
    "mini-batches": {"batch_size": 4, "update_rule": "momentum", "momentum": 0.5},
    "weights": {"sample_weight": draw.randint(3, size=(70, 60))},
    "own orders": {"own_order": True, "sample_weight": draw.randint(1, 3, size=60)},
    "weights, penalty": {"sample_weight": draw.randint(1, 3, size=60), "l2": 0.01},
}


def samples(name):
    """X, y and validation_data of a model."""
    sizes, _, of = MODELS[name]
    if of is None:
        y, y_validation = (np.stack([x[:, 0] * x[:, 1], x[:, 2] ** 2], axis=1) for x in (X, X_VALIDATION))
    else:
        y, y_validation = of(Y).astype(int), of(Y_VALIDATION).astype(int)
    return X[:, : sizes[0]], y, (X_VALIDATION[:, : sizes[0]], y_validation)


def population(name, dtype="float64"):
    sizes, options, _ = MODELS[name]
    return nbp.Population(sizes, len(RATES), random_state=4, dtype=dtype, **options)


def of_network(options, i):
    """Arguments of a network's own fit."""
    own = {
        key: value[i] if isinstance(value, np.ndarray) and len(value) == len(RATES) else value
        for key, value in options.items()
    }
    if own.pop("own_order", False):
        seeds = np.random.RandomState(own["random_state"]).randint(0, 2**31 - 1, len(RATES), np.int64)
        own["random_state"] = np.random.RandomState(seeds[i])
    return own


@pytest.mark.parametrize("kernel", ["lanes", "each"])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", MODELS)
def test_each_network_is_measured_and_ends_as_alone(name, steps, kernel):
    inputs, y, validation = samples(name)
    options = {"learning_rate": RATES, **STEPS[steps], "epochs": 15, "random_state": 5}
    options |= {"validation_data": validation, "early_stopping": True, "patience": 2, "tol": 0.01}
    many = population(name)
    history = many.fit(inputs, y, kernel=kernel, **options)
    assert len(set(history.n_epochs.tolist())) > 1  # some end, and not all at once
    for i in range(0, len(RATES), 6):
        alone = nbp.Network(many.layer_sizes, random_state=int(many.seeds[i]), **MODELS[name][1])
        own = alone.fit(inputs, y, progress=False, **of_network(options, i))  # its order, too
        np.testing.assert_allclose(many.parameters[i], alone.parameters, rtol=1e-9, atol=1e-12)
        assert (set(own), own.stop_reason) == (set(history[i]), history[i].stop_reason)
        for metric in own:
            np.testing.assert_allclose(history[i][metric], own[metric], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_in_float32_what_is_measured_is_what_evaluate_measures(name):
    inputs, y, validation = samples(name)
    many = population(name, "float32")
    history = many.fit(inputs, y, learning_rate=RATES, epochs=3, validation_data=validation, kernel="lanes")
    measured = many.evaluate(*validation)
    for metric, values in measured.items():
        np.testing.assert_allclose(history.last(f"validation_{metric}"), values, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("kernel", ["lanes", "each"])
@pytest.mark.parametrize("name", MODELS)
def test_measuring_changes_no_bit_of_training(name, kernel):
    inputs, y, validation = samples(name)
    plain, measured = population(name), population(name)
    how = {"learning_rate": RATES, "epochs": 4, "kernel": kernel, "random_state": 1}
    expected = plain.fit(inputs, y, **how)
    history = measured.fit(inputs, y, validation_data=validation, **how)
    assert plain.parameters.tobytes() == measured.parameters.tobytes()
    assert history.loss.tobytes() == expected.loss.tobytes()


@pytest.mark.parametrize("kernel", ["lanes", "each"])
def test_without_validation_data_the_training_loss_decides(kernel):
    inputs, y, _ = samples("binary")
    options = {"epochs": 30, "early_stopping": True, "patience": 1, "tol": 0.01, "random_state": 2}
    many = population("binary")
    history = many.fit(inputs, y, learning_rate=RATES, kernel=kernel, **options)
    assert history.n_epochs.min() < 30
    assert "validation_loss" not in history
    for i in range(0, len(RATES), 9):
        alone = nbp.Network((9, 6, 1), loss="binary_cross_entropy", random_state=int(many.seeds[i]))
        own = alone.fit(inputs, y, learning_rate=RATES[i], progress=False, **options)
        assert len(own.loss) == history.n_epochs[i]
        np.testing.assert_allclose(many.parameters[i], alone.parameters, rtol=1e-9, atol=1e-12)


def test_a_network_that_diverges_leaves_the_others_as_they_are():
    inputs, y, validation = samples("binary")
    how = {"epochs": 8, "validation_data": validation, "early_stopping": True, "random_state": 1}
    some_diverge = np.where(np.arange(len(RATES)) % 9 == 4, 1e200, RATES)
    one, other = population("binary"), population("binary")
    expected = one.fit(inputs, y, learning_rate=RATES, kernel="lanes", **how)
    history = other.fit(inputs, y, learning_rate=some_diverge, kernel="lanes", **how)
    assert sorted(history.diverged) == list(range(4, len(RATES), 9))
    kept = np.arange(len(RATES)) % 9 != 4
    assert one.parameters[kept].tobytes() == other.parameters[kept].tobytes()
    assert np.isnan(history["validation_loss"][~kept]).all()
    # the others' longest run may be of one that diverged here
    n = history["validation_loss"].shape[1]
    np.testing.assert_array_equal(expected["validation_loss"][kept, :n], history["validation_loss"][kept])


def test_threads_and_turns_change_no_bit():
    inputs, y, validation = samples("several classes")
    how = {"learning_rate": RATES, "epochs": 9, "validation_data": validation, "early_stopping": True}
    found = []
    for options in ({"n_threads": 1}, {"n_threads": 2}, {"chunk_size": 33}):
        many = population("several classes")
        history = many.fit(inputs, y, random_state=3, patience=2, kernel="lanes", **options, **how)
        found.append((many.parameters.tobytes(), history["validation_accuracy"].tobytes()))
    assert found[0] == found[1] == found[2]


def test_the_best_network_is_found_by_its_validation_loss():
    inputs, y, validation = samples("binary")
    many = population("binary")
    many.fit(inputs, y, learning_rate=RATES, epochs=3, validation_data=validation)
    losses = many.evaluate(*validation)["loss"]
    assert many.best_index("validation_loss") == losses.argmin()


def test_what_is_not_possible_is_refused():
    inputs, y, validation = samples("binary")
    many = population("binary")
    before = many.parameters.tobytes()
    with pytest.raises(ValueError, match="n_iter_no_change=3 goes without early_stopping=True"):
        many.fit(inputs, y, early_stopping=True, n_iter_no_change=3)
    with pytest.raises(ValueError, match="n_iter_no_change=3 goes without early_stopping=True"):
        many.plan(inputs, early_stopping=True, n_iter_no_change=3)
    with pytest.raises(TypeError, match=r"validation_data must be a tuple \(X, y\)"):
        many.fit(inputs, y, validation_data=inputs)
    with pytest.raises(ValueError, match="validation_data X"):
        many.fit(inputs, y, validation_data=(validation[0][:, :3], validation[1]))
    sparse = scipy.sparse.csr_matrix(validation[0])
    with pytest.raises(ValueError, match=r"validation_data X is sparse, but X is dense.*X\.toarray\(\)"):
        many.fit(inputs, y, validation_data=(sparse, validation[1]))
    with pytest.raises(ValueError, match="validation_data X is dense, but X is sparse"):
        many.fit(scipy.sparse.csr_matrix(inputs), y, validation_data=validation)
    assert many.parameters.tobytes() == before


def test_sparse_samples_are_measured_on_sparse_ones():
    inputs, y, validation = samples("binary")
    how = {"learning_rate": 0.05, "epochs": 4, "random_state": 2, "early_stopping": True, "patience": 1}
    dense, sparse = population("binary"), population("binary")
    expected = dense.fit(inputs, y, validation_data=validation, kernel="each", **how)
    kept = scipy.sparse.csr_matrix(validation[0]), validation[1]
    history = sparse.fit(scipy.sparse.csr_matrix(inputs), y, validation_data=kept, **how)
    np.testing.assert_allclose(history["validation_loss"], expected["validation_loss"], rtol=1e-9)


SMALL_RUN = """
import numpy as np, numbabp as nbp
X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
many = nbp.Population((2, 3, 1), 5, loss="binary_cross_entropy", random_state=0)
how = {"early_stopping": True, "patience": 2, "tol": 0.001, "validation_data": (X[:3], y[:3])}
history = many.fit(X, y, epochs=9, learning_rate=[0.01, 0.1, 0.5, 1, 3], kernel="lanes", **how)
print(*history.n_epochs, *many.parameters.ravel(), *history["validation_loss"].ravel())
"""


def test_it_runs_without_the_compiler():
    found = []
    for environment in ({}, {"NUMBA_DISABLE_JIT": "1"}):
        command = [sys.executable, "-c", SMALL_RUN]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr
        found.append(np.array(done.stdout.split(), float))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-11)


@pytest.mark.parametrize("name", ["early_stopping", "patience", "epochs"])
def test_one_pass_has_nothing_to_stop(name):
    inputs, y, _ = samples("binary")
    with pytest.raises(TypeError, match=f"partial_fit takes no '{name}': it is one pass"):
        population("binary").partial_fit(inputs, y, **{name: 1})
