"""Jobs for the workers of a `dask.distributed.Client`, done whatever becomes of workers and connections.

Dask does the sending and the queueing, and gives a lost worker's jobs and samples to another one. What it
can't mend ends here: requests that break off are repeated (`Patience`); what the scheduler has lost,
cancelled or given up together with workers is sent again (`_Jobs`).

The scheduler and the workers need numbabp too, of the same version.
"""

import asyncio
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, wait
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .shared_out.clusters import start_missing

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

IN_FLIGHT = 2
"""Jobs sent for each thread: the one that it does, and the next."""
RESULT_SECONDS = 10.0
"""How long finished jobs' results may take to come after an error or Ctrl-C,"""
LEAST_RESULT_SECONDS = 60.0
"""and one of them before, however short a time workers are waited for."""
RETRIES = 2
"""Of a job that raises; of one with which Dask has lost workers, as often each time as its own setting
distributed.scheduler.allowed-failures says; and of all, when the scheduler loses them before one is done."""
SETTING = "numbabp.wait-for-workers"
"""Dask's setting of how long to wait where there are no workers,"""
PATIENCE = "5 minutes"
"""and what it is if not set: on a busy machine a worker takes half a minute to start, elsewhere it may wait
for its turn."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two attempts to reach them, twice as many each time."""
QUIET_SECONDS = 15.0
"""After so many without workers a warning says what is being waited for."""
LOOK_SECONDS = 1.0
"""While no job ends, so often it is seen whether there still are workers."""
LOST = (OSError, CancelledError, LookupError, ValueError, AssertionError)
"""What a request to the scheduler raises when workers die under it: connections that break or are refused,
timeouts (all of them OSErrors), and what its own tables answer when a worker has left them meanwhile."""


class NoWorkersError(TimeoutError):
    """There are none at the moment."""


def check_client(client: Any) -> None:
    """Raise unless it is a client that jobs can be sent to; waits for workers where there are none yet.

    Raises
    ------
    ImportError
        If distributed is not installed.
    TypeError, ValueError
        If it is something else, an asynchronous or a closed client; or if Dask's setting
        numbabp.wait-for-workers is no time.
    RuntimeError
        If no workers come.
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
    if client.status in ("closing", "closed"):
        raise ValueError(f"client is {client.status}; a running one is needed.")
    Patience(client).threads()


def seconds_to_wait() -> float:
    """How long workers may be away, by Dask's setting.

    Raises
    ------
    ValueError
        If that is no time.
    """
    import dask
    from dask.utils import parse_timedelta

    given = dask.config.get(SETTING, PATIENCE)
    try:
        seconds = float(parse_timedelta(given))
    except (TypeError, ValueError, KeyError):
        seconds = -1
    if not seconds >= 0:
        raise ValueError(f"Dask's setting {SETTING} must be a time such as '5 minutes', got {given!r}.")
    return seconds


class Patience:
    """How long a client's workers or its scheduler may be away: all requests to them go through here.

    Parameters
    ----------
    client
        Whose.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.seconds = seconds_to_wait()
        self._has_warned = False

    def insist(self, ask: Callable[[float], T]) -> T:
        """What ask(seconds left) returns, asked again while workers are being lost, or there are none.

        Raises
        ------
        RuntimeError
            If there is no answer in `seconds`, or the client has closed.
        """
        begun, pause = time.monotonic(), FIRST_PAUSE
        while True:
            left = begun + self.seconds - time.monotonic()
            try:
                return ask(max(FIRST_PAUSE, left))
            except Exception as error:
                if self._client.status in ("closing", "closed"):
                    raise RuntimeError("the client has lost its scheduler, or was closed.") from error
                if not isinstance(error, LOST):
                    raise
                if left <= 0:
                    raise RuntimeError(self._end_of(error)) from error
                self._warn(time.monotonic() - begun, error)
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)

    def threads(self) -> dict[str, int]:
        """How many each worker has, by its address; waits for a worker."""
        calls: list[Future] = []

        def ask(seconds: float) -> dict[str, int]:
            threads = dict(self._client.nthreads())
            start_missing(self._client, len(threads))
            if not threads:
                if not calls:  # there are clusters that start workers only when there is something to do
                    calls.append(self._client.submit(int, pure=False))
                raise NoWorkersError("none has come")
            return threads

        return self.insist(ask)

    def _end_of(self, error: Exception) -> str:
        what = "no workers" if isinstance(error, NoWorkersError) else "no workers that could be reached"
        return (
            f"the client has had {what} for {self.seconds:g} s: {type(error).__name__}: {error}. "
            f"Dask's setting {SETTING} says how long to wait for them."
        )

    def _warn(self, waited: float, error: Exception) -> None:
        if waited > QUIET_SECONDS and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the client's workers are gone or can't be reached ({type(error).__name__}: {error}); they "
                f"are waited for, {self.seconds:g} s in all.",
                RuntimeWarning,
                stacklevel=2,
            )


def run_jobs(
    client: "Client",
    function: Callable[[Any, Any], Any],
    jobs: Iterable[Any],
    on_result: Callable[[int, Any], Any],
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
        Called here as on_result(i, result) with the number of the job, from 0, as results come in. What it
        returns, unless None, is a job that goes on with the i-th one, and is done next. After an
        interruption it is called again for the same result.
    common
        What all jobs need, such as the samples: sent once, and then by workers to others. The scheduler keeps
        it, in case that all of them are lost.
    name
        What errors call the i-th job.

    Raises
    ------
    RuntimeError
        If a job raises or loses its worker again and again, or the scheduler loses all of them, or if workers
        are gone for longer than `seconds_to_wait`, or the scheduler is; it names the cause.
    KeyboardInterrupt
        On Ctrl-C.

    Notes
    -----
    Before an error is raised, jobs that have not begun are cancelled, and results that are there handed over.
    What workers have begun they finish, for nothing: Dask can't stop a thread.
    """
    do = _Jobs(client, function, jobs, common, name)
    try:
        while do.fill():
            for future in do.done():
                do.take(future, on_result)
    except BaseException:
        do.hand_over(on_result)
        raise


def _same(common: Any) -> Any:
    """What is then on a worker."""
    return common


def _nothing(common: Any) -> None:
    """To do with what is on a worker."""


class _Sent(NamedTuple):
    """A job that the scheduler has."""

    i: int
    job: Any
    common: "Future"


class _Jobs:
    """Those of one call of `run_jobs`; see there for the arguments."""

    def __init__(
        self,
        client: "Client",
        function: Callable[[Any, Any], Any],
        jobs: Iterable[Any],
        common: Any,
        name: Callable[[int], str],
    ) -> None:
        self._client, self._function, self._common, self._name = client, function, common, name
        self._patience = Patience(client)
        self._waiting: Iterator[tuple[int, Any]] = enumerate(jobs)
        self._running: dict[Future, _Sent] = {}
        self._sent_common: Future | None = None
        self._fetching: dict[str, Future] = {}
        self._losses, self._killed = 0, Counter[int]()
        """How often jobs were lost since the last result, and Dask gave up each with its workers."""
        self._woken = threading.Event()

    def fill(self) -> bool:
        """Send as many jobs as the workers that are there are to have; whether there are any to wait for."""
        threads = self._patience.threads()
        n = IN_FLIGHT * sum(threads.values())
        for i, job in islice(self._waiting, max(0, n - len(self._running))):
            future = self._patience.insist(partial(self._submit, i, job))
            assert self._sent_common is not None
            self._running[future] = _Sent(i, job, self._sent_common)
            future.add_done_callback(lambda future: self._woken.set())
        self._patience.insist(partial(self._spread, threads))
        return bool(self._running)

    def done(self) -> "list[Future]":
        """Those that have ended, however; waits for one."""
        while True:
            self._woken.clear()
            done = [future for future in self._running if future.done()]
            if done:
                return done
            if not self._woken.wait(LOOK_SECONDS):
                self._patience.threads()

    def take(self, future: "Future", on_result: Callable[[int, Any], Any]) -> None:
        """Hand a result over, or have the job done again."""
        sent = self._running[future]
        i = sent.i
        try:
            result = self._result(future)
        except Exception as error:
            if isinstance(error, TimeoutError) and not future.done():
                return  # its result was lost, and Dask has begun again
            self._lose(future, sent, error)
        else:
            more = on_result(i, result)
            self._losses = 0
            del self._killed[i]
            if more is not None:
                self._waiting = chain([(i, more)], self._waiting)
        del self._running[future]

    def _result(self, future: "Future") -> Any:
        """What has come of a task that has ended; TimeoutError if that is lost meanwhile, or does not come.

        `Future.result` would wait for ever, or for results that Dask makes again, without a look at workers.
        """
        coming = asyncio.run_coroutine_threadsafe(
            self._client.gather([future], asynchronous=True), self._client.loop.asyncio_loop
        )
        end = time.monotonic() + max(self._patience.seconds, LEAST_RESULT_SECONDS)
        try:
            while not wait([coming], LOOK_SECONDS).done:
                self._patience.threads()
                if not future.done() or time.monotonic() > end:
                    raise TimeoutError("its result does not come")
            return coming.result()[0]
        finally:
            coming.cancel()

    def hand_over(self, on_result: Callable[[int, Any], Any]) -> None:
        """Cancel what has not begun and take what is done, as far as workers and scheduler still answer."""
        end = time.monotonic() + RESULT_SECONDS
        with suppress(Exception):  # what has gone wrong before is what counts
            self._client.cancel([future for future in self._running if not future.done()])
        for future, sent in self._running.items():
            if future.status == "finished" and time.monotonic() < end:
                try:
                    result = future.result(timeout=end - time.monotonic())
                except Exception:  # Ctrl-C may have reached its worker too
                    continue
                on_result(sent.i, result)

    def _submit(self, i: int, job: Any, seconds: float) -> "Future":
        """The job is part of the task, however large: so the scheduler has it for another worker.

        So are the samples, of a task that all need: `Client.scatter` leaves them with workers only, which may
        all be lost, and may wait for ever for one that is killed meanwhile.
        """
        import dask

        submit = partial(self._client.submit, pure=False, retries=RETRIES)
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PiB"}):
            try:
                if self._sent_common is None or self._sent_common.status in ("error", "cancelled"):
                    self._sent_common = submit(_same, self._common, priority=1)
                    self._fetching.clear()
                # all that wait for the samples could be begun at once: in order
                return submit(self._function, job, self._sent_common, priority=-i)
            except TypeError as error:
                why: BaseException = error
                while why.__cause__ is not None:  # Dask names its own wrapping
                    why = why.__cause__
                raise TypeError(f"what is sent to the client's workers must be picklable: {why}") from error

    def _spread(self, threads: dict[str, int], seconds: float) -> None:
        """Have every worker fetch the samples: Dask waits with that while one that has them has few jobs."""
        for address in set(self._fetching) - set(threads):
            del self._fetching[address]
        if self._sent_common is not None:
            for address in set(threads) - set(self._fetching):
                self._fetching[address] = self._client.submit(
                    _nothing, self._sent_common, workers=[address], pure=False, priority=1
                )

    def _lose(self, future: "Future", sent: _Sent, error: Exception) -> None:
        """Have a job sent again that has no result, unless there is no hope."""
        from distributed import KilledWorker

        i = sent.i
        if future.status == "error":
            self._killed[i] += 1
            if not isinstance(error, KilledWorker) or self._killed[i] > RETRIES:
                cause = f"{type(error).__name__}: {error}"
                raise RuntimeError(f"{self._name(i)} failed on the client's workers: {cause}") from error
        elif sent.common is self._sent_common:
            # the scheduler knows nothing of it any more, or a result that is there does not come
            self._losses += 1
            if self._losses > RETRIES:
                cause = f"{type(error).__name__}: {error}"
                raise RuntimeError(f"{self._name(i)} was lost again and again: {cause}") from error
            self._sent_common = None
        self._waiting = chain([(i, sent.job)], self._waiting)
