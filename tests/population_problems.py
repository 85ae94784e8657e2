"""Populations that the reference trains, too, network by network: problems, settings, what they come to."""

import functools

import numpy as np
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp.compiler.vectors import lanes_of
from numbabp.kernels.shuffling import draw_orders

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
LINEAR, ADAPTIVE = ("sgd", "momentum", "nesterov"), ("adagrad", "rmsprop", "adam", "adamw")
LANES = lanes_of("float64")
N = lanes_of("float32") + 3
"""Networks: a chunk and a part of one in float32, two and a part of one in float64."""
N_SAMPLES, EPOCHS = 25, 20


def problems_of(sizes, activations, loss, n=N):
    """One set of samples, and initial parameters for each network."""
    problems = [draw_problem(seed, sizes, activations, loss, N_SAMPLES) for seed in range(n)]
    for problem in problems:
        problem.X, problem.Y = problems[0].X, problems[0].Y
    return problems


def population_of(problems, dtype):
    return nbp.Population.from_networks([network_of(problem, dtype) for problem in problems])


def own_orders_of(i):
    """Orders of network i of N where each draws its own from ``random_state=9``."""
    seed = np.random.RandomState(9).randint(0, 2**31 - 1, size=N, dtype=np.int64)[i]
    of_orders = np.random.RandomState(seed).randint(0, 2**63 - 1, dtype=np.int64)
    orders = np.zeros((EPOCHS, N_SAMPLES), np.int32)
    draw_orders(np.arange(N_SAMPLES), np.array([of_orders], np.uint64), orders)
    return list(orders)


@functools.cache
def solved(sizes, activations, loss, rule, own_order, batch_size=1):
    """Problems, a rate, momentum, L2 and weights for each, and what some come to in 500 samples."""
    problems = problems_of(sizes, activations, loss)
    draw = np.random.RandomState(1)
    rates = (0.25 if rule == "sgd" else 0.05) * draw.choice([0.125, 0.25, 0.5], size=N)
    rates /= {"absolute_error": 64, "quantile": 64, "poisson": 16}.get(loss, 1)
    momenta, l2 = draw.choice([0.0, 0.25, 0.5], size=N), draw.choice([0.0, 0.01], size=N)
    weights = draw.choice([0.0, 0.5, 1.0, 2.0], size=(N, N_SAMPLES))
    if batch_size > 1:
        weights[:, 4:8] = 0  # a mini-batch of 4 without any weight, in the samples' own order
    # roots of what is next to nothing would say more of rounding than of the rule
    of_rule = {} if rule in LINEAR else {"epsilon": 1e-2}
    solutions = {
        i: solve(
            problems[i],
            learning_rates=[rates[i]] * EPOCHS,
            update_rule=rule,
            batch_size=batch_size,
            l2=l2[i],
            sample_weight=weights[i],
            monitor=("accuracy",),
            order=own_orders_of(i) if own_order else None,
            **({"momentum": momenta[i]} if rule in ("momentum", "nesterov") else {}),
            **of_rule,
        )
        for i in (0, 7, LANES - 1, LANES, N - 1)
    }
    options = {"learning_rate": rates, "momentum": momenta, "l2": l2, "sample_weight": weights, **of_rule}
    return problems, options, solutions


def assert_as_the_reference(case, rule, kernel, own_order, batch_size=1):
    """Parameters, losses and accuracies of a case's networks are the reference's, in both dtypes."""
    problems, options, solutions = solved(*case, rule, own_order, batch_size)
    for dtype, tolerance in TOLERANCE.items():
        population = population_of(problems, dtype)
        history = population.fit(
            problems[0].X,
            problems[0].Y,
            **options,
            batch_size=batch_size,
            epochs=EPOCHS,
            shuffle=own_order,
            own_order=own_order,
            random_state=9,
            update_rule=rule,
            kernel=kernel,
            monitor=("accuracy",),
            progress=False,
        )
        assert not history.diverged
        for i, solution in solutions.items():
            assert parameters_error(population[i], solution) < tolerance
            losses = reference.largest_relative_error([history.loss[i]], [solution.loss])
            assert losses < 10 * tolerance
            if dtype == "float64":
                np.testing.assert_allclose(history.accuracy[i], solution.metrics["accuracy"], rtol=1e-12)
