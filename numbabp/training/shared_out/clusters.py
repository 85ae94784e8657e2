"""Workers that a cluster in this process has given up, started again."""

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client


def start_missing(client: "Client", n_workers: int) -> None:
    """See to it that a client's own cluster starts as many workers as it should have, if it has only so many.

    A cluster such as `distributed.LocalCluster` closes for good what would start a lost worker again, if that
    takes longer than Dask's setting distributed.deploy.lost-worker-timeout, 15 s, as on a busy machine, or if
    the new one dies while it starts. What such a cluster is to have is still known to it; `scale` starts what
    is missing of it. Clusters elsewhere look after their workers themselves.
    """
    from distributed import SpecCluster, Status

    cluster = client.cluster
    if not isinstance(cluster, SpecCluster) or cluster.status is not Status.running:
        return
    if n_workers >= len(cluster.worker_spec):
        return

    def start() -> None:  # in the thread that alone changes these
        for name, worker in list(cluster.workers.items()):
            if worker.status in (Status.closed, Status.failed):
                del cluster.workers[name]
        cluster.scale(len(cluster.worker_spec))

    with suppress(RuntimeError):  # the loop is closed
        cluster.loop.add_callback(start)
