"""Measured steps: what the planner's constants are fitted to, and its picks compared with."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from ..architecture import Architecture
from ..compiler.arrays import aligned_zeros
from ..functions.initializers import draw_weights
from ..kernels.state import EPOCH, SAMPLE, Run, Samples
from ..options import Options
from ..planning.cpu_costs import Machine
from ..planning.network_cpu import predicted_ns
from ..planning.plan import Plan
from ..planning.planner import make_plan
from ..planning.problem import Problem
from ..training.engines.network_engine import Subject
from ..training.engines.network_registry import make_engine

N_SAMPLES = 512
SHAPES = (
    (2, 10, 1),
    (8, 32, 4),
    (16, 16, 16, 4),
    (30, 100, 2),
    (64, 32, 10),
    (128, 128, 10),
    (256, 64, 64, 10),
    (500, 500, 1),
    (784, 10),
    (784, 128, 10),
    (784, 256, 256, 10),
    (1000, 1000, 10),
    (2000, 30, 2),
)
"""Networks that `calibrate` measures."""
DTYPES, RULES = ("float32", "float64"), ("sgd", "momentum")
"""With each of these and those."""
LONGEST_SECONDS = 60.0
"""After which it measures no more of them;"""
LEAST_MEASURED = 0.3
"""and the part that it has to have measured by then."""
GOLDEN = 0.6180339887498949
FIT_TOLERANCE = 1e-4
MOST_EVALUATIONS = 30
_NOT_FITTED = {"first_cache_size", "second_cache_size", "batch_cache_size"}


@dataclass(frozen=True)
class Measurement:
    """One plan's step, measured."""

    layer_sizes: tuple[int, ...]
    update_rule: str
    plan: Plan
    ns_per_step: float


class Calibration(NamedTuple):
    """What `calibrate` has found."""

    machine: Machine
    """Fitted constants."""
    error: float
    """Root mean square of the logarithm of predicted over measured times."""
    n_measured: int
    """Networks, with a dtype and a rule each,"""
    n_wanted: int
    """of so many."""


def time_plans(
    layer_sizes: Sequence[int],
    dtype: str,
    *,
    update_rule: str = "sgd",
    seconds: float = 0.02,
    repeats: int = 3,
) -> list[Measurement]:
    """Measure every plan that there is for a network, in turn; the best of the repeats.

    Parameters
    ----------
    layer_sizes
        (n_inputs, ..., n_outputs); all sigmoid, binary cross-entropy, `N_SAMPLES` random samples.
    dtype
        "float32" or "float64".
    update_rule
        "sgd", "momentum" or "nesterov".
    seconds
        Length of one timing, about; at least one epoch.
    """
    sizes = tuple(layer_sizes)
    architecture = _architecture(sizes, dtype)
    options = Options(update_rule=update_rule)
    chosen = make_plan(Problem(architecture, N_SAMPLES, 1, options))
    plans = [replace(chosen, others=()), *chosen.alternatives]
    plans = [plan for plan in plans if plan.ns_per_step > 0]  # the others are not possible
    advances = [_prepare(architecture, plan, options) for plan in plans]
    epochs = [max(1, round(seconds / max(advance(1), 1e-9))) for advance in advances]
    best = [float("inf")] * len(plans)
    for _ in range(repeats):
        for p, advance in enumerate(advances):
            best[p] = min(best[p], advance(epochs[p]) / (epochs[p] * N_SAMPLES))
    return [
        Measurement(sizes, update_rule, plan, 1e9 * taken) for plan, taken in zip(plans, best, strict=True)
    ]


def _prepare(architecture: Architecture, plan: Plan, options: Options) -> Callable[[int], float]:
    """A function that trains for some epochs and returns the seconds it took; it is compiled by now."""
    generator = np.random.default_rng(0)
    dtype, n_parameters = architecture.dtype, architecture.n_parameters
    inputs = generator.standard_normal((N_SAMPLES, architecture.n_inputs)).astype(dtype)
    targets = (generator.random((N_SAMPLES, architecture.n_outputs)) < 0.5).astype(dtype)
    parameters = aligned_zeros(n_parameters, dtype)
    draw_weights(architecture.weights_of(parameters), "lecun_normal", np.random.RandomState(0))
    moments = np.zeros((0 if options.update_rule == "sgd" else 1, n_parameters), dtype)
    order = np.arange(N_SAMPLES, dtype=np.int64)
    samples = Samples(inputs, targets, np.empty(0, dtype), order)
    position = np.zeros(4, np.int64)
    most_epochs = 100_000
    run = Run(
        position,
        np.empty(0, np.uint64),
        np.full(most_epochs, 1e-3),
        np.empty(0, np.int64),
        np.zeros((most_epochs, 2)),
    )
    engine = make_engine(plan, Subject(architecture, parameters, moments, samples, options, run))

    # on one thread its processor's time, which other programs take no part of
    clock = time.process_time if plan.n_threads == 1 else time.perf_counter

    def advance(epochs: int) -> float:
        position[[EPOCH, SAMPLE]] = 0
        started = clock()
        engine.advance(min(epochs, most_epochs), 2**62)
        return clock() - started

    engine.advance(0, 0)
    return advance


def calibrate(
    report: Callable[[str], None] = lambda text: None, seconds: float = LONGEST_SECONDS
) -> Calibration:
    """Fit the cost model to this machine, which should be idle; it takes a minute.

    Parameters
    ----------
    report
        Told what is being measured.
    seconds
        After which no further network is measured.

    Raises
    ------
    ValueError
        If that is too few to go by.
    """
    of = [(sizes, dtype, rule) for sizes in SHAPES for dtype in DTYPES for rule in RULES]
    # wherever it is cut short, small and large ones are among them, of both dtypes and rules
    order = np.argsort(np.arange(len(of)) * GOLDEN % 1)
    measurements, end, n = [], time.monotonic() + seconds, 0
    for i in order.tolist():
        if time.monotonic() > end:
            break
        sizes, dtype, rule = of[i]
        report(f"{'-'.join(map(str, sizes))}, {dtype}, {rule}")
        measurements += time_plans(sizes, dtype, update_rule=rule)
        n += 1
    if n < LEAST_MEASURED * len(of):
        raise ValueError(
            f"only {n} of {len(of)} networks could be measured in {seconds:g} s, too few to go by: the "
            "machine has too much else to do. The constants are as before."
        )
    return Calibration(*fit(measurements), n, len(of))


def fit(measurements: Sequence[Measurement], start: Machine | None = None) -> tuple[Machine, float]:
    """Constants that predict the measurements best, and how well.

    Slow plans weigh less, since only what is near the fastest is ever a choice; a constant is not let further
    than a factor of 10 from where it began.
    """
    start = start or Machine()
    names = [field.name for field in fields(Machine) if field.name not in _NOT_FITTED]
    best: dict[tuple[tuple[int, ...], str, str], float] = {}
    for m in measurements:
        key = m.layer_sizes, m.plan.dtype, m.update_rule
        best[key] = min(best.get(key, m.ns_per_step), m.ns_per_step)
    weights = np.array(
        [best[m.layer_sizes, m.plan.dtype, m.update_rule] / m.ns_per_step for m in measurements]
    )

    def machine(logarithms: np.ndarray) -> Machine:
        return replace(start, **dict(zip(names, np.exp(logarithms).tolist(), strict=True)))

    def residuals(logarithms: np.ndarray) -> np.ndarray:
        model = machine(logarithms)
        return weights * np.array([np.log(predict(model, m) / m.ns_per_step) for m in measurements])

    first = np.log([asdict(start)[name] for name in names])
    # to the closest it took minutes, and gained nothing: times differ by more from one run to the next
    found = least_squares(
        residuals,
        first,
        bounds=(first - np.log(10), first + np.log(10)),
        ftol=FIT_TOLERANCE,
        xtol=FIT_TOLERANCE,
        max_nfev=MOST_EVALUATIONS,
        loss="soft_l1",
        f_scale=0.1,
    )
    fitted = machine(found.x)
    errors = [np.log(predict(fitted, m) / m.ns_per_step) for m in measurements]
    return fitted, float(np.sqrt(np.average(np.square(errors), weights=weights)))


def predict(machine: Machine, measurement: Measurement) -> float:
    """What the model says of a measured step."""
    plan = measurement.plan
    architecture = _architecture(measurement.layer_sizes, plan.dtype)
    options = Options(update_rule=measurement.update_rule)
    return predicted_ns(machine, architecture, options, plan.kernel, plan)


@cache
def _architecture(layer_sizes: tuple[int, ...], dtype: str) -> Architecture:
    return Architecture.checked(layer_sizes, loss="binary_cross_entropy", dtype=dtype)


def picks(measurements: Sequence[Measurement]) -> Iterator[tuple[Measurement, Measurement]]:
    """For each network, dtype and rule: the measurement of the predicted fastest plan, and the fastest."""
    groups: dict[tuple[tuple[int, ...], str, str], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault((m.layer_sizes, m.plan.dtype, m.update_rule), []).append(m)
    for group in groups.values():
        yield (
            min(group, key=lambda m: m.plan.ns_per_step),
            min(group, key=lambda m: m.ns_per_step),
        )
