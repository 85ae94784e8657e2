"""How many networks of a population make a task for a client's workers, and how long one may take."""

import math
from typing import TYPE_CHECKING, Any

from ...planning.cpu_costs import NETWORK_SECONDS
from ...samples import Samples
from ..dask_client import NoWorkersError, Patience, check_client
from ..shard import Shard

if TYPE_CHECKING:
    from distributed import Client

TASKS_PER_THREAD = 16
"""So many tasks for each thread keep all busy to the end;"""
SHORTEST_TASK, LONGEST_TASK = 1.0, 30.0
"""but each takes so many seconds: beside the least, what Dask does for a task is little; the most is what a
lost worker costs, and how long its threads may be busy after Ctrl-C. What takes longer, even of one network,
goes on in another task, from where it stands."""
BYTES_PER_SECOND = 1e7
"""Of a standing that is sent there and back: a task takes that much longer, so that the network is of no
account."""
MEMORY_SHARE = 0.5
"""Of a worker's memory that is used; from 0.6 on Dask writes results to disk."""


def networks_of_a_task(client: "Client", shard: Shard, samples: Samples, wanted: int | None = None) -> int:
    """How many of a population's networks are trained in one task.

    Parameters
    ----------
    client
        Checked here.
    shard, samples
        The whole population, and what it is trained on.
    wanted
        What the caller asks for.

    Raises
    ------
    MemoryError
        If a worker has not enough memory for the networks of one chunk on each thread.
    RuntimeError
        If no workers come.
    """
    check_client(client)
    n, plan = len(shard), shard.plan
    if wanted is not None:
        return min(wanted, n)
    workers = _workers(client)
    threads = sum(worker["nthreads"] for worker in workers)
    steps = samples.n * shard.epochs
    seconds = plan.ns_per_step * steps * 1e-9 + (0 if plan.n_lanes else NETWORK_SECONDS)
    longest = min(max(n * seconds / (threads * TASKS_PER_THREAD), SHORTEST_TASK), LONGEST_TASK)
    together = max(1, plan.n_lanes)
    fit = _fit_into_memory(workers, shard, samples, min(together, n))
    most = max(together, int(min(longest / seconds, fit)))
    tasks = threads * -(-n // (threads * most))  # as many for every thread
    return together * -(-n // (tasks * together))


def seconds_of_a_task(part: Shard) -> float:
    """After which a task ends where it stands, for another to go on."""
    of_networks = part.parameters.nbytes + part.state.moments.nbytes + part.bytes_of_history * len(part)
    return LONGEST_TASK + of_networks / BYTES_PER_SECOND


def _workers(client: "Client") -> list[dict[str, Any]]:
    """What the scheduler knows of each."""

    def ask(seconds: float) -> list[dict[str, Any]]:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if not workers:  # they have gone since the client was checked
            raise NoWorkersError("none has come")
        return list(workers)

    return Patience(client).insist(ask)


def _fit_into_memory(workers: list[dict[str, Any]], shard: Shard, samples: Samples, least: int) -> float:
    """How many networks fit into a worker's memory for each of its threads, at least `least`."""
    # as they came, where they stood then, in training, and as the result
    each = (
        3 * (shard.parameters[0].nbytes + shard.bytes_of_history + shard.bytes_of_copies)
        + shard.weights[:1].nbytes
    )
    fit = math.inf
    for worker in workers:
        if worker["memory_limit"]:  # else it has none
            room = MEMORY_SHARE * worker["memory_limit"] - samples.nbytes
            fit = min(fit, room / worker["nthreads"] / each)
    if fit < least:
        raise MemoryError(
            f"the client's workers have too little memory: {least} networks take {least * each:,} bytes on "
            f"each thread, the samples {samples.nbytes:,} on each worker, and {MEMORY_SHARE:.0%} of a "
            "worker's memory is used at most. Give workers fewer threads or more memory."
        )
    return fit
