"""The oracle itself, against central differences and the design's printed figures."""

import numpy as np
import pytest
import reference

pytestmark = pytest.mark.once

XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
XOR_Y = np.array([[0], [1], [1], [0]], np.float64)


def target_for(loss, random_state, n_outputs):
    if loss == "categorical_cross_entropy":
        return np.eye(n_outputs)[random_state.randint(n_outputs)]
    if loss == "binary_cross_entropy":
        return random_state.randint(2, size=n_outputs).astype(float)
    if loss == "poisson":
        return random_state.poisson(1.5, size=n_outputs).astype(float)
    return random_state.standard_normal(n_outputs)


@pytest.mark.parametrize("hidden", reference.ELEMENTWISE)
@pytest.mark.parametrize(("output", "loss"), reference.pairs())
def test_gradient_is_the_central_difference(hidden, output, loss):
    sizes = (4, 5, 3, 3)
    activations = (hidden, hidden, output)
    compared = 0
    for seed in range(8):
        random_state = np.random.RandomState(100 + seed)
        weights, biases = reference.lecun_normal(sizes, seed)
        biases = [b + 0.3 * random_state.standard_normal(b.shape) for b in biases]
        x = random_state.standard_normal(sizes[0])
        y = target_for(loss, random_state, sizes[-1])
        z, a = reference.forward(weights, biases, activations, x)
        of_weights, of_biases = reference.gradient(weights, biases, activations, loss, x, y)
        found = [*of_weights, *of_biases]
        # A central difference means nothing across a kink, nor a ratio where all units are dead.
        near_a_kink = reference.distance_from_kinks(activations, loss, z, a[-1], y) < 1e-3
        if near_a_kink or max(np.max(np.abs(g)) for g in found) < 1e-4:
            continue
        of_weights, of_biases = reference.central_differences(weights, biases, activations, loss, x, y)
        assert reference.largest_relative_error(found, [*of_weights, *of_biases]) < 1e-6
        compared += 1
    assert compared >= 3


@pytest.mark.parametrize("name", [*reference.ELEMENTWISE, *reference.OF_OUTPUTS_ALONE])
def test_derivative_is_the_central_difference(name):
    function, derivative = {**reference.ELEMENTWISE, **reference.OF_OUTPUTS_ALONE}[name]
    z = np.linspace(-6, 6, 400)  # an even count: 0, where two of them have a kink, is left out
    expected = (function(z + 1e-5) - function(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(derivative(z), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [*reference.ELEMENTWISE, "softmax"])
def test_activations_survive_extreme_pre_activations(name):
    z = np.array([-1e4, -50.0, 0.0, 50.0, 1e4])
    with np.errstate(all="raise", under="ignore"):
        assert np.all(np.isfinite(reference.activate(name, z)))
        assert np.all(np.isfinite(reference.activation_delta(name, z, np.ones(5))))


def xor(weights, biases, epochs, learning_rate):
    trained = reference.train(
        weights,
        biases,
        XOR_X,
        XOR_Y,
        activations=("sigmoid", "sigmoid"),
        loss="squared_error",
        learning_rates=[learning_rate] * epochs,
        propagate="updated",
        monitor=("binary_cross_entropy", "accuracy"),
    )
    printed_loss = 4 * trained.metrics["binary_cross_entropy"]  # printed: the sum over 4 samples
    return trained, printed_loss, 100 * trained.metrics["accuracy"]


def test_xor_prints_the_notebooks_figures():
    _, loss, accuracy = xor(*reference.lecun_normal((2, 10, 1), 0), 200, 1.0)
    printed = {
        0: 3.4737521571212318,
        65: 3.491876218919175,
        66: 3.4891911065517616,
        127: 2.968925623935632,
        128: 2.955637323757989,
        181: 1.7989431569565686,
    }
    np.testing.assert_allclose(loss[list(printed)], list(printed.values()), rtol=1e-12)
    np.testing.assert_array_equal(accuracy[[0, 65, 127, 181]], [25, 25, 50, 100])


def test_zero_initialisation_prints_the_notebooks_figures():
    zeros = [np.zeros((2, 10)), np.zeros((10, 1))], [np.zeros(10), np.zeros(1)]
    _, loss, accuracy = xor(*zeros, 5, -1.0)
    np.testing.assert_allclose(loss[:2], [2.383938269247035, 2.3940150790588524], rtol=1e-12)
    np.testing.assert_array_equal(accuracy, [100, 75, 50, 50, 50])


@pytest.mark.parametrize(
    ("epochs", "column", "entry"),
    [
        (1, (0.0015006, -0.00013937), 0.00877009),
        (2, (3.07843345e-03, 6.32326402e-05), 0.03001629),
    ],
)
def test_zero_initialisation_leaves_the_hidden_units_alike(epochs, column, entry):
    zeros = [np.zeros((2, 10)), np.zeros((10, 1))], [np.zeros(10), np.zeros(1)]
    trained, _, _ = xor(*zeros, epochs, -1.0)
    first, second = trained.weights
    assert np.ptp(first, axis=1).max() == 0
    assert np.ptp(second) == 0
    np.testing.assert_allclose(first[:, 0], column, atol=5e-9)  # as many digits as are printed
    np.testing.assert_allclose(second[0, 0], entry, atol=5e-9)


def test_adam_first_step_is_the_sign_of_the_gradient():
    rule = reference.Rule("adam", 1, epsilon=0.0)
    p = np.array([1.0, 2.0, 3.0])
    rule.step([p], [np.array([0.5, -7.0, 1e-3])], 0.1, [0.0])
    np.testing.assert_allclose(p, [0.9, 2.1, 2.9], rtol=1e-14)


def test_rules_against_their_formulas_by_hand():
    """Two steps with gradients 2 and then -1 from parameter 1 at rate 0.1, worked out by hand."""
    adam_2 = (0.9 * 0.2 - 0.1) / 0.19 / np.sqrt((0.999 * 0.004 + 0.001) / (1 - 0.999**2))
    expected = {
        "sgd": 1 - 0.1 * 2 + 0.1 * 1,
        "momentum": 1 - 0.1 * 2 - 0.1 * 0.8,  # v = 2, then 0.9 * 2 - 1
        "nesterov": 1 - 0.1 * (2 + 1.8) - 0.1 * (-1 + 0.72),
        "adagrad": 1 - 0.1 + 0.1 / np.sqrt(5),
        "rmsprop": 1 - 0.1 * 2 / np.sqrt(0.4) + 0.1 / np.sqrt(0.46),
        "adam": 1 - 0.1 - 0.1 * adam_2,
    }
    expected["adamw"] = (1 - 0.1 - 0.1 * 0.5) - 0.1 * adam_2 - 0.1 * 0.5 * 0.85
    for name, value in expected.items():
        rule, p = reference.Rule(name, 1, epsilon=0.0), np.array([1.0])
        for g in (2.0, -1.0):
            rule.step([p], [np.array([g])], 0.1, [0.5 if name == "adamw" else 0.0])
        np.testing.assert_allclose(p, value, rtol=1e-14, err_msg=name)


def test_clipping_is_elementwise_and_then_by_norm():
    gradients = [np.array([3.0, -8.0]), np.array([4.0])]
    np.testing.assert_array_equal(np.concatenate(reference.clip(gradients, 4.0, None)), [3.0, -4.0, 4.0])
    clipped = np.concatenate(reference.clip(gradients, 4.0, 1.0))
    np.testing.assert_allclose(clipped, np.array([3.0, -4.0, 4.0]) / np.sqrt(41), rtol=1e-14)
