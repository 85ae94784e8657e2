"""What `trace`, `gradients` and `layer_outputs` give is what the plain reference computes."""

from itertools import pairwise

import numba
import numpy as np
import pytest
import reference
from problems import draw_problem, network_of
from scipy import sparse

import numbabp as nbp

pytestmark = pytest.mark.once

CASES = [
    ((4, 5, 3), ("tanh", output), loss)
    for output, loss in (
        *reference.pairs()[:3],
        ("identity", "squared_error"),
        ("sigmoid", "squared_error"),
        ("softmax", "squared_error"),
        ("identity", "absolute_error"),
        ("tanh", "huber"),
        ("identity", "quantile"),
    )
]
CASES += [
    ((3, 2), ("sigmoid",), "binary_cross_entropy"),
    ((2, 10, 1), ("sigmoid", "sigmoid"), "squared_error"),
    *(((3, 4, 5, 2), (name, "softplus", "identity"), "squared_error") for name in reference.ELEMENTWISE),
]
FEW = CASES[:2] if numba.config.DISABLE_JIT else CASES


def assert_equal(found, expected, most=1e-12):
    assert reference.largest_relative_error(found, expected) < most


def reference_step(problem, s, learning_rate, propagate):
    """Weights and biases after one step with sample s."""
    x, y = problem.X[s : s + 1], problem.Y[s : s + 1]
    return reference.train(
        problem.weights,
        problem.biases,
        x,
        y,
        activations=problem.activations,
        loss=problem.loss,
        learning_rates=[learning_rate],
        propagate=propagate,
    )


@pytest.mark.parametrize(("sizes", "activations", "loss"), FEW)
def test_a_trace_has_every_number_of_a_step(sizes, activations, loss):
    problem = draw_problem(3, sizes, activations, loss, n_samples=3)
    net = network_of(problem)
    before = net.parameters.copy()
    network = problem.weights, problem.biases, activations
    for s, (x, y) in enumerate(zip(problem.X, problem.Y, strict=True)):
        step = net.trace(x, y, learning_rate=0.3)
        z, a = reference.forward(*network, x)
        of_weights, of_biases = reference.gradient(*network, loss, x, y)
        assert_equal(step.z, z)
        assert_equal([step.inputs, *step.a], a)
        assert step.loss == pytest.approx(reference.sample_loss(*network, loss, x, y), rel=1e-12)
        assert_equal(step.gradients.weights, of_weights)
        assert_equal(step.gradients.biases, of_biases)
        assert_equal(step.delta, of_biases)
        expected = reference_step(problem, s, 0.3, "exact")
        assert_equal(step.new_weights, expected.weights)
        assert_equal(step.new_biases, expected.biases)
        np.testing.assert_array_equal(step.targets, y)
        np.testing.assert_array_equal(step.outputs, step.a[-1])
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(("sizes", "activations", "loss"), FEW)
def test_delta_goes_back_through_updated_weights(sizes, activations, loss):
    problem = draw_problem(5, sizes, activations, loss, n_samples=1)
    step = network_of(problem).trace(problem.X[0], problem.Y[0], learning_rate=0.7, propagate="updated")
    expected = reference_step(problem, 0, 0.7, "updated")
    assert_equal(step.new_weights, expected.weights)
    assert_equal(step.new_biases, expected.biases)
    # the update is the rate times the gradient with the delta that is shown
    for new, old, gradient in zip(step.new_weights, step.weights, step.gradients.weights, strict=True):
        np.testing.assert_allclose(new, old - 0.7 * gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("sizes", "activations", "loss"), FEW)
def test_gradients_are_the_reference_and_central_differences(sizes, activations, loss):
    problem = draw_problem(7, sizes, activations, loss, n_samples=6)
    net = network_of(problem)
    network = problem.weights, problem.biases, activations, loss
    each, mean = net.gradients(problem.X, problem.Y, per_sample=True), net.gradients(problem.X, problem.Y)
    samples = list(zip(problem.X, problem.Y, strict=True))
    expected = [reference.gradient(*network, x, y) for x, y in samples]
    for found, averaged, kind in ((each.weights, mean.weights, 0), (each.biases, mean.biases, 1)):
        right = [np.array([sample[kind][layer] for sample in expected]) for layer in range(net.n_layers)]
        assert_equal(found, right)
        assert_equal(averaged, [part.mean(axis=0) for part in right])
    x, y = samples[0]
    differences = reference.central_differences(*network, x, y)
    for found, right in zip((each.weights, each.biases), differences, strict=True):
        assert_equal([part[0] for part in found], right, 1e-7)


@pytest.mark.parametrize("numerics", ["fast", "strict"])
def test_outputs_of_layers(numerics):
    activations = ("tanh", "relu", "softmax")
    problem = draw_problem(1, (4, 6, 5, 3), activations, "categorical_cross_entropy")
    net = nbp.Network(
        (4, 6, 5, 3),
        hidden_activation=activations[:-1],
        loss=problem.loss,
        numerics=numerics,
    )
    net.weights, net.biases = problem.weights, problem.biases
    found = net.layer_outputs(problem.X)
    for s, x in enumerate(problem.X):
        _, a = reference.forward(problem.weights, problem.biases, activations, x)
        assert_equal([layer[s] for layer in found], a[1:])
    np.testing.assert_array_equal(found[-1], net.forward(problem.X))
    of_sparse = net.layer_outputs(sparse.csr_array(problem.X))
    assert_equal(of_sparse, found)


def test_a_traced_step_is_the_step_of_training():
    """To the bit, of the strict arithmetic, in which each kernel has the same."""
    for propagate in ("exact", "updated"):
        net = nbp.Network((2, 4, 1), loss="squared_error", numerics="strict", random_state=0)
        step = net.trace([0.3, -1], 0.7, learning_rate=0.2, propagate=propagate)
        net.fit([[0.3, -1]], [0.7], learning_rate=0.2, epochs=1, shuffle=False, propagate=propagate)
        for new, trained in zip((step.new_weights, step.new_biases), (net.weights, net.biases), strict=True):
            for ours, theirs in zip(new, trained, strict=True):
                np.testing.assert_array_equal(ours, theirs)
        assert step.loss == net.history.loss[0]


def test_float32_stays_float32():
    problem = draw_problem(2, (4, 5, 3), ("sigmoid", "identity"), "squared_error", n_samples=2)
    net = network_of(problem, "float32")
    step = net.trace(problem.X[0], problem.Y[0], learning_rate=0.1)
    gradients = net.gradients(problem.X, problem.Y)
    arrays = [*step.z, *step.a, *step.delta, *step.new_weights, *step.gradients.weights, *gradients.weights]
    assert {array.dtype for array in arrays} == {np.dtype("float32")}
    of_weights, _ = reference.gradient(
        problem.weights, problem.biases, net.activations, net.loss, problem.X[0], problem.Y[0]
    )
    assert_equal(step.gradients.weights, of_weights, 1e-6)


def test_gradients_of_sparse_samples():
    problem = draw_problem(2, (4, 5, 3), ("sigmoid", "identity"), "squared_error", n_samples=5)
    net = network_of(problem)
    found = net.gradients(sparse.csr_array(problem.X), problem.Y)
    for ours, dense in zip(found.weights, net.gradients(problem.X, problem.Y).weights, strict=True):
        np.testing.assert_array_equal(ours, dense)
    step = net.trace(sparse.csr_array(problem.X[:1]), problem.Y[0])
    np.testing.assert_array_equal(step.inputs, problem.X[0])


# What is shown.


def test_a_class_is_shown_as_its_row():
    net = nbp.Network((2, 3), loss="categorical_cross_entropy", random_state=0)
    for y in (1, np.int64(1), [1], [0, 1, 0], [[0, 1, 0]]):
        np.testing.assert_array_equal(net.trace([1, 2], y).targets, [0, 1, 0])
    assert "delta = a sum(y) - y" in str(net.trace([1, 2], 1))


def test_the_text_has_all_numbers_in_order():
    net = nbp.Network((2, 3, 1), output_activation="sigmoid", random_state=0)
    step = net.trace([0, 1], 1, learning_rate=1.0, propagate="updated")
    text = str(step)
    titles = ["One step of a 2-3-1", "Forward, layer 0", "Forward, layer 1", "Loss", "Backward, layer 1"]
    places = [text.index(title) for title in [*titles, "Backward, layer 0"]]
    assert all(first < second for first, second in pairwise(places))
    arrays = [*step.z, *step.a, *step.delta, *step.new_biases, *step.gradients.biases]
    for array in [*arrays, *step.weights, *step.new_weights, *step.gradients.weights]:
        for value in array.flat:
            assert f"{value + 0:.6g}" in text
    assert "delta = (new W delta of layer 1) sigmoid'(z)" in text
    assert f"{step.loss:.10g}" in text
    assert "-0 " not in text
    assert max(map(len, text.splitlines())) < 140
    without = str(net.trace([0, 1], 1))
    assert "new W" not in without and "(W delta of layer 1) sigmoid'(z)" in without
    assert repr(step) == (
        "<Trace of a step of 2-3-1, sigmoid/sigmoid, squared_error, float64, 13 parameters: "
        f"loss {step.loss:.6g}, learning rate 1>"
    )
    assert repr(net.trace([0, 1], 1)).endswith("no update>")


def test_html_has_a_table_for_each_part():
    net = nbp.Network((2, 3, 1), output_activation="sigmoid", random_state=0)
    html = net.trace([0, 1], 1)._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 8
    assert "sigmoid&#x27;(z)" in html and f"{net.weights[0][1, 2]:.6g}" in html


def test_of_large_layers_a_part_is_shown():
    net = nbp.Network((64, 100, 10), loss="categorical_cross_entropy", random_state=0)
    text = str(net.trace(np.ones(64), 3))
    assert len(text.splitlines()) < 80
    assert max(map(len, text.splitlines())) < 170
    assert "W from x[63]" in text and "W from x[8]" not in text and "unit 99" in text


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1, 2, 3], 1), {}, "3 columns"),
        (([[1, 2], [3, 4]], [1, 0]), {}, "trace is of one sample, but x has 2"),
        (([1, 2], [1, 0]), {}, "y has 2 samples"),
        (([1, np.nan], 1), {}, "finite"),
        (([1, 2], 1), {"propagate": "updated"}, "give a learning_rate"),
        (([1, 2], 1), {"propagate": "no"}, "propagate"),
        (([1, 2], 1), {"learning_rate": 0}, "learning_rate"),
    ],
)
def test_what_is_not_allowed_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        nbp.Network((2, 3, 1), random_state=0).trace(*arguments, **options)


def test_parameters_that_are_not_finite_are_refused():
    net = nbp.Network((2, 3, 1), random_state=0)
    net.parameters[0] = np.nan
    for call in (lambda: net.trace([1, 2], 1), lambda: net.gradients([[1, 2]], [1])):
        with pytest.raises(ValueError, match="finite"):
            call()
    with pytest.raises(ValueError, match="finite"):
        net.layer_outputs([[1, 2]])
    with pytest.raises((ValueError, TypeError), match="per_sample"):
        net.gradients([[1, 2]], [1], per_sample=2)
