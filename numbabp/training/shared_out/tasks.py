"""What a client's worker does: some networks trained to the end, or on for so many seconds."""

import copy
import threading
from contextlib import suppress
from dataclasses import dataclass

from ...checks.host_samples import for_kernels
from ...devices.processor import one_blas_thread
from ...samples import Samples
from ..checkpoints.standing import Standing
from ..checkpoints.until import Until
from ..population_loop import Ended, PopulationTraining
from ..shard import Shard, Trained


@dataclass
class Part:
    """Networks to be trained in one task."""

    shard: Shard
    """As they were before their training began."""
    found: Standing | None
    """Where they stand, if it has begun."""
    seconds: float
    """Until the task ends, for another to go on."""


def train_part(part: Part, samples: Samples) -> Trained | Standing:
    """Train some networks from copies: what has become of them, or where they stand when time is over."""
    samples = samples.converted(for_kernels)
    # what came may be read-only, and workers in the client's process have its own arrays
    part = copy.deepcopy(part)
    stop = threading.Event()
    until = Until(part.seconds, stop)
    training = PopulationTraining(part.shard, samples, len(part.shard), False, stop, until, part.found)
    with one_blas_thread(), suppress(Ended):
        training()
    return training.trained if until.standing is None else until.standing
