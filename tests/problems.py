"""Problems that the reference and the package both train on."""

from types import SimpleNamespace

import numpy as np
import reference

import numbabp as nbp
from numbabp.devices.placement import CPU
from numbabp.planning.planner import make_plan
from numbabp.planning.problem import Problem
from numbabp.samples import Samples
from numbabp.schedules import ScheduledRates, check_schedule
from numbabp.training.loop import Training
from numbabp.training.state import RuleState


def targets_for(loss, output, random_state, shape):
    if loss == "binary_cross_entropy":
        return random_state.randint(2, size=shape).astype(float)
    if loss == "categorical_cross_entropy":
        return np.eye(shape[1])[random_state.randint(shape[1], size=shape[0])]
    if loss == "poisson":
        return random_state.poisson(1.5, size=shape).astype(float)
    if output == "softmax":  # on both sides of the outputs: else absolute error has no gradient at all
        return 2.0 * np.eye(shape[1])[random_state.randint(shape[1], size=shape[0])] - 0.5
    return random_state.standard_normal(shape) + 0.5


def draw_problem(seed, sizes, activations, loss, n_samples=25):
    """Initial parameters and samples, all of them float32 numbers held as float64."""
    random_state = np.random.RandomState(seed)
    weights, _ = reference.lecun_normal(sizes, seed)
    biases = [0.3 * random_state.standard_normal(fan_out) for fan_out in sizes[1:]]
    X = random_state.standard_normal((n_samples, sizes[0]))
    Y = targets_for(loss, activations[-1], random_state, (n_samples, sizes[-1]))
    rounded = [np.float32(array).astype(np.float64) for array in [*weights, *biases, X, Y]]
    return SimpleNamespace(
        sizes=sizes,
        activations=activations,
        loss=loss,
        weights=rounded[: len(weights)],
        biases=rounded[len(weights) : -2],
        X=rounded[-2],
        Y=rounded[-1],
    )


def solve(problem, *, learning_rates, **options):
    return reference.train(
        problem.weights,
        problem.biases,
        problem.X,
        problem.Y,
        activations=problem.activations,
        loss=problem.loss,
        learning_rates=learning_rates,
        **options,
    )


def network_of(problem, dtype="float64"):
    net = nbp.Network(
        problem.sizes,
        hidden_activation=problem.activations[:-1],
        output_activation=problem.activations[-1],
        loss=problem.loss,
        init="zeros",
        dtype=dtype,
        quantile=reference.QUANTILE if problem.loss == "quantile" else 0.5,
    )
    net.weights, net.biases = problem.weights, problem.biases
    return net


def parameters_error(net, solution):
    return reference.largest_relative_error(
        [*net.weights, *net.biases], [*solution.weights, *solution.biases]
    )


def training_of(net, X, y, weights, options, epochs, place=CPU, callback=None):
    """What `Network.fit` makes of checked arrays, before it is called."""
    samples = Samples(X, y, weights)
    asked = Problem(net.architecture, samples.n, epochs, options, place, with_l2=options.l2 > 0)
    schedule = check_schedule(options.schedule, options.schedule_options)
    rates = ScheduledRates(options.schedule, schedule, float(options.learning_rate), epochs)
    state = RuleState.new(options.update_rule, net.parameters)
    return Training(asked, make_plan(asked), samples, net.parameters, state, rates, 0, callback=callback)
