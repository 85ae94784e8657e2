"""Populations on Dask's workers: to the last bit what training here gives, whatever happens to a worker."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest

pytest.importorskip("distributed")
import dask
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError
from workers import two_workers

import numbabp as nbp
from numbabp.checks.host_samples import for_kernels
from numbabp.compiler.vectors import lanes_of
from numbabp.data.datasets import xor
from numbabp.training import dask_client
from numbabp.training.dask_client import check_client, run_jobs
from numbabp.training.population_loop import PopulationTraining
from numbabp.training.shared_out import population as shared_out
from numbabp.training.shared_out import sizes as shared_out_sizes
from numbabp.training.shared_out.tasks import train_part

pytestmark = pytest.mark.filterwarnings("ignore:the client's workers are gone:RuntimeWarning")
"""On a busy machine they take their time to come back."""

X, Y = xor()
LANES = lanes_of("float64")
N = 3 * LANES + 5


@pytest.fixture
def client_to_harm():
    with two_workers() as cluster, Client(cluster) as client:
        yield client


def waiting(time):
    """So long for workers."""
    return dask.config.set({dask_client.SETTING: time})


def xor_population(n=N, **options):
    return nbp.Population((2, 10, 1), n, loss="binary_cross_entropy", random_state=0, **options)


def assert_same(one, other):
    """Parameters, histories, state of the update rule and of the random generator."""
    np.testing.assert_array_equal(one.parameters, other.parameters)
    assert set(one.history) == set(other.history)
    for name in [*one.history, "learning_rate"]:
        np.testing.assert_array_equal(one.history[name], other.history[name])
    np.testing.assert_array_equal(one.history.n_epochs, other.history.n_epochs)
    assert one.history.stop_reason == other.history.stop_reason
    assert [one.history[i].stop_reason for i in range(len(one))] == [
        other.history[i].stop_reason for i in range(len(other))
    ]
    assert {i: error.args for i, error in one.history.diverged.items()} == {
        i: error.args for i, error in other.history.diverged.items()
    }
    np.testing.assert_array_equal(one._rule_state.moments, other._rule_state.moments)
    np.testing.assert_array_equal(one._rule_state.steps, other._rule_state.steps)
    assert one.random_state.randint(2**31) == other.random_state.randint(2**31)


# --- as here --------------------------------------------------------------------------------------

OWN = np.random.RandomState(0)
CASES = {
    "defaults": {},
    "of each network": {
        "learning_rate": OWN.choice([0.1, 0.2, 0.5], N),
        "momentum": OWN.choice([0.0, 0.5], N),
        "l2": np.where(np.arange(N) == 3, 0.01, 0.0),
        "sample_weight": OWN.choice([0.5, 1.0, 2.0], (N, 4)),
        "update_rule": "momentum",
        "schedule": "cosine",
    },
    "schedule of the caller's": {"schedule": lambda epoch: 0.5 / (epoch + 1), "sample_weight": [1, 2, 1, 2]},
    "adam": {"update_rule": "adam", "l2": 0.001, "sample_weight": OWN.choice([0.0, 1.0, 2.0], (N, 4))},
    "stops early": {
        "validation_data": (X[:3], Y[:3]),
        "early_stopping": True,
        "patience": 2,
        "learning_rate": np.geomspace(0.05, 5, N),
    },
    "ends early": {"tol": 1e-3, "n_iter_no_change": 1, "learning_rate": np.geomspace(0.05, 5, N)},
}


@pytest.mark.parametrize("kernel", ["lanes", "each"])
@pytest.mark.parametrize("case", CASES)
def test_no_bit_differs_from_training_here(client, case, kernel):
    here, there = xor_population(), xor_population()
    options = {"epochs": 20, "kernel": kernel, "progress": False, **CASES[case]}
    here.fit(X, Y, **options)
    there.fit(X, Y, client=client, chunk_size=LANES, **options)
    assert_same(here, there)


def test_own_orders_and_steps_that_are_not_linear(client):
    here, there = xor_population(), xor_population()
    options = {"epochs": 5, "own_order": True, "update_rule": "adam", "monitor": ("squared_error",)}
    here.fit(X, Y, random_state=1, **options)
    there.fit(X, Y, random_state=1, client=client, **options)
    assert_same(here, there)


def test_sparse_samples(client):
    from scipy import sparse

    data = sparse.random(40, 30, 0.2, format="csr", random_state=0)
    here, there = (nbp.Population((30, 5, 4, 2), 7, random_state=0) for _ in range(2))
    target = np.random.RandomState(0).standard_normal((40, 2))
    here.fit(data, target, epochs=3, update_rule="nesterov")
    there.fit(data, target, epochs=3, update_rule="nesterov", client=client)
    assert_same(here, there)


@pytest.mark.parametrize("kernel", ["lanes", "each"])
def test_networks_that_diverge(client, kernel):
    data = np.random.RandomState(0)
    samples = data.standard_normal((20, 3)), data.standard_normal((20, 2))
    rates = np.full(N, 0.01)
    rates[[4, LANES + 1, N - 1]] = 1e3
    here, there = (nbp.Population((3, 6, 2), N, hidden_activation="relu", random_state=0) for _ in range(2))
    options = {"learning_rate": rates, "epochs": 10, "update_rule": "momentum", "kernel": kernel}
    here.fit(*samples, **options)
    there.fit(*samples, client=client, chunk_size=LANES, **options)
    assert sorted(there.history.diverged) == [4, LANES + 1, N - 1]
    assert_same(here, there)


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_the_state_of_a_rule_goes_on(client, rule):
    here, there = xor_population(), xor_population()
    for where in (None, client, None, client):
        here.partial_fit(X, Y, update_rule=rule)
        there.partial_fit(X, Y, update_rule=rule, client=where)
        assert_same(here, there)


def test_workers_in_this_process_with_several_threads():
    """They have the caller's own arrays, and share the setting of BLAS's threads."""
    from numbabp.devices.processor import most_blas_threads

    data = np.random.RandomState(0)
    # so much that it takes products of matrices
    samples = data.standard_normal((2000, 784)), data.randint(0, 2, (2000, 1))
    here, there = (nbp.Population((784, 128, 1), 12, random_state=0) for _ in range(2))
    threads = most_blas_threads()
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        # a rate at which nothing overflows: then steps would be single from the end of a slice on, and where
        # slices end is a matter of time
        how = {"epochs": 3, "update_rule": "momentum", "kernel": "each", "learning_rate": 1e-3}
        here.fit(*samples, **how)
        there.fit(*samples, **how, client=client, chunk_size=2)
    assert "blocked" in here.plan(samples[0], kernel="each", epochs=3, update_rule="momentum").explain()
    assert_same(here, there)
    assert most_blas_threads() == threads


# --- what can happen ------------------------------------------------------------------------------


def after_results(monkeypatch, n, act):
    """Call act() once when n tasks' results have been stored."""
    take, taken = PopulationTraining.take, []

    def counting(self, rows, trained):
        take(self, rows, trained)
        taken.append(rows)
        if len(taken) == n:
            act()

    monkeypatch.setattr(PopulationTraining, "take", counting)


@pytest.mark.parametrize("n_killed", [1, 2])
def test_a_killed_worker_loses_nothing(client_to_harm, n_killed, monkeypatch):
    """With both, the samples are lost as well, and sent again."""
    here, there = xor_population(8 * LANES), xor_population(8 * LANES)
    samples = np.tile(X, (1000, 1)), np.tile(Y, 1000)
    options = {"epochs": 10, "update_rule": "momentum", "random_state": 0, "kernel": "lanes"}
    here.fit(*samples, **options)
    workers = list(client_to_harm.run(os.getpid).values())
    killed = []

    def kill():
        for pid in workers[:n_killed]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    after_results(monkeypatch, 2, kill)
    there.fit(*samples, client=client_to_harm, chunk_size=LANES, **options)
    assert len(killed) == n_killed
    assert_same(here, there)


def test_a_task_that_fails_is_named_and_harms_no_other(client, monkeypatch):
    def fails(part, samples):
        if part.shard.numbers["learning_rate"][0] == 0.5:
            raise OSError("the disk is full")
        return train_part(part, samples)

    monkeypatch.setattr(shared_out, "train_part", fails)
    here, there = xor_population(), xor_population()
    before = there.parameters.copy()
    rates = np.where(np.arange(N) < 2 * LANES, 0.1, 0.5)
    message = r"networks \d+ to \d+ failed on the client's workers: OSError: the disk is full"
    with pytest.raises(RuntimeError, match=message) as error:
        there.fit(X, Y, learning_rate=rates, epochs=5, client=client, chunk_size=LANES)
    assert isinstance(error.value.__cause__, OSError)
    here.fit(X, Y, learning_rate=rates, epochs=5)
    assert there.history.stop_reason == "interrupted"
    trained = there.history.n_epochs == 5
    assert not trained[2 * LANES :].any()
    np.testing.assert_array_equal(there.parameters[trained], here.parameters[trained])
    np.testing.assert_array_equal(there.parameters[~trained], before[~trained])


def test_a_job_that_kills_its_workers_is_given_up():
    def dies(job, common):
        os._exit(1)

    found = "job 0 failed on the client's workers: KilledWorker"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),  # not 3: each takes a worker's start
        two_workers() as cluster,
        Client(cluster) as client,
        pytest.raises(RuntimeError, match=found),
    ):
        run_jobs(client, dies, [0], print)


def test_a_job_whose_workers_were_killed_is_not_given_up_at_once(tmp_path):
    """As Dask does, by default after the fourth worker, even if it had nothing to do with that."""

    def dies_at_first(job, common):
        place = tmp_path / f"{job} has died"
        if not place.exists():
            place.touch()
            os._exit(1)
        return job

    results = []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        two_workers() as cluster,
        Client(cluster) as client,
    ):
        run_jobs(client, dies_at_first, [0], lambda i, result: results.append(result))
    assert results == [0]


def test_workers_that_their_cluster_gives_up_are_started_again():
    def slow(job, common):
        time.sleep(0.02)
        return job

    results = []

    def take(i, result):
        results.append(result)
        if len(results) == 3:
            client.sync(cluster.workers[0].close)

    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        run_jobs(client, slow, range(20), take)
        assert list(cluster.worker_spec) == [0]
    assert sorted(set(results)) == list(range(20))


def test_a_connection_that_is_cut(cluster):
    results = []

    def slow(job, common):
        time.sleep(0.02)
        return job + common

    def take(i, result):
        results.append(result)
        if len(results) == 3:
            client.loop.add_callback(client.scheduler_comm.comm.abort)

    with Client(cluster.scheduler_address) as client:
        run_jobs(client, slow, range(20), take, common=1)
    assert sorted(set(results)) == list(range(1, 21))


def test_ctrl_c_keeps_the_finished_task_and_waits_for_no_other():
    script = textwrap.dedent(
        """
        import os, signal
        import numpy as np, numbabp as nbp
        from distributed import Client, Event
        from numbabp.training.population_loop import PopulationTraining
        from numbabp.training.shared_out import population as shared_out
        from numbabp.training.shared_out.tasks import train_part
        from numbabp.compiler.vectors import lanes_of
        from workers import two_workers

        LANES = lanes_of("float64")
        X, y = np.random.RandomState(0).standard_normal((40, 2)), np.arange(40) % 2
        here, there = (nbp.Population((2, 10, 1), 8 * LANES, random_state=0) for _ in range(2))
        rates = np.where(np.arange(8 * LANES) < LANES, 0.1, 0.5)
        options = {"epochs": 5, "kernel": "lanes", "learning_rate": rates, "random_state": 0}
        before = there.parameters.copy()
        here.fit(X, y, **options)
        take = PopulationTraining.take
        def interrupting(self, rows, trained):
            take(self, rows, trained)
            if rows.start == 0:  # the others wait for an event
                os.kill(os.getpid(), signal.SIGINT)
        PopulationTraining.take = interrupting
        def held(part, samples):
            if part.shard.numbers["learning_rate"][0] == 0.5:
                Event("go on").wait()
            return train_part(part, samples)
        shared_out.train_part = held
        with two_workers() as cluster, Client(cluster) as client:
            try:
                there.fit(X, y, client=client, chunk_size=LANES, **options)
            except KeyboardInterrupt:
                print("interrupted")
            Event("go on").set()
        assert there.history.stop_reason == "interrupted"
        done = np.isfinite(there.history.loss).all(axis=1)
        assert done.tolist() == [True] * LANES + [False] * (7 * LANES)
        assert not np.isfinite(there.history.loss[~done]).any()
        np.testing.assert_array_equal(there.parameters[done], here.parameters[done])
        np.testing.assert_array_equal(there.parameters[~done], before[~done])
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


# --- jobs -----------------------------------------------------------------------------------------


def test_jobs_are_taken_as_workers_become_free(client):
    results, taken = {}, []

    def jobs():
        for i in range(20):
            taken.append(i - len(results))
            yield np.full(3, i)

    run_jobs(client, lambda job, common: job.sum() + common, jobs(), results.__setitem__, common=1)
    assert results == {i: 3 * i + 1 for i in range(20)}
    assert max(taken) <= 2 * dask_client.IN_FLIGHT
    run_jobs(client, print, [], print)


def test_jobs_that_go_on(client):
    """In several tasks, which are done before those that have not begun."""
    ended, taken = [], []

    def jobs():
        for i in range(6):
            taken.append(len(ended))
            yield i, 0

    def take(i, result):
        if result[1] == 3:
            ended.append(result)
            return None
        return result

    run_jobs(client, lambda job, common: (job[0], job[1] + common), jobs(), take, common=1)
    assert sorted(ended) == [(i, 3) for i in range(6)]
    assert taken[5] > 0


def test_large_jobs_are_sent_without_a_warning(client):
    results = []
    run_jobs(client, lambda job, common: job.nbytes, [np.zeros(2_000_000)], lambda i, n: results.append(n))
    assert results == [16_000_000]


def failing(n, error, call):
    """The call, which fails so many times first."""
    left = [error] * n

    def failing_first(*arguments, **options):
        if left:
            raise left.pop()
        return call(*arguments, **options)

    return failing_first


LOSSES = {
    "closed": CommClosedError("in <TCP (closed)>: Stream is closed"),
    "refused": OSError("Timed out trying to connect to tcp://127.0.0.1:1 after 30 s"),
    "slow": TimeoutError("No valid workers found"),
    "left": KeyError("tcp://127.0.0.1:1"),
    "cancelled": CancelledError("data-1"),
}


@pytest.mark.parametrize("error", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("call", ["submit", "nthreads"])
def test_calls_that_fail_as_workers_die_are_repeated(client, monkeypatch, call, error):
    monkeypatch.setattr(client, call, failing(2, error, getattr(client, call)))
    monkeypatch.setattr(dask_client, "FIRST_PAUSE", 0.01)
    results = {}
    run_jobs(client, lambda job, common: job + common, range(3), results.__setitem__, common=1)
    assert results == {0: 1, 1: 2, 2: 3}


@pytest.mark.parametrize("error", LOSSES.values(), ids=LOSSES)
def test_calls_that_go_on_failing_end_in_an_error_that_says_why(client, monkeypatch, error):
    monkeypatch.setattr(client, "submit", failing(10**6, error, None))
    what = "the client has had no workers that could be reached for 0.5 s"
    message = f"{what}: {type(error).__name__}: {error}. Dask's setting {dask_client.SETTING} says"
    with pytest.raises(RuntimeError, match=re.escape(message)) as caught, waiting("500 ms"):
        run_jobs(client, print, [0], print)
    assert caught.value.__cause__ is error


def test_results_that_are_lost_on_their_way_are_made_again(client, monkeypatch):
    lost = CommClosedError("in <TCP (closed)>: Stream is closed")
    monkeypatch.setattr(client, "gather", failing(1, lost, client.gather))
    results = {}
    run_jobs(client, lambda job, common: job + common, range(3), results.__setitem__, common=1)
    assert results == {0: 1, 1: 2, 2: 3}


def test_what_can_not_be_sent_is_no_loss_of_workers(client):
    with pytest.raises(TypeError, match="lock"):
        run_jobs(client, print, [0], print, common=threading.Lock())


def test_workers_that_do_not_come_back(monkeypatch):
    def slow(job, common):
        time.sleep(0.05)
        return job

    monkeypatch.setattr(dask_client, "QUIET_SECONDS", 0.3)
    message = "the client has had no workers for 2 s: NoWorkersError: none has come. Dask's setting"
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        pytest.raises(RuntimeError, match=re.escape(message)),
        pytest.warns(RuntimeWarning, match=r"workers are gone .* they are waited for, 2 s in all"),
        waiting("2s"),
    ):
        run_jobs(client, slow, range(300), lambda i, result: cluster.scale(0))


def test_workers_that_come_late():
    """As those of adaptive clusters do, which start workers only once there is something to do."""
    results = []
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        cluster.adapt(minimum=0, maximum=1, interval="100 ms")
        check_client(client)
        run_jobs(client, lambda job, common: job, range(3), lambda i, result: results.append(result))
    assert sorted(results) == [0, 1, 2]


@pytest.mark.parametrize("given", ["soon", -1, None])
def test_a_time_to_wait_that_is_none(client, given):
    with waiting(given), pytest.raises(ValueError, match=r"Dask's setting numbabp\.wait-for-workers must be"):
        check_client(client)


def test_a_scheduler_that_is_lost():
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, timeout=1) as client,
        pytest.raises(RuntimeError, match="the client has lost its scheduler, or was closed"),
    ):
        run_jobs(client, lambda job, common: job, range(100), lambda i, result: cluster.close())


class Workers:
    """What is asked of a client about its workers."""

    def __init__(self, n, memory_limit=2**30):
        self.workers = {i: {"nthreads": 2, "memory_limit": memory_limit} for i in range(n)}

    def scheduler_info(self, n_workers):
        return {"workers": self.workers}


def test_tasks_are_as_large_as_threads_and_memory_suggest(monkeypatch):
    sizes = []

    def note(client, training):
        sizes.append(training.n_at_once)

    monkeypatch.setattr(shared_out_sizes, "check_client", lambda client: None)
    monkeypatch.setattr(shared_out, "train_on", note)

    def size(client, n_networks, n_samples, epochs=1, **options):
        data = np.zeros((n_samples, 2)), np.zeros(n_samples)
        xor_population(n_networks).fit(*data, epochs=epochs, client=client, **options)
        return sizes[-1]

    # of short ones, one for each thread
    assert size(Workers(2), 4096, 1) == 1024
    assert size(Workers(2), 4, 1, kernel="each") == 1
    # of long ones many, in whole chunks
    assert size(Workers(2), 8192, 10_000, 100) % LANES == 0
    assert 10 <= 8192 / size(Workers(2), 8192, 10_000, 100) / 4 <= 20
    # fewer where memory is little
    assert size(Workers(1, 0), 8192, 4, 100) == 4096
    assert size(Workers(1, 2**23), 8192, 4, 100) < 4096
    with pytest.raises(MemoryError, match=f"{LANES} networks take"):
        size(Workers(1, 2**18), 8192, 4, 100)


def test_what_came_read_only_or_at_an_odd_address_is_as_kernels_know_it():
    from scipy import sparse

    numbers = np.arange(10.0)
    odd = np.frombuffer(b" " + numbers.tobytes(), offset=1)
    assert not odd.flags.aligned and not odd.flags.writeable
    matrix = sparse.random_array((5, 4), density=0.5, format="csr", random_state=0)
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    taken = for_kernels(matrix)
    np.testing.assert_array_equal(taken.toarray(), matrix.toarray())
    for array, expected in [
        (for_kernels(odd), numbers),
        (taken.data, matrix.data),
        (taken.indices, matrix.indices),
    ]:
        np.testing.assert_array_equal(array, expected)
        assert array.flags.aligned and array.flags.writeable
    assert for_kernels(numbers) is numbers


def test_a_bar_is_shown_when_asked_for(client, capfd):
    xor_population().fit(X, Y, epochs=50, progress=True, client=client)
    assert "epoch" in capfd.readouterr().err


# --- errors ---------------------------------------------------------------------------------------


def assert_refused(client, error, message, **options):
    population = xor_population(3)
    before, state = population.parameters.copy(), population.random_state.get_state()[1].tolist()
    with pytest.raises(error, match=message):
        population.fit(X, Y, client=client, **options)
    np.testing.assert_array_equal(population.parameters, before)
    assert population.random_state.get_state()[1].tolist() == state
    assert population.history is None


def test_clients_that_are_none(client, cluster, monkeypatch):
    assert_refused("tcp://localhost:8786", TypeError, "must be a dask.distributed.Client, got 'tcp://local")

    async def refuse_asynchronous():
        async with Client(cluster.scheduler_address, asynchronous=True) as asynchronous:
            assert_refused(asynchronous, TypeError, "client is asynchronous")

    asyncio.run(refuse_asynchronous())
    closed = Client(cluster)
    closed.close()
    assert_refused(closed, ValueError, "client is closed; a running one is needed")
    assert_refused(client, ValueError, "learning_rate", learning_rate=[1, 0, 1])
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        Client(empty) as without,
        waiting("100 ms"),
    ):
        assert_refused(without, RuntimeError, "client has had no workers for 0.1 s: NoWorkersError: none")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert_refused(client, ImportError, "numbabp with the extra 'dask'")
