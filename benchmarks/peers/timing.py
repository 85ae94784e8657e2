"""How time is taken: in turn, after every system has shown that it takes the same steps."""

import time

import numpy as np
from peer import OutOfScope, Unavailable
from with_numba import Numbabp

STEPS_COMPARED = 100
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
SGEMM_SIZES = (1024, 1536, 2048)


def seconds(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def take_steps(peer, n):
    """Parameters after the steps compared; compiles what needs compiling."""
    peer.prepare()
    peer.train(n, STEPS_COMPARED // n)
    return np.array(peer.parameters())


def check_trajectory(peer):
    """Largest difference from numbabp on the same loss, relative to the largest parameter if above 1."""
    problem = peer.problem
    reference = Numbabp(problem.but(loss=peer.loss or problem.loss, rate=peer.check_rate or problem.rate))
    n = min(len(problem.Y), STEPS_COMPARED)
    try:
        peer.rate = reference.rate
        expected = take_steps(reference, n)
        difference = np.abs(take_steps(peer, n) - expected).max() / max(1.0, np.abs(expected).max())
    finally:
        peer.rate = problem.rate
    if not difference <= TOLERANCE[problem.dtype]:
        raise TrajectoryError(
            f"not timed: after {STEPS_COMPARED} steps parameters differ by {difference:.1e} from numbabp's"
        )
    return float(difference)


class TrajectoryError(Exception):
    """A system does something else."""


def calibrate(peer, least):
    """Samples and epochs that take about `least` seconds; slow systems get some of the samples, once.

    Grown by four at a time, since what a call costs once can be a thousand steps of a sparse problem.
    """
    n, epochs, every = min(len(peer.problem.Y), STEPS_COMPARED), 1, len(peer.problem.Y)
    while True:
        peer.prepare()
        peer.train(n, epochs)  # may compile for this shape
        peer.prepare()
        taken = seconds(peer.train, n, epochs)
        if taken >= least / 4:
            break
        if n < every:
            n = min(4 * n, every)
        else:
            epochs *= 4
    if n < every:
        return min(every, max(n, round(n * least / taken))), 1
    return n, max(1, round(epochs * least / taken))


def time_training(peers, repeats, least):
    """Nanoseconds a step, (repeats, peers), and GFLOP/s of sgemm, (repeats,); all take turns."""
    counts = []
    for peer in peers:
        n, epochs = calibrate(peer, max(least, peer.least_seconds))
        if n < len(peer.problem.Y):
            peer.prepare()
            peer.train(n, epochs)  # may compile for this shape
        counts.append((n, epochs))
    times, rates = np.empty((repeats, len(peers))), np.empty(repeats)
    sgemm = Sgemm(SGEMM_SIZES[0])
    for repeat in range(repeats):
        rates[repeat] = sgemm.rate()
        for p, (peer, (n, epochs)) in enumerate(zip(peers, counts, strict=True)):
            peer.prepare()
            times[repeat, p] = seconds(peer.train, n, epochs) / (n * epochs) * 1e9
    return times, rates


class Sgemm:
    """NumPy's float32 matrix product."""

    def __init__(self, n):
        generator = np.random.default_rng(0)
        self.flops = 2 * n**3
        self.A, self.B = (generator.standard_normal((n, n), dtype=np.float32) for _ in range(2))
        self.C = np.empty((n, n), np.float32)
        np.matmul(self.A, self.B, out=self.C)

    def rate(self, times=3):
        """GFLOP/s, median."""
        taken = [seconds(lambda: np.matmul(self.A, self.B, out=self.C)) for _ in range(times)]
        return self.flops / float(np.median(taken)) / 1e9


def sgemm_rates():
    """GFLOP/s by matrix size, median of 7."""
    return {str(n): Sgemm(n).rate(7) for n in SGEMM_SIZES}


def available(kinds, problem):
    """Systems that are here and take numbabp's steps, and for the others why not: (peers, refusals)."""
    peers, refusals = [], []
    for kind in kinds:
        try:
            peer = kind(problem)
            if peer.comparable and not problem.shuffle and kind is not Numbabp:
                peer.difference = check_trajectory(peer)
            else:
                take_steps(peer, min(len(problem.Y), STEPS_COMPARED))  # whether it can
            peers.append(peer)
        except OutOfScope:
            pass
        except Unavailable as reason:
            refusals.append((kind.name, str(reason), False))
        except TrajectoryError as reason:
            refusals.append((kind.name, str(reason), True))
        except Exception as error:
            if kind is Numbabp:
                raise
            refusals.append((kind.name, f"not measured: {type(error).__name__}: {error}", True))
    return peers, refusals
