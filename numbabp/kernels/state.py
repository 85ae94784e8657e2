"""What the kernels for one network work on: samples, model, and where training stands.

Everything that a later call needs to go on is in these arrays, so that a kernel may return after any sample.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compiler.compiling import scalar_function
from .shuffling import shuffle

# Entries of Run.position.
EPOCH, SAMPLE, STEP, BATCH = range(4)
# Columns of Run.sums before the metrics.
LOSS, WEIGHT, FIRST_METRIC = range(3)
# What the kernels return.
PAUSED, DIVERGED, WEIGHTLESS = range(3)


class Samples(NamedTuple):
    """The training data, with T the network's dtype."""

    inputs: np.ndarray  # T (n, n_inputs)
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n,), or (0,) where every sample weighs 1
    order: np.ndarray  # int64 (n,), the order of the current epoch


class Model(NamedTuple):
    """What is trained, and what its rule carries from step to step."""

    parameters: np.ndarray  # T (n_parameters,)
    moments: np.ndarray  # T (N_MOMENTS, n_parameters)
    gradient: np.ndarray  # T, for train_general: of the mini-batch under way (n_parameters,), or of some rows
    units: np.ndarray  # T (3, n_units), scratch: pre-activations, activations, delta
    scratch: np.ndarray  # T (n,), for layers.transpose_narrow
    layout: np.ndarray  # uint64 (n_layers, 8), see layout.layout
    loss: int
    # Constants, where a kernel is compiled for them: the activations of the hidden layers and of the output
    # layer, and how many metrics are recorded, where that is none but the accuracy.
    hidden: Any = None
    output: Any = None
    metrics: Any = None
    level: float = 0.5  # of the quantile loss


class Run(NamedTuple):
    """Where training stands, and what it records."""

    position: np.ndarray  # int64 (4,): epoch, sample in it, steps so far, samples in the mini-batch
    random: np.ndarray  # uint64 (1,), state of the shuffle; (0,) for a fixed order
    learning_rates: np.ndarray  # float64 (epochs,)
    metrics: np.ndarray  # int64 (n_metrics,), codes from losses.METRICS
    sums: np.ndarray  # float64 (epochs, 2 + n_metrics): weighted loss, weight, weighted metrics


@scalar_function
def sample_weight(samples: Any, s: Any) -> Any:
    """Factor of the sample's gradient and loss."""
    return samples.weights[s] if samples.weights.size > 0 else samples.targets.dtype.type(1)


@scalar_function
def begin_epoch(samples: Any, run: Any) -> None:
    """Draw the epoch's order, where it is not fixed."""
    if run.position[SAMPLE] == 0 and run.random.size > 0:
        shuffle(samples.order, run.random)


@scalar_function
def end_epoch(samples: Any, run: Any) -> None:
    """Go on to the next epoch, where this one's samples are all done."""
    if run.position[SAMPLE] == samples.order.size:
        run.position[SAMPLE] = 0
        run.position[EPOCH] += 1
