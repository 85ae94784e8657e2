"""Which engine a plan for a population asks for."""

import threading

from ...samples import Samples
from ..shard import Records, Shard
from .population_cpu import Lanes
from .population_each import Each
from .population_engine import PopulationEngine


def make_population_engine(
    shard: Shard, samples: Samples, records: Records, stop: threading.Event
) -> PopulationEngine:
    """The engine of a shard's plan."""
    plan = shard.plan
    if plan.device != "cpu":
        from .population_cuda import OnGpu  # numba-cuda only for those who use it

        return OnGpu(shard, samples, records)
    if plan.kernel == "lanes":
        return Lanes(shard, samples, records)
    return Each(shard, samples, records, stop)
