"""What must hold for every shape, value and order of samples, on examples that hypothesis draws.

Numbers are drawn from grids of 1/64, which float32 holds exactly. "Equal" means bit for bit wherever the
arithmetic is the same, and a named tolerance, relative to the largest parameter, where it is only reordered.
"""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from problems import network_of

import numbabp as nbp

settings.register_profile(
    "numbabp",
    max_examples=30,
    deadline=None,  # the first example of a dtype may have to compile
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
settings.load_profile("numbabp")

pytestmark = pytest.mark.once

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
RATE = 1 / 256  # small enough that no network drawn here diverges
MARGIN = 1e-5  # from a jump of a derivative, see test_agreement.py
SMOOTH = tuple(name for name in reference.ELEMENTWISE if name not in reference.KINKED_ACTIVATIONS)
PER_ELEMENT = ("adagrad", "rmsprop", "adam")

dtypes = st.sampled_from(sorted(TOLERANCE))
rules = st.sampled_from(reference.UPDATE_RULES)


def grid(low, high):
    """Multiples of 1/64."""
    return st.integers(int(low * 64), int(high * 64)).map(lambda k: k / 64)


def arrays(shape, low=-1, high=1):
    return npst.arrays(np.float64, shape, elements=grid(low, high))


@st.composite
def problems(draw, *, activations=tuple(reference.ELEMENTWISE), n_layers=(1, 4)):
    """Sizes, activations, loss, parameters and samples."""
    depth = draw(st.integers(*n_layers))
    output, loss = draw(st.sampled_from(reference.pairs()))
    n_outputs = draw(st.integers(2 if output == "softmax" else 1, 4))
    sizes = (
        draw(st.integers(1, 6)),
        *draw(st.lists(st.integers(1, 6), min_size=depth - 1, max_size=depth - 1)),
        n_outputs,
    )
    names = draw(st.lists(st.sampled_from(activations), min_size=depth - 1, max_size=depth - 1))
    n_samples = draw(st.integers(1, 9))
    X = draw(arrays((n_samples, sizes[0])))
    if loss.endswith("cross_entropy"):
        Y = draw(arrays((n_samples, n_outputs), 0, 1))
    elif loss == "poisson":
        Y = draw(arrays((n_samples, n_outputs), 0, 2))
    else:
        Y = draw(arrays((n_samples, n_outputs), -2, 2))
    return SimpleNamespace(
        sizes=sizes,
        activations=(*names, output),
        loss=loss,
        weights=[draw(arrays(shape, -0.5, 0.5)) for shape in pairwise(sizes)],
        biases=[draw(arrays(size)) for size in sizes[1:]],
        X=X,
        Y=Y,
    )


def fit(problem, dtype="float64", *, X=None, Y=None, **options):
    """A network trained in the order of the samples, small steps unless said otherwise."""
    net = network_of(problem, dtype)
    options = {"learning_rate": RATE, "epochs": 2, "shuffle": False, **options}
    net.fit(problem.X if X is None else X, problem.Y if Y is None else Y, **options)
    return net


def error(net, expected):
    """Largest difference of parameters, relative to the largest one, or to 1 if all are smaller."""
    one = np.ones(1)  # the least scale, for networks of zeros
    return reference.largest_relative_error(
        [*net.weights, *net.biases, one], [*expected.weights, *expected.biases, one]
    )


def assert_identical(net, other):
    np.testing.assert_array_equal(net.parameters, other.parameters)
    for name in net.history:
        np.testing.assert_array_equal(net.history[name], other.history[name])


def sample_weights(problem):
    return arrays(len(problem.X), 0, 2).filter(np.any)


# --- against the reference ------------------------------------------------------------------------


@settings(max_examples=120)
@given(problems(), rules, dtypes, st.data())
def test_training_in_any_order_agrees_with_the_reference(problem, rule, dtype, data):
    options = {
        "batch_size": data.draw(st.integers(1, 4), "batch_size"),
        "l2": data.draw(st.sampled_from([0.0, 0.0, 1 / 8]), "l2"),
        "clip_norm": data.draw(st.sampled_from([None, None, 0.5]), "clip_norm"),
        "clip_value": data.draw(st.sampled_from([None, None, 0.25]), "clip_value"),
        "epsilon": 1 / 64,  # gradients that all but cancel are not blown up
    }
    order = np.array(data.draw(st.permutations(range(len(problem.X))), "order"))
    weight = data.draw(st.one_of(st.none(), sample_weights(problem)), "sample_weight")
    solution = reference.train(
        problem.weights,
        problem.biases,
        problem.X,
        problem.Y,
        activations=problem.activations,
        loss=problem.loss,
        learning_rates=[RATE] * 3,
        order=[order] * 3,
        update_rule=rule,
        sample_weight=weight,
        **options,
    )
    assume(solution.margin > MARGIN)
    net = fit(
        problem,
        dtype,
        X=problem.X[order],
        Y=problem.Y[order],
        epochs=3,
        update_rule=rule,
        sample_weight=None if weight is None else weight[order],
        **options,
    )
    assert error(net, solution) < TOLERANCE[dtype]
    np.testing.assert_allclose(
        net.history.loss, solution.loss, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] / 100
    )


@given(problems(), dtypes, st.sampled_from([0.0, 1 / 8]))
def test_updated_propagation_agrees_with_the_reference(problem, dtype, l2):
    solution = reference.train(
        problem.weights,
        problem.biases,
        problem.X,
        problem.Y,
        activations=problem.activations,
        loss=problem.loss,
        learning_rates=[RATE] * 2,
        propagate="updated",
        l2=l2,
    )
    assume(solution.margin > MARGIN)
    net = fit(problem, dtype, propagate="updated", l2=l2)
    assert error(net, solution) < TOLERANCE[dtype]


@given(problems(activations=SMOOTH))
def test_the_gradient_is_the_central_difference(problem):
    assume(problem.loss != "absolute_error")
    assume(problem.activations[-1] not in reference.KINKED_ACTIVATIONS)
    activations, loss = problem.activations, problem.loss
    x, y = problem.X[0], problem.Y[0]
    z, a = reference.forward(problem.weights, problem.biases, activations, x)
    # Where only the second derivative jumps (elu, huber) the quotient is right to its step alone.
    assume(min(np.min(np.abs(of_layer)) for of_layer in z) > 1e-3)
    assume(np.min(np.abs(np.abs(a[-1] - y) - 1)) > 1e-3)
    of_weights, of_biases = reference.central_differences(
        problem.weights, problem.biases, activations, loss, x, y
    )
    net = network_of(problem)
    net.partial_fit(problem.X[:1], problem.Y[:1], learning_rate=1.0, shuffle=False)
    before = [*problem.weights, *problem.biases]
    found = [b - a for b, a in zip(before, [*net.weights, *net.biases], strict=True)]
    expected = [*of_weights, *of_biases]
    assume(max(np.max(np.abs(e)) for e in expected) > 1e-3)
    assert reference.largest_relative_error(found, expected) < 1e-6


# --- order and weight of samples ------------------------------------------------------------------


@given(problems(), rules, dtypes, st.data())
def test_weight_zero_is_removal(problem, rule, dtype, data):
    weight = data.draw(sample_weights(problem), "sample_weight")
    kept = weight != 0
    zeroed = fit(problem, dtype, update_rule=rule, sample_weight=weight)
    removed = fit(
        problem, dtype, X=problem.X[kept], Y=problem.Y[kept], update_rule=rule, sample_weight=weight[kept]
    )
    assert_identical(zeroed, removed)


@given(problems(), rules, dtypes)
def test_weight_one_is_no_weight(problem, rule, dtype):
    weighted = fit(problem, dtype, update_rule=rule, sample_weight=np.ones(len(problem.X)))
    assert_identical(weighted, fit(problem, dtype, update_rule=rule))


@given(problems(), dtypes, st.sampled_from([0.25, 2.0, 8.0]))
def test_weights_scale_the_learning_rate_of_sgd(problem, dtype, scale):
    weighted = fit(problem, dtype, sample_weight=np.full(len(problem.X), scale))
    assert_identical(weighted, fit(problem, dtype, learning_rate=scale * RATE))


@given(problems(), st.sampled_from(PER_ELEMENT), st.sampled_from([0.25, 2.0, 8.0]))
def test_per_element_rules_do_not_see_the_scale_of_the_loss(problem, rule, scale):
    options = {"update_rule": rule, "epsilon": 1e-300}
    weighted = fit(problem, sample_weight=np.full(len(problem.X), scale), **options)
    assert_identical(weighted, fit(problem, **options))


@given(problems(), rules, dtypes, st.data())
def test_one_call_is_many_calls(problem, rule, dtype, data):
    cut = data.draw(st.integers(0, len(problem.X)), "cut")
    # step by step: blocks of samples end elsewhere in the parts, which differs by rounding
    kernel = "sequential" if rule == "sgd" else "general"
    options = {"learning_rate": RATE, "update_rule": rule, "shuffle": False, "kernel": kernel}
    net = network_of(problem, dtype)
    for part in (slice(0, cut), slice(cut, None)):
        if len(problem.X[part]):
            net.partial_fit(problem.X[part], problem.Y[part], **options)
    whole = fit(problem, dtype, update_rule=rule, epochs=1, kernel=kernel)
    np.testing.assert_array_equal(net.parameters, whole.parameters)


@given(problems(), rules, st.data())
def test_the_order_within_one_batch_does_not_matter(problem, rule, data):
    order = np.array(data.draw(st.permutations(range(len(problem.X))), "order"))
    options = {"update_rule": rule, "batch_size": len(problem.X), "epsilon": 1 / 64, "epochs": 1}
    permuted = fit(problem, X=problem.X[order], Y=problem.Y[order], **options)
    assert error(permuted, fit(problem, **options)) < 1e-12


@given(problems(), rules, dtypes)
def test_a_batch_of_twins_is_one_sample(problem, rule, dtype):
    twins = fit(
        problem,
        dtype,
        X=np.repeat(problem.X, 2, axis=0),
        Y=np.repeat(problem.Y, 2, axis=0),
        update_rule=rule,
        batch_size=2,
        clip_norm=1e3,  # keeps both runs in the kernel for every rule
    )
    single = fit(problem, dtype, update_rule=rule, clip_norm=1e3)
    np.testing.assert_array_equal(twins.parameters, single.parameters)


@given(problems(), dtypes, st.integers(0, 2**32 - 1))
def test_a_seed_repeats_its_shuffles(problem, dtype, seed):
    nets = [fit(problem, dtype, shuffle=True, random_state=seed) for _ in range(2)]
    assert_identical(*nets)


@given(problems(), dtypes, st.integers(0, 2**32 - 1))
def test_a_shuffle_of_equal_samples_changes_nothing(problem, dtype, seed):
    X, Y = np.repeat(problem.X[:1], 5, axis=0), np.repeat(problem.Y[:1], 5, axis=0)
    shuffled = fit(problem, dtype, X=X, Y=Y, shuffle=True, random_state=seed)
    assert_identical(shuffled, fit(problem, dtype, X=X, Y=Y))


# --- symmetries -----------------------------------------------------------------------------------


@given(problems(n_layers=(2, 4)), rules, st.data())
def test_the_numbering_of_hidden_units_does_not_matter(problem, rule, data):
    options = {"update_rule": rule, "epsilon": 1 / 64, "batch_size": 2, "clip_norm": 2.0}
    trained = fit(problem, **options)
    layer = data.draw(st.integers(0, len(problem.sizes) - 3), "layer")
    order = np.array(data.draw(st.permutations(range(problem.sizes[layer + 1])), "order"))

    def renumbered(weights, biases):
        weights, biases = [*weights], [*biases]
        weights[layer], biases[layer] = weights[layer][:, order], biases[layer][order]
        weights[layer + 1] = weights[layer + 1][order]
        return SimpleNamespace(weights=weights, biases=biases)

    twin = SimpleNamespace(**vars(problem) | vars(renumbered(problem.weights, problem.biases)))
    solution = reference.train(
        problem.weights,
        problem.biases,
        problem.X,
        problem.Y,
        activations=problem.activations,
        loss=problem.loss,
        learning_rates=[RATE] * 2,
        **options,
    )
    assume(solution.margin > MARGIN)
    assert error(fit(twin, **options), renumbered(trained.weights, trained.biases)) < 1e-11


@given(problems(activations=("tanh", "identity")), rules, dtypes)
def test_odd_networks_are_odd(problem, rule, dtype):
    """With odd activations, negated samples and biases train to the same weights and negated biases."""
    assume(problem.activations[-1] in ("tanh", "identity"))
    assume(problem.loss != "quantile")  # whose slopes differ, but for the median
    options = {"update_rule": rule, "epsilon": 1 / 64}
    net = fit(problem, dtype, **options)
    solution = reference.train(
        problem.weights,
        problem.biases,
        problem.X,
        problem.Y,
        activations=problem.activations,
        loss=problem.loss,
        learning_rates=[RATE] * 2,
        **options,
    )
    assume(solution.margin > MARGIN)
    negated = SimpleNamespace(
        **vars(problem) | {"X": -problem.X, "Y": -problem.Y, "biases": [-b for b in problem.biases]}
    )
    twin = fit(negated, dtype, **options)
    twin.biases = [-b for b in twin.biases]
    assert error(twin, net) < TOLERANCE[dtype]


# --- values ---------------------------------------------------------------------------------------


@given(problems(), dtypes)
def test_the_first_loss_is_that_of_evaluate(problem, dtype):
    net = network_of(problem, dtype)
    measured = net.evaluate(problem.X, problem.Y)["loss"]
    history = net.fit(problem.X, problem.Y, learning_rate=1e-30, epochs=1)
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(history.loss[0], measured, rtol=tolerance, atol=tolerance / 10)


@given(problems(), dtypes)
def test_forward_agrees_with_the_reference(problem, dtype):
    expected = reference.outputs(problem.weights, problem.biases, problem.activations, problem.X)
    found = network_of(problem, dtype).forward(problem.X)
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=10 * tolerance)


@settings(max_examples=60)
@given(problems(), rules, dtypes, st.integers(0, 30), st.integers(0, 10))
def test_training_ends_finite_or_says_that_it_diverged(problem, rule, dtype, inputs_scale, rate_scale):
    X = problem.X * 2.0**inputs_scale
    net = network_of(problem, dtype)
    try:
        history = net.fit(X, problem.Y, learning_rate=2.0**rate_scale, update_rule=rule, epochs=5)
    except nbp.DivergenceError as divergence:
        assert 0 <= divergence.epoch < 5
        assert 0 <= divergence.sample < len(X)
        assert net.history.n_epochs == divergence.epoch
    else:
        assert np.isfinite(history.loss).all()
    assert np.isfinite(net.parameters).all()


@given(problems(), dtypes)
def test_the_layout_of_the_arrays_does_not_matter(problem, dtype):
    usual = fit(problem, dtype)
    for X, Y in [
        (np.asfortranarray(problem.X), np.asfortranarray(problem.Y)),
        (problem.X.astype(np.float32), problem.Y.astype(np.float32)),
        (problem.X.tolist(), problem.Y.tolist()),
        (np.repeat(problem.X, 2, axis=0)[::2], problem.Y[::-1][::-1]),
    ]:
        assert_identical(fit(problem, dtype, X=X, Y=Y), usual)


@given(problems(), rules, dtypes)
def test_the_callers_arrays_are_left_alone(problem, rule, dtype):
    X, Y = problem.X.astype(dtype), problem.Y.astype(dtype)
    weight = np.ones(len(X), dtype)
    for array in (X, Y, weight):
        array.flags.writeable = False
    fit(problem, dtype, X=X, Y=Y, update_rule=rule, sample_weight=weight, shuffle=True)
    np.testing.assert_array_equal(X, problem.X)
    np.testing.assert_array_equal(Y, problem.Y)


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@given(npst.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(3)), elements=st.floats(-1e4, 1e4)))
def test_softmax_and_sigmoid_are_probabilities_for_any_pre_activation(dtype, X):
    for output in ("softmax", "sigmoid"):
        net = nbp.Network((3, 3), output_activation=output, dtype=dtype, init="zeros")
        net.weights = [np.eye(3)]
        outputs = net.forward(X)
        assert ((outputs >= 0) & (outputs <= 1)).all()
        if output == "softmax":
            np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-6)
