"""Training shared out to the workers of a `dask.distributed.Client`.

`run_jobs` runs any independent jobs; `train_on` makes jobs of a population's networks. Dask does the sending,
the queueing, the retries and what else a lost worker calls for. Everything is checked and planned before
anything is sent: workers are told which kernel to use, so that no bit depends on where a network is trained.

The scheduler and the workers need numbabp too, of the same version.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from ..checks.host_samples import for_kernels
from ..devices.processor import one_blas_thread
from ..planning.cpu_costs import NETWORK_SECONDS
from ..samples import Samples
from .population_loop import PopulationTraining
from .shard import Shard, Trained

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

TASKS_PER_THREAD = 16
"""So many tasks for each thread keep all busy to the end, and little is lost with a worker;"""
SHORTEST_TASK, LONGEST_TASK = 1.0, 30.0
"""but each takes so many seconds: beside the least, what Dask does for a task is little; the most is what a
lost worker costs, and how long its threads may be busy after Ctrl-C."""
MEMORY_SHARE = 0.5
"""Of a worker's memory that is used; from 0.6 on Dask writes results to disk."""
IN_FLIGHT = 2
"""Jobs sent for each thread: the one that it does, and the next."""
RESULT_SECONDS = 10
"""How long a finished job's result may take to come after an error or Ctrl-C."""
RETRIES = 2
"""Of a job that raises, and of all when all workers are lost."""
PATIENCE = 60.0
"""Seconds in which lost workers may come back: on a busy machine one takes half a minute to start."""
FIRST_PAUSE = 0.2
"""Seconds between the first two attempts to reach them; each pause is twice the one before."""
LOST = (OSError, CancelledError, LookupError, ValueError, AssertionError)
"""What a request to the scheduler raises when workers die under it: connections that break or are refused,
timeouts (all of them OSErrors), and what its own tables answer when a worker has left them meanwhile."""


def check_client(client: Any) -> None:
    """Raise unless it is a client that jobs can be sent to.

    Raises
    ------
    ImportError
        If distributed is not installed.
    TypeError, ValueError
        If it is something else, an asynchronous or a closed client, or one without workers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ImportError("client needs distributed: install it, or numbabp with the extra 'dask'.") from None
    if not isinstance(client, Client):
        kind = type(client).__name__
        raise TypeError(f"client must be a dask.distributed.Client, got {client!r} of type {kind}.")
    if client.asynchronous:
        raise TypeError("client is asynchronous; one made without asynchronous=True is needed.")
    if client.status != "running":
        raise ValueError(f"client is {client.status}; a running one is needed.")
    if not client.nthreads():
        raise ValueError("client has no workers yet; client.wait_for_workers(1) waits for them.")


def run_jobs(
    client: "Client",
    function: Callable[[Any, Any], Any],
    jobs: Iterable[Any],
    on_result: Callable[[int, Any], None],
    common: Any = None,
    name: Callable[[int], str] = "job {}".format,
) -> None:
    """Call function(job, common) for every job on the client's workers, each on one thread.

    Parameters
    ----------
    client
        Checked by `check_client`.
    function
        Of a module that workers can import, or anything else that cloudpickle can send. It must leave its
        arguments as they are.
    jobs
        Whatever can be pickled; taken one by one, as workers become free.
    on_result
        Called here as on_result(i, result) with the number of the job, from 0, as results come in. After an
        interruption it is called again for the same one.
    common
        What all jobs need, such as the samples: sent to every worker once.
    name
        What errors call the i-th job.

    Raises
    ------
    RuntimeError
        If a job raises or loses its worker again and again, or all workers are lost again and again before
        one job is done, or for good, or the scheduler is; it names the cause.
    KeyboardInterrupt
        On Ctrl-C.

    Notes
    -----
    Before an error is raised, jobs that have not begun are cancelled, and results that are there handed over.
    What workers have begun they finish, for nothing: Dask can't stop a thread.
    """
    from distributed import as_completed

    waiting: Iterator[tuple[int, Any]] = enumerate(jobs)
    running: dict[Future, tuple[int, Any, Future]] = {}
    results = as_completed(loop=client.loop)
    sent, losses = _send(client, common), 0
    try:
        while True:
            for i, job in islice(waiting, max(0, _most_at_once(client) - len(running))):
                future = _submit(client, function, job, sent)
                running[future] = i, job, sent
                results.add(future)
            if not running:
                return
            for future in results.next_batch():
                i, job, own = running[future]
                try:
                    result = future.result()
                except Exception as error:
                    if future.status == "error":
                        cause = f"{type(error).__name__}: {error}"
                        raise RuntimeError(f"{name(i)} failed on the client's workers: {cause}") from error
                    # Dask does a lost worker's jobs again, but not once no worker has what they need
                    waiting = chain([(i, job)], waiting)
                    if own is sent:
                        losses += 1
                        if losses > RETRIES:
                            raise RuntimeError(f"{name(i)} lost all workers again and again.") from error
                        sent = _send(client, common)
                else:
                    on_result(i, result)
                    losses = 0
                del running[future]
    except BaseException:
        _hand_over(client, running, on_result)
        raise


def _hand_over(
    client: "Client",
    running: dict["Future", tuple[int, Any, "Future"]],
    on_result: Callable[[int, Any], None],
) -> None:
    """Cancel what has not begun and take what is done, as far as workers and scheduler still answer."""
    with suppress(Exception):  # what has gone wrong before is what counts
        client.cancel([future for future in running if not future.done()])
    for future, (i, *_) in running.items():
        if future.status == "finished":
            try:
                result = future.result(timeout=RESULT_SECONDS)
            except Exception:  # Ctrl-C may have reached its worker too
                continue
            on_result(i, result)


def _most_at_once(client: "Client") -> int:
    """How many jobs the workers there are now are to have; they come and go."""
    threads = sum(_insist(client, lambda seconds: client.nthreads()).values())
    return max(1, IN_FLIGHT * threads)


def _send(client: "Client", common: Any) -> "Future":
    """To every worker, so that it outlives the loss of some."""

    def scatter(seconds: float) -> Any:
        return client.scatter([common], broadcast=True, hash=False, timeout=seconds)

    (sent,) = _insist(client, scatter)
    return sent


def _insist(client: "Client", ask: Callable[[float], T]) -> T:
    """What ask(seconds left) returns, asked again for `PATIENCE` seconds while workers are being lost."""
    end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
    while client.status != "closed":
        try:
            return ask(max(FIRST_PAUSE, end - time.monotonic()))
        except LOST as error:
            if time.monotonic() + pause > end:
                cause = f"{type(error).__name__}: {error}"
                raise RuntimeError(f"the client has no workers any more: {cause}.") from error
        time.sleep(pause)
        pause *= 2
    raise RuntimeError("the client has lost its scheduler.")


def _submit(client: "Client", function: Callable[[Any, Any], Any], job: Any, sent: "Future") -> "Future":
    """The job is part of the task, however large: so the scheduler has it for another worker."""
    import dask

    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PiB"}):
        return client.submit(function, job, sent, pure=False, retries=RETRIES)


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
    """
    check_client(client)
    n, plan = len(shard), shard.plan
    if wanted is not None:
        return min(wanted, n)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    threads = sum(worker["nthreads"] for worker in workers)
    steps = samples.n * shard.epochs
    seconds = plan.ns_per_step * steps * 1e-9 + (0 if plan.n_lanes else NETWORK_SECONDS)
    longest = min(max(n * seconds / (threads * TASKS_PER_THREAD), SHORTEST_TASK), LONGEST_TASK)
    together = max(1, plan.n_lanes)
    fit = _fit_into_memory(workers, shard, samples, min(together, n))
    most = max(together, int(min(longest / seconds, fit)))
    tasks = threads * -(-n // (threads * most))  # as many for every thread
    return together * -(-n // (tasks * together))


def _fit_into_memory(workers: Any, shard: Shard, samples: Samples, least: int) -> float:
    """How many networks fit into a worker's memory for each of its threads, at least `least`."""
    # as they came, in training, and as the result
    each = (
        2 * (shard.parameters[0].nbytes + shard.bytes_of_history + shard.bytes_of_copies)
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


def train_on(client: "Client", training: PopulationTraining) -> None:
    """Do on a client's workers what training() does here; each turn is a task.

    What is stored of a run that fails or is interrupted are the networks of finished tasks.

    Raises
    ------
    RuntimeError, KeyboardInterrupt
        See `run_jobs`.
    """
    turns = training.turns
    plan = replace(training.shard.plan, n_threads=1, others=())
    parts = (replace(training.shard.part(rows), plan=plan) for rows in turns)
    with training.under_way():
        run_jobs(
            client,
            train_part,
            parts,
            lambda i, trained: training.take(turns[i], trained),
            training.samples,
            lambda i: f"training of networks {turns[i].start} to {turns[i].stop - 1}",
        )


def train_part(part: Shard, samples: Samples) -> Trained:
    """Train some networks, on a worker, from copies."""
    samples = Samples(*map(for_kernels, (samples.inputs, samples.targets, samples.weights)))
    training = PopulationTraining(copy.deepcopy(part), samples, len(part), progress=False)
    with one_blas_thread():
        training()
    return training.trained
