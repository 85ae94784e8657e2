"""The compiled kernels against the naive reference, step by step.

The measure: the largest difference of any parameter, divided by the largest parameter of the reference, after
200 steps; 1e-10 in float64 and 1e-4 in float32, the same for the losses of the epochs. The reference always
computes in float64. Parameters, samples and learning rates are numbers that float32 holds exactly, and where
a derivative jumps (relu, leaky_relu, absolute error, L1) the problem is the first of a row of seeds whose
whole trajectory keeps clear of the jump, so that rounding never decides which branch is taken.
"""

import functools
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp import gradients
from numbabp.training import loop as training
from numbabp.training import slicing

pytestmark = pytest.mark.once

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
DTYPES = tuple(TOLERANCE)
# Powers of 2, small enough that training damps rounding errors, or at most grows them tenfold or so: that is
# seen by perturbing the reference's own initial parameters.
RATES = {
    "sgd": 1 / 32,
    "momentum": 1 / 256,
    "nesterov": 1 / 256,
    "adagrad": 1 / 16,
    "rmsprop": 1 / 256,
    "adam": 1 / 128,
    "adamw": 1 / 128,
}
HIDDEN_SIZES = {1: (), 2: (6,), 3: (6, 4), 4: (6, 4, 5)}  # by the number of layers
N_INPUTS, N_OUTPUTS = 5, 3
N_SAMPLES, EPOCHS = 25, 8  # 200 steps
# The gradient of the absolute error stays large near its minimum, where sgd and momentum then jump about; the
# square of an exponential soon overflows.
OF_STEEP = {"absolute_error": 1 / 8, "quantile": 1 / 8, "exp": 1 / 1024}
MARGIN = 1e-5  # from a jump: many times the float32 error of a pre-activation


def well_posed(sizes, activations, loss, *, rule="sgd", epochs=EPOCHS, rate=None, **options):
    """The first problem that stays `MARGIN` clear of jumps and moves the first layer; its solution."""
    learning_rates = [RATES[rule] if rate is None else rate] * epochs
    for seed in range(50):
        problem = draw_problem(seed, sizes, activations, loss)
        solution = solve(problem, learning_rates=learning_rates, update_rule=rule, **options)
        learns = np.any(np.abs(solution.weights[0] - problem.weights[0]) > 1e-4)  # not all units are dead
        if learns and solution.margin > MARGIN:
            return problem, solution
    raise AssertionError("no well-posed problem among 50 seeds")


def disagreement(problem, solution, dtype, *, rule="sgd", rate=None, **options):
    """Train the package on the problem, by every kernel; the largest error of parameters and losses."""
    errors = []
    for kernel in kernels(rule, options):
        net = network_of(problem, dtype)
        history = net.fit(
            problem.X,
            problem.Y,
            learning_rate=RATES[rule] if rate is None else rate,
            epochs=len(solution.loss),
            shuffle=False,
            update_rule=rule,
            **options,
            **kernel,
        )
        assert net.parameters.dtype == dtype
        assert history.loss.dtype == np.float64
        losses = reference.largest_relative_error([history.loss], [solution.loss])
        errors += [parameters_error(net, solution), losses]
    return max(errors)


def kernels(rule, options):
    """Options of the kernels that can train so; test_blocked.py has more of the blocked one."""
    linear = rule in ("sgd", "momentum", "nesterov") and options.get("batch_size", 1) == 1
    linear = linear and not any(options.get(name) for name in ("l1", "clip_norm", "clip_value"))
    if linear:
        yield {"kernel": "blocked", "block_length": 7}
    if linear and rule == "sgd":
        yield {"kernel": "sequential"}
    if options.get("propagate") != "updated":
        yield {"kernel": "general"}
        if options.get("batch_size", 1) > 1:
            yield {"kernel": "minibatch"}
    elif not linear:
        raise AssertionError(f"no kernel for {rule} with {options}")


def layer_sizes(depth):
    return (N_INPUTS, *HIDDEN_SIZES[depth], N_OUTPUTS)


# --- activation x loss x depth x rule x dtype -----------------------------------------------------


def sampled_combinations():
    """Every hidden activation x output activation x loss, taking turns with rule and depth."""
    rules, depths = itertools.cycle(reference.UPDATE_RULES), itertools.cycle((2, 3, 4))
    for hidden in reference.ELEMENTWISE:
        for output, loss in reference.pairs():
            yield hidden, output, loss, next(depths), next(rules)
    for output, loss in reference.pairs():
        yield None, output, loss, 1, next(rules)


def check_combination(hidden, output, loss, depth, rule):
    activations = (*[hidden] * (depth - 1), output)
    steep = "exp" if (output, loss) == ("exp", "squared_error") else loss
    rate = RATES[rule] * OF_STEEP.get(steep, 1.0)
    problem, solution = well_posed(layer_sizes(depth), activations, loss, rule=rule, rate=rate)
    for dtype, tolerance in TOLERANCE.items():
        error = disagreement(problem, solution, dtype, rule=rule, rate=rate)
        assert error < tolerance, f"{hidden} {output} {loss} {depth} {rule} {dtype}: {error:.2g}"


@pytest.mark.parametrize(("hidden", "output", "loss", "depth", "rule"), [*sampled_combinations()])
def test_agreement(hidden, output, loss, depth, rule):
    check_combination(hidden, output, loss, depth, rule)


def every_pair_depth_and_rule():
    """Every output activation and loss x depth x rule, with hidden activations in turn."""
    of_hidden = [*reference.ELEMENTWISE]
    pairs, rules = [*reference.pairs()], [*reference.UPDATE_RULES]
    for (i, (output, loss)), (j, depth), (k, rule) in itertools.product(
        enumerate(pairs), enumerate(HIDDEN_SIZES), enumerate(rules)
    ):
        hidden = of_hidden[(i + 2 * j + 4 * k) % len(of_hidden)]
        yield hidden if depth > 1 else None, output, loss, depth, rule


def test_hidden_activations_meet_every_two_of_the_others():
    met = [*every_pair_depth_and_rule()]
    deep = [depth for depth in HIDDEN_SIZES if depth > 1]
    pairs, rules, hidden = [*reference.pairs()], reference.UPDATE_RULES, reference.ELEMENTWISE
    assert len(met) == len(set(met))
    for of, choices in (
        (lambda h, output, loss, depth, rule: (h, (output, loss)), itertools.product(hidden, pairs)),
        (lambda h, output, loss, depth, rule: (h, depth, rule), itertools.product(hidden, deep, rules)),
    ):
        assert {of(*each) for each in met} >= set(choices)


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "output", "loss", "depth", "rule"), [*every_pair_depth_and_rule()])
def test_agreement_for_every_pair_depth_and_rule(hidden, output, loss, depth, rule):
    check_combination(hidden, output, loss, depth, rule)


@pytest.mark.exhaustive
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
@pytest.mark.parametrize("depth", HIDDEN_SIZES)
@pytest.mark.parametrize(("output", "loss"), reference.pairs())
def test_agreement_in_every_combination(output, loss, depth, rule):
    for hidden in reference.ELEMENTWISE if depth > 1 else (None,):
        check_combination(hidden, output, loss, depth, rule)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_agreement_after_every_single_step(rule, dtype):
    """200 calls of partial_fit with one sample each, whose rule state goes on from call to call."""
    problem = draw_problem(0, layer_sizes(3), ("tanh", "gelu", "softmax"), "categorical_cross_entropy")
    net = network_of(problem, dtype)
    solution = SimpleNamespace(weights=problem.weights, biases=problem.biases, rule=None)
    for step in range(200):
        one = slice(step % N_SAMPLES, step % N_SAMPLES + 1)
        history = net.partial_fit(
            problem.X[one], problem.Y[one], learning_rate=RATES[rule], update_rule=rule, shuffle=False
        )
        solution = reference.train(
            solution.weights,
            solution.biases,
            problem.X[one],
            problem.Y[one],
            activations=problem.activations,
            loss=problem.loss,
            learning_rates=[RATES[rule]],
            update_rule=rule,
            rule=solution.rule,
        )
        assert parameters_error(net, solution) < TOLERANCE[dtype], step
        np.testing.assert_allclose(history.loss, solution.loss, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize(
    "sizes",
    [(1, 1), (1, 1, 1), (5, 1, 3), (6, 4, 1), (3, 4, 1, 5, 2), (4, 1, 1, 1), (70, 33, 17, 5)],
    ids=str,
)
def test_agreement_for_odd_sizes(sizes, rule, dtype):
    activations = (*["tanh"] * (len(sizes) - 2), "identity")
    rate = 1 / 256 if sizes[0] == 70 else RATES[rule]
    problem, solution = well_posed(sizes, activations, "squared_error", rule=rule, rate=rate)
    assert disagreement(problem, solution, dtype, rule=rule, rate=rate) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_agreement_with_an_activation_per_layer(batch_size, dtype):
    activations = ("relu", "silu", "elu", "softplus")
    problem, solution = well_posed(layer_sizes(4), activations, "huber", batch_size=batch_size)
    assert disagreement(problem, solution, dtype, batch_size=batch_size) < TOLERANCE[dtype]


# --- options of a step ----------------------------------------------------------------------------

SAMPLE_WEIGHT = np.array([0, 1, 2, 0.5, 0] * (N_SAMPLES // 5))
OPTIONS = {
    "l2": {"l2": 1 / 16},
    "l1": {"l1": 1 / 64},
    "both penalties": {"l1": 1 / 64, "l2": 1 / 16},
    "clip_value": {"clip_value": 1 / 32},
    "clip_norm": {"clip_norm": 1 / 4},
    "both clips and penalties": {"clip_value": 1 / 8, "clip_norm": 1 / 4, "l1": 1 / 64, "l2": 1 / 16},
    "batches, the last one shorter": {"batch_size": 4},
    "batches of 24, the last one of 1": {"batch_size": 24},
    "one batch": {"batch_size": N_SAMPLES},
    "a batch larger than the data": {"batch_size": 100},
    "sample weights": {"sample_weight": SAMPLE_WEIGHT},
    "sample weights in batches": {"sample_weight": SAMPLE_WEIGHT, "batch_size": 3},
    "weights that leave whole batches out": {
        "sample_weight": np.repeat([1.0, 0.0, 3.0, 0.0, 0.0], 5),
        "batch_size": 5,
    },
    "everything": {
        "sample_weight": SAMPLE_WEIGHT,
        "batch_size": 3,
        "clip_value": 1 / 8,
        "clip_norm": 1 / 4,
        "l1": 1 / 64,
        "l2": 1 / 16,
    },
}


@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_agreement_with_options(options, rule):
    steps_an_epoch = math.ceil(N_SAMPLES / options.get("batch_size", 1))
    epochs = min(200 // steps_an_epoch, 60)
    # Few weights, for an L1 penalty drives them to and fro across 0.
    problem, solution = well_posed(
        (5, 4, 2), ("tanh", "identity"), "squared_error", rule=rule, epochs=epochs, **options
    )
    without = solve(problem, learning_rates=[RATES[rule]] * epochs, update_rule=rule)
    differences = [w - s for w, s in zip(without.weights, solution.weights, strict=True)]
    assert max(np.max(np.abs(d)) for d in differences) > 1e-3  # the options did something
    for dtype, tolerance in TOLERANCE.items():
        assert disagreement(problem, solution, dtype, rule=rule, **options) < tolerance


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ("momentum", {"momentum": 0.5}),
        ("nesterov", {"momentum": 0.75}),
        ("adagrad", {"epsilon": 1e-2}),
        ("rmsprop", {"rho": 0.5, "epsilon": 1e-3}),
        ("adam", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 1e-2}),
        ("adamw", {"beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-4, "l2": 0.25}),
    ],
)
def test_agreement_with_other_numbers_of_a_rule(rule, numbers, dtype):
    activations = ("tanh", "softmax")
    problem, solution = well_posed(
        layer_sizes(2), activations, "categorical_cross_entropy", rule=rule, **numbers
    )
    assert disagreement(problem, solution, dtype, rule=rule, **numbers) < TOLERANCE[dtype]


@pytest.mark.parametrize("options", [{}, {"l2": 1 / 16}, {"sample_weight": SAMPLE_WEIGHT}], ids=str)
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("depth", HIDDEN_SIZES)
def test_agreement_when_delta_goes_through_updated_weights(depth, n_outputs, options):
    options = {**options, "propagate": "updated"}
    sizes = (*layer_sizes(depth)[:-1], n_outputs)
    activations = (*["tanh"] * (depth - 1), "sigmoid")
    problem, solution = well_posed(sizes, activations, "squared_error", rate=0.25, **options)
    exact = solve(problem, learning_rates=[0.25] * EPOCHS)
    assert depth == 1 or reference.largest_relative_error(exact.weights, solution.weights) > 1e-4
    for dtype, tolerance in TOLERANCE.items():
        assert disagreement(problem, solution, dtype, rate=0.25, **options) < tolerance


@pytest.mark.parametrize("dtype", DTYPES)
def test_agreement_for_a_negative_learning_rate(dtype):
    """Gradient ascent, on a bounded loss."""
    problem, solution = well_posed(
        layer_sizes(3), ("tanh", "sigmoid", "softmax"), "squared_error", rate=-1 / 16
    )
    assert solution.loss[-1] > solution.loss[0]
    assert disagreement(problem, solution, dtype, rate=-1 / 16) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", reference.REQUIRED_OUTPUT)
def test_agreement_for_targets_between_classes(loss, dtype):
    """Soft targets, for categorical cross-entropy not even of sum 1."""
    activations = ("tanh", reference.REQUIRED_OUTPUT[loss])
    problem = draw_problem(0, layer_sizes(2), activations, loss)
    problem.Y = np.random.RandomState(7).randint(9, size=problem.Y.shape) / 8
    solution = solve(problem, learning_rates=[RATES["sgd"]] * EPOCHS)
    assert disagreement(problem, solution, dtype) < TOLERANCE[dtype]


def test_class_indices_are_one_hot_targets():
    problem = draw_problem(0, layer_sizes(2), ("tanh", "softmax"), "categorical_cross_entropy")
    nets = [network_of(problem, "float64") for _ in range(2)]
    nets[0].fit(problem.X, problem.Y, shuffle=False, epochs=3)
    nets[1].fit(problem.X, problem.Y.argmax(axis=1), shuffle=False, epochs=3)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


# --- schedules ------------------------------------------------------------------------------------

SCHEDULES = {
    "constant": ({}, lambda rate, e: rate),
    "invscaling": ({"power": 0.25}, lambda rate, e: rate / (e + 1) ** 0.25),
    "exponential": ({"gamma": 0.75}, lambda rate, e: rate * 0.75**e),
    "step": ({"gamma": 0.5, "every": 3}, lambda rate, e: rate * 0.5 ** (e // 3)),
    "cosine": (
        {"minimum": 0.01},
        lambda rate, e: 0.01 + (rate - 0.01) * (1 + math.cos(math.pi * e / EPOCHS)) / 2,
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("schedule", [*SCHEDULES, "callable"])
def test_agreement_with_a_schedule(schedule, rule, dtype):
    rate = RATES[rule] * 2
    if schedule == "callable":
        given, options, formula = (lambda e: rate / (2 + e % 3)), None, lambda rate, e: rate / (2 + e % 3)
    else:
        given, (options, formula) = schedule, SCHEDULES[schedule]
    rates = [formula(rate, epoch) for epoch in range(EPOCHS)]
    problem = draw_problem(0, layer_sizes(2), ("tanh", "identity"), "squared_error")
    solution = solve(problem, learning_rates=rates, update_rule=rule)
    found = disagreement(
        problem, solution, dtype, rule=rule, rate=rate, schedule=given, schedule_options=options
    )
    assert found < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_agreement_with_the_adaptive_schedule(dtype):
    """A third of the rate after 2 epochs in a row that are not better by tol; the end below 1e-2."""
    problem = draw_problem(1, layer_sizes(2), ("tanh", "identity"), "squared_error")
    net = network_of(problem, dtype)
    history = net.fit(
        problem.X,
        problem.Y,
        learning_rate=1 / 8,
        epochs=200,
        shuffle=False,
        schedule="adaptive",
        schedule_options={"factor": 3.0, "patience": 2, "minimum": 1e-2},
        tol=1e-3,
    )
    rates, best, waited = [1 / 8], np.inf, 0
    for loss in history.loss:
        waited = 0 if loss < best - 1e-3 else waited + 1
        best = min(best, loss)
        rates.append(rates[-1] / 3 if waited == 2 else rates[-1])
        waited %= 2
    assert len(set(rates)) == 4
    assert rates[-1] < 1e-2
    assert history.stop_reason == "learning rate"
    np.testing.assert_allclose(history.learning_rate, rates[:-1], rtol=1e-14)
    solution = solve(problem, learning_rates=history.learning_rate)
    assert parameters_error(net, solution) < TOLERANCE[dtype]


# --- what is recorded -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("output", "loss", "monitor"),
    [
        ("sigmoid", "binary_cross_entropy", ("squared_error", "accuracy")),
        ("sigmoid", "squared_error", ("binary_cross_entropy", "accuracy", "huber")),
        ("softmax", "categorical_cross_entropy", ("absolute_error", "accuracy")),
        ("softmax", "squared_error", ("categorical_cross_entropy", "huber", "poisson")),
        ("exp", "poisson", ("poisson", "squared_error")),
        ("identity", "quantile", ("quantile", "squared_error")),
    ],
)
def test_prequential_metrics_agree(output, loss, monitor, weighted, dtype):
    options = {"sample_weight": SAMPLE_WEIGHT} if weighted else {}
    problem = draw_problem(1, layer_sizes(2), ("tanh", output), loss)
    problem.Y = np.eye(N_OUTPUTS)[np.random.RandomState(2).randint(N_OUTPUTS, size=N_SAMPLES)]
    solution = solve(problem, learning_rates=[RATES["sgd"]] * EPOCHS, monitor=monitor, **options)
    history = network_of(problem, dtype).fit(
        problem.X,
        problem.Y,
        learning_rate=RATES["sgd"],
        epochs=EPOCHS,
        shuffle=False,
        monitor=monitor,
        **options,
    )
    for name in monitor:
        np.testing.assert_allclose(history[name], solution.metrics[name], rtol=TOLERANCE[dtype], err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("output", "loss"), reference.pairs())
@pytest.mark.parametrize("hidden", reference.ELEMENTWISE)
def test_inference_agrees(hidden, output, loss, dtype):
    problem = draw_problem(0, layer_sizes(3), (hidden, hidden, output), loss)
    net = network_of(problem, dtype)
    weights, biases = problem.weights, problem.biases
    expected = reference.outputs(weights, biases, problem.activations, problem.X)
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]
    found = net.forward(problem.X)
    assert found.dtype == dtype
    assert reference.largest_relative_error([found], [expected]) < tolerance
    losses = [
        reference.sample_loss(weights, biases, problem.activations, loss, x, y)
        for x, y in zip(problem.X, problem.Y, strict=True)
    ]
    measured = net.evaluate(problem.X, problem.Y, sample_weight=SAMPLE_WEIGHT)
    np.testing.assert_allclose(measured["loss"], np.average(losses, weights=SAMPLE_WEIGHT), rtol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_a_second_fit_goes_on_where_the_first_ended(rule, dtype):
    problem = draw_problem(0, layer_sizes(2), ("tanh", "identity"), "squared_error")
    once, twice = network_of(problem, dtype), network_of(problem, dtype)
    options = {"learning_rate": RATES[rule], "update_rule": rule, "shuffle": False, "batch_size": 4}
    once.fit(problem.X, problem.Y, epochs=5, **options)
    twice.fit(problem.X, problem.Y, epochs=2, **options)
    twice.fit(problem.X, problem.Y, epochs=2, **options)
    twice.partial_fit(problem.X, problem.Y, **options)
    np.testing.assert_array_equal(twice.parameters, once.parameters)


# --- gradients ------------------------------------------------------------------------------------


def gradient_of_training(problem, sample):
    """What one step of training at rate 1 subtracts from the parameters."""
    net = network_of(problem, "float64")
    one = slice(sample, sample + 1)
    net.partial_fit(problem.X[one], problem.Y[one], learning_rate=1.0, shuffle=False)
    pairs = zip([*problem.weights, *problem.biases], [*net.weights, *net.biases], strict=True)
    return [before - after for before, after in pairs]


@pytest.mark.parametrize(("output", "loss"), reference.pairs())
@pytest.mark.parametrize("hidden", reference.ELEMENTWISE)
def test_gradients_are_central_differences(hidden, output, loss):
    compared = 0
    for seed in range(8):
        problem = draw_problem(seed, (4, 5, 3, 3), (hidden, hidden, output), loss, n_samples=1)
        x, y = problem.X[0], problem.Y[0]
        z, a = reference.forward(problem.weights, problem.biases, problem.activations, x)
        if reference.distance_from_kinks(problem.activations, loss, z, a[-1], y) < 1e-3:
            continue  # a central difference means nothing across a kink
        of_weights, of_biases = reference.central_differences(
            problem.weights, problem.biases, problem.activations, loss, x, y
        )
        expected = [*of_weights, *of_biases]
        if max(np.max(np.abs(g)) for g in expected) < 1e-4:
            continue  # all units dead
        found = gradient_of_training(problem, 0)
        assert reference.largest_relative_error(found, expected) < 1e-6
        # Its measure also takes in parameters of a thousandth of the largest gradient, which for a small
        # one are lost in the rounding of the losses that are subtracted.
        if max(np.max(np.abs(g)) for g in expected) > 0.1:
            assert nbp.gradient_check(network_of(problem, "float64"), problem.X, problem.Y) < 1e-6
        compared += 1
        if compared == 3:
            return
    raise AssertionError(f"only {compared} problems to compare")


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_check_of_many_samples_leaves_the_network_alone(dtype):
    problem = draw_problem(0, layer_sizes(3), ("gelu", "tanh", "softmax"), "categorical_cross_entropy")
    net = network_of(problem, dtype)
    before = net.parameters.copy()
    assert nbp.gradient_check(net, problem.X, problem.Y) < 1e-6
    np.testing.assert_array_equal(net.parameters, before)


def test_gradient_check_notices_a_wrong_gradient(monkeypatch):
    problem = draw_problem(0, layer_sizes(2), ("tanh", "identity"), "squared_error")
    right = gradients._mean_gradient

    def slightly_wrong(*arguments):
        gradient = right(*arguments)
        gradient[3] *= 1.001
        return gradient

    monkeypatch.setattr(gradients, "_mean_gradient", slightly_wrong)
    error = nbp.gradient_check(network_of(problem, "float64"), problem.X, problem.Y)
    assert 1e-6 < error < 2e-3


# --- extreme pre-activations ----------------------------------------------------------------------


def saturated_problem(activations, loss, target):
    """Three outputs at pre-activations +1e4, -1e4 and 0, of inputs that are all 1."""
    depth = len(activations)
    problem = draw_problem(0, (3,) * (depth + 1), activations, loss, n_samples=1)
    problem.weights = [np.diag([1e4, -1e4, 0.0]) for _ in range(depth)]
    problem.biases = [np.zeros(3) for _ in range(depth)]
    problem.X = np.ones((1, 3))
    problem.Y = np.array([target], np.float64)
    return problem


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [(0, 1, 0), (1, 0, 0), (0, 0, 1)], ids=str)
@pytest.mark.parametrize(("output", "loss"), [pair for pair in reference.pairs() if pair[0] != "exp"])
def test_output_pre_activations_of_ten_thousand(output, loss, target, dtype):
    problem = saturated_problem((output,), loss, target)
    net = network_of(problem, dtype)
    solution = solve(problem, learning_rates=[1.0])
    outputs = net.forward(problem.X)
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(
        outputs[0],
        reference.outputs(problem.weights, problem.biases, problem.activations, problem.X)[0],
        rtol=1e-6,
        atol=1e-30,
    )
    history = net.fit(problem.X, problem.Y, learning_rate=1.0, epochs=1, shuffle=False)
    assert np.isfinite(net.parameters).all()
    np.testing.assert_allclose(history.loss, solution.loss, rtol=1e-6, atol=1e-30)
    assert parameters_error(net, solution) < TOLERANCE[dtype]
    # The biases began at 0, so they show the delta itself rather than a change of 1e4.
    np.testing.assert_allclose(net.biases[0], solution.biases[0], rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("loss", [loss for output, loss in reference.pairs() if output == "exp"])
def test_an_exponential_that_overflows_is_divergence(loss, batch_size, dtype):
    problem = draw_problem(0, (3, 2, 1), ("tanh", "exp"), loss, n_samples=9)
    problem.biases[1][0] = 100.0 if dtype == "float32" else 800.0
    for kernel in kernels("sgd", {"batch_size": batch_size}):
        net = network_of(problem, dtype)
        before = net.parameters.copy()
        assert np.isinf(net.forward(problem.X)).all()
        with pytest.raises(nbp.DivergenceError) as caught:
            net.fit(problem.X, problem.Y, learning_rate=0.5, shuffle=False, batch_size=batch_size, **kernel)
        assert (caught.value.epoch, caught.value.sample) == (0, 0)
        np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
@pytest.mark.parametrize("hidden", reference.ELEMENTWISE)
def test_hidden_pre_activations_of_ten_thousand(hidden, rule, dtype):
    problem = saturated_problem((hidden, "sigmoid"), "binary_cross_entropy", (0, 1, 0))
    problem.weights[1] = np.eye(3) / 1e4
    net = network_of(problem, dtype)
    solution = solve(problem, learning_rates=[1e-4], update_rule=rule)
    history = net.fit(problem.X, problem.Y, learning_rate=1e-4, epochs=1, shuffle=False, update_rule=rule)
    assert np.isfinite(net.parameters).all()
    np.testing.assert_allclose(history.loss, solution.loss, rtol=1e-6)
    assert parameters_error(net, solution) < TOLERANCE[dtype]


# --- slices ---------------------------------------------------------------------------------------


@pytest.fixture
def in_slices_of(monkeypatch):
    """Cut every call of a kernel to at most so many samples; returns the list of the cuts made."""

    def cut(n_samples):
        calls = []
        call_kernel = training.Training._call_kernel

        def shorter(self, stop_epoch, max_samples):
            self._slice = n_samples  # which would grow without end, as its calls take no time
            calls.append(min(max_samples, n_samples))
            return call_kernel(self, stop_epoch, calls[-1])

        monkeypatch.setattr(training.Training, "_call_kernel", shorter)
        return calls

    return cut


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("n_samples", [1, 7])
def test_slices_change_no_bit(n_samples, batch_size, rule, dtype, in_slices_of):
    problem = draw_problem(0, layer_sizes(3), ("tanh", "gelu", "softmax"), "categorical_cross_entropy")
    whole, sliced = network_of(problem, dtype), network_of(problem, dtype)
    options = {
        "learning_rate": RATES[rule],
        "update_rule": rule,
        "batch_size": batch_size,
        "epochs": 4,
        "random_state": 3,
        "l2": 0.01,
        "sample_weight": SAMPLE_WEIGHT,
        "schedule": "exponential",
    }
    of_whole = whole.fit(problem.X, problem.Y, **options)
    calls = in_slices_of(n_samples)
    of_slices = sliced.fit(problem.X, problem.Y, **options)
    assert len(calls) >= 4 * N_SAMPLES / n_samples
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    for name in of_whole:
        assert of_slices[name].tobytes() == of_whole[name].tobytes()


def test_slices_follow_the_clock(monkeypatch):
    problem = draw_problem(0, layer_sizes(3), ("tanh", "gelu", "identity"), "squared_error")
    whole, sliced = network_of(problem, "float64"), network_of(problem, "float64")
    whole.fit(problem.X, problem.Y, epochs=4, random_state=3)
    monkeypatch.setattr(slicing, "SLICE_SECONDS", 1e-12)
    monkeypatch.setattr(slicing, "SLICE_SHARE", 0)
    sliced.fit(problem.X, problem.Y, epochs=4, random_state=3)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()


# --- divergence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [None, 1, 7])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("output", "loss", "rate", "options"),
    [
        ("identity", "squared_error", 16.0, {"kernel": "sequential"}),
        ("identity", "squared_error", 16.0, {"kernel": "tiny"}),
        ("identity", "squared_error", 16.0, {"update_rule": "momentum"}),
        ("identity", "squared_error", 256.0, {"update_rule": "nesterov", "batch_size": 4}),
        # Parameters that overflow while the loss stays finite: the penalty multiplies them by -3 a step.
        ("sigmoid", "binary_cross_entropy", 4.0, {"l2": 1.0, "kernel": "tiny"}),
        ("sigmoid", "squared_error", 4.0, {"l2": 1.0, "batch_size": 4}),
    ],
    ids=str,
)
def test_divergence_keeps_the_last_finite_parameters(
    output, loss, rate, options, dtype, shuffle, n_samples, in_slices_of
):
    problem = draw_problem(0, layer_sizes(2), ("tanh" if loss != "squared_error" else "relu", output), loss)
    net = network_of(problem, dtype)
    options = {"learning_rate": rate, "shuffle": shuffle, "random_state": 5, **options}
    if n_samples is not None:
        in_slices_of(n_samples)
    with pytest.raises(nbp.DivergenceError) as caught:
        net.fit(problem.X, problem.Y, epochs=400, **options)
    error = caught.value
    assert isinstance(error, ArithmeticError)
    for word in (str(error.epoch), str(error.sample), f"{rate:g}", "learning_rate"):
        assert word in str(error)
    assert error.learning_rate == rate
    assert net.history.n_epochs == error.epoch
    assert np.isfinite(net.parameters).all()

    # The same run, ended by hand: whole epochs, then whole steps, up to the one that went wrong.
    twin = network_of(problem, dtype)
    if error.epoch > 0:
        twin.fit(problem.X, problem.Y, epochs=error.epoch, **options)
        np.testing.assert_array_equal(twin.history.loss, net.history.loss)
    if not shuffle:
        del options["random_state"]
        whole_batches = error.sample - error.sample % options.get("batch_size", 1)
        if whole_batches > 0:
            twin.partial_fit(problem.X[:whole_batches], problem.Y[:whole_batches], **options)
        np.testing.assert_array_equal(net.parameters, twin.parameters)
        rule = options.get("update_rule", "sgd")
        np.testing.assert_array_equal(net.rule_state(rule).moments, twin.rule_state(rule).moments)
        assert net.rule_state(rule).steps == twin.rule_state(rule).steps
        rest = slice(whole_batches, error.sample + 1)
        with pytest.raises(nbp.DivergenceError):
            twin.partial_fit(problem.X[rest], problem.Y[rest], **options)


def test_training_goes_on_after_a_divergence():
    problem = draw_problem(0, layer_sizes(2), ("tanh", "identity"), "squared_error")
    net = network_of(problem, "float32")
    with pytest.raises(nbp.DivergenceError):
        net.fit(problem.X, problem.Y, learning_rate=16.0, update_rule="momentum")
    net.weights, net.biases = problem.weights, problem.biases
    net.fit(problem.X, problem.Y, learning_rate=1e-3, update_rule="sgd")
    assert np.isfinite(net.parameters).all()


@functools.cache
def all_permutations(n):
    return [np.array(p) for p in itertools.permutations(range(n))]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shuffled_epoch_is_a_permutation_of_the_samples(dtype):
    """For 4 samples every one of the 24 orders is tried: exactly one explains each epoch."""
    problem = draw_problem(0, layer_sizes(2), ("tanh", "identity"), "squared_error", n_samples=4)
    seen = set()
    for seed in range(12):
        net = network_of(problem, dtype)
        weights, biases = problem.weights, problem.biases
        net.fit(problem.X, problem.Y, learning_rate=0.25, epochs=1, random_state=seed)
        explained = []
        for order in all_permutations(4):
            solution = reference.train(
                weights,
                biases,
                problem.X,
                problem.Y,
                activations=problem.activations,
                loss=problem.loss,
                learning_rates=[0.25],
                order=[order],
            )
            if parameters_error(net, solution) < TOLERANCE[dtype]:
                explained.append(tuple(order))
        assert len(explained) == 1
        seen.update(explained)
    assert len(seen) > 4
