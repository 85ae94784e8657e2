"""What a learner works on: the network's parameters, and the arrays of its own beside them."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numba import typeof
from numba.extending import typeof_impl

from ..architecture import Architecture
from ..compiler.arrays import aligned_zeros
from ..compiler.constants import UNKNOWN, known
from ..compiler.views import places_of
from ..functions.activations import ACTIVATIONS
from ..kernels.adaptive.layers import scratch_size
from ..kernels.general import ROWS_SIZE
from ..kernels.layout import FAN_OUT, OUTPUTS
from ..kernels.online.placed import Codes
from ..kernels.online.sample import (
    ADAPTIVE,
    BY_ROWS,
    PENALISED,
    PLAIN,
    TRANSPOSED_SGD,
    WHOLE,
    Learner,
)
from ..kernels.state import Model, Run, Samples
from ..kernels.update_rules import OF_ALL_SAMPLES
from ..options import Options
from ..planning.network_cpu import takes_adaptive_steps
from ..training.state import RuleState

ALLOWED = (
    *("learning_rate", "update_rule", "momentum", "rho", "beta_1", "beta_2", "epsilon"),
    *("l1", "l2", "clip_norm", "clip_value", "propagate", "monitor"),
)
"""Options of `Network.fit` that a single step has."""


def check_options(options: Options) -> None:
    """Refuse rules that need all samples at once."""
    if options.update_rule in OF_ALL_SAMPLES:
        raise ValueError(
            f"update_rule={options.update_rule!r} needs the gradient of all samples at once, which fit with "
            "batch_size=len(X) has; here it is of one sample."
        )


class Workspace(NamedTuple):
    """Arrays by the names of their places in `numbabp.kernels.online.placed`, but in lower case."""

    parameters: np.ndarray
    moments: np.ndarray
    gradient: np.ndarray
    units: np.ndarray
    scratch: np.ndarray
    layout: np.ndarray
    transposed: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    position: np.ndarray
    rates: np.ndarray
    metrics: np.ndarray
    sums: np.ndarray
    totals: np.ndarray
    latest: np.ndarray
    numbers: np.ndarray
    no_shuffle: np.ndarray

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        parameters: np.ndarray,
        state: RuleState,
        options: Options,
        window: int,
    ) -> "Workspace":
        """Arrays for training these parameters; the rule's state counts its steps in them from now on.

        Parameters
        ----------
        window
            How many samples the latest metrics are of.
        """
        of, dtype = architecture, architecture.dtype
        transposed, largest = of.transposed_layout
        takes = how_steps_are_taken(of, options)
        n_sums = 2 + len(of.metric_names(options.monitor))
        n_moments = len(state.moments)
        units = aligned_zeros((3, of.n_units), dtype)
        return cls(
            parameters,
            state.moments.reshape(n_moments, of.n_parameters),
            np.zeros(_gradient_size(of, takes), dtype),
            units,
            np.empty(largest, dtype),
            of.layout,
            transposed,
            units[1:2, : of.n_inputs],
            np.zeros((1, of.n_outputs), dtype),
            np.ones(1, dtype),
            state.position,
            np.array([options.learning_rate], np.float64),
            of.metric_codes(of.metric_names(options.monitor)),
            np.zeros((1, n_sums)),
            np.zeros((1, 1 + n_sums)),
            np.zeros((window, n_sums)),
            np.array([*options.rule[1:], of.quantile], np.float64),
            np.empty(0, np.uint64),
        )

    @property
    def places(self) -> Any:
        """For the kernels of `make_online`; as long as this is kept."""
        return places_of(self)

    @property
    def outputs(self) -> np.ndarray:
        """View of the output layer's units T (n_outputs,)."""
        row = self.layout[-1]
        start = int(row[OUTPUTS])
        return self.units[1, start : start + int(row[FAN_OUT])]


class Compiled(Learner):
    """A `Learner` from Python, which knows its type: to find it anew took 0.3 ms with every call."""

    @cached_property
    def numba_type(self) -> Any:
        """Of the learner."""
        return typeof(Learner(*self))


@typeof_impl.register(Compiled)
def _type_of_learner(learner: Compiled, context: Any) -> Any:
    return learner.numba_type


def learner_of(architecture: Architecture, options: Options, work: Workspace) -> Compiled:
    """The same as a value for compiled code, with the codes in its type."""
    codes = codes_of(architecture, options)
    hidden, output = (None if code == UNKNOWN else known(code) for code in (codes.hidden, codes.output))
    model = Model(
        work.parameters,
        work.moments,
        work.gradient,
        work.units,
        work.scratch,
        work.transposed if codes.takes == TRANSPOSED_SGD else work.layout,
        known(codes.loss),
        hidden,
        output,
        known(0),
        float(architecture.quantile),
    )
    samples = Samples(work.inputs, work.targets, work.weights, work.metrics)
    run = Run(work.position, work.no_shuffle, work.rates, work.metrics, work.sums)
    rule = options.rule._replace(code=known(codes.rule))
    updated = options.propagate == "updated"
    return Compiled(model, samples, rule, run, work.layout, known(codes.takes), updated)


def _gradient_size(architecture: Architecture, takes: int) -> int:
    """Numbers that are needed to write gradients down."""
    sizes = architecture.layer_sizes
    if takes in (PLAIN, TRANSPOSED_SGD):
        return 0
    if takes in (ADAPTIVE, PENALISED):
        return scratch_size(sizes)
    of_rows = int(ROWS_SIZE) + 2 * max(sizes) if takes == BY_ROWS else architecture.n_parameters
    return min(architecture.n_parameters, of_rows)


def how_steps_are_taken(architecture: Architecture, options: Options) -> int:
    """As `fit` takes them, one sample at a time: plain SGD and adaptive rules apart from all else.

    Clipped norms are of the whole gradient.
    """
    if options.is_plain_sgd:
        return TRANSPOSED_SGD if architecture.transposed_layout[1] else PLAIN
    if takes_adaptive_steps(architecture, options):
        return PENALISED if options.l2 > 0 else ADAPTIVE
    return BY_ROWS if options.clip_norm is None else WHOLE


def codes_of(architecture: Architecture, options: Options) -> Codes:
    """What kernels are compiled for."""
    hidden, names = set(architecture.activations[:-1]), architecture.metric_names(options.monitor)
    is_known = len(hidden) < 2
    return Codes(
        ACTIVATIONS[next(iter(hidden), "identity")] if is_known else UNKNOWN,
        ACTIVATIONS[architecture.activations[-1]] if is_known else UNKNOWN,
        architecture.loss_code,
        len(names) if names == architecture.metric_names() else UNKNOWN,
        options.rule.code,
        how_steps_are_taken(architecture, options),
    )
