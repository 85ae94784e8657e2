"""Two commits measured in turn: a process for each, short samples, the ratio of each round by itself.

Within a round the order is base, head, head, base, in the next one the other way round, so that whatever the
machine does beside, slowly, falls on both.

Seconds are those on processors (`time.process_time`), not on the clock: every row runs on one thread, and a
machine that does other things too takes that thread off its core. What only waits is not seen. A commit
against itself beside twenty busy processes, 30 rounds of 8 rows: in seconds on processors the ratios were
off by 7 to 8 % (root mean square), whether taken as the median of the rounds' ratios, or as the ratio of
medians, of lower quartiles or of minima; on the clock by 8 to 22 %. What is left is the same in all rounds
of a process, by where its memory happens to lie: up to 16 % in a row. So each commit gets several processes,
a pair after the other: with three, 108 rows of a commit against itself, with as much going on beside, came
to ratios of 0.94 to 1.05.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.builds import environment_of
from benchmarks.peers.machine import ONE_THREAD

WORKER = Path(__file__).with_name("regression_worker.py")
BASE, HEAD = "base", "head"
ORDERS = ((BASE, HEAD, HEAD, BASE), (HEAD, BASE, BASE, HEAD))


class MeasuringError(Exception):
    """A commit could not be measured; the message says which, and why, in one line."""


class Side:
    """One of the commits: interpreters that import its build, one of them kept to train."""

    def __init__(self, name, build, cache):
        self.name = name
        self._build = build
        self._environment = {**environment_of(build, cache), **ONE_THREAD}
        self._process = None

    def restart(self):
        """Begin with a new process, whose memory lies elsewhere."""
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), str(self._build)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, **request):
        """The answer of the process that trains, which begins with the first request.

        Raises
        ------
        MeasuringError
            If it has none.
        """
        if self._process is None:
            self.restart()
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise MeasuringError(f"{self.name} ended while it was asked for {request}.")
        answer = json.loads(line)
        if "error" in answer:
            raise MeasuringError(f"{self.name}: {answer['error']}")
        return answer

    def run(self, code):
        """What a fresh interpreter prints."""
        done = subprocess.run(
            [sys.executable, "-c", code], env=self._environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise MeasuringError(f"{self.name}: {reason}")
        return done.stdout


@dataclass
class Row:
    """Something that both commits do, and the seconds that each took for it, round by round."""

    name: str
    unit: str
    rounds: list = field(default_factory=list)
    """Pairs (seconds of base, seconds of head), each the shorter of two samples."""
    first_rounds: list = field(default_factory=list)
    """Those before it was measured again."""
    missing: dict = field(default_factory=dict)
    """Why a side can't do it, by its name."""

    def measure(self, sides, order):
        """One round."""
        took = {BASE: [], HEAD: []}
        for name in order:
            took[name].append(self.sample(sides[name]))
        self.rounds.append((min(took[BASE]), min(took[HEAD])))

    def median(self, side):
        """What a side took, in the row's unit."""
        return self.in_unit(statistics.median(round[side == HEAD] for round in self.rounds))

    def look(self, side, do):
        """What do(side) gives, or None, with the reason kept, where the side can't."""
        try:
            return do(side)
        except MeasuringError as problem:
            self.missing[side.name] = str(problem)
            return None


class Trained(Row):
    """A row of the workers, see regression_worker.py."""

    seconds = 0.01
    """Of a sample, about; at least one unit of work."""
    rounds_of_process = 4
    units = 0
    """Units of work in a sample; 0 until the first processes are at hand."""

    def warm(self, side):
        """Compile what it needs."""
        if self.look(side, lambda side: side.ask(prepare=self.name)):
            side.ask(forget=self.name)

    def prepare(self, sides):
        """Make it ready on both sides, in samples of one length."""
        if self.missing:
            return
        found = [self.look(side, lambda side: side.ask(prepare=self.name)) for side in sides.values()]
        if self.missing or self.units:
            return
        self.units = 1
        while (took := self.sample(sides[BASE])) < self.seconds / 4:  # a call costs something by itself
            self.units *= 4
        self.units = max(1, round(self.units * self.seconds / took))
        self.steps = found[0]["steps"] * self.units

    def sample(self, side):
        return side.ask(train=self.name, units=self.units)["cpu"]

    def in_unit(self, seconds):
        return 1e9 * seconds / self.steps


class Started(Row):
    """What a fresh interpreter does before it trains."""

    rounds_of_process = 2

    def __init__(self, name, before, timed):
        super().__init__(name, "ms")
        self.code = f"import time\n{before}\ntook = -time.process_time()\n{timed}\n"
        self.code += "print(took + time.process_time())"

    def warm(self, side):
        """Bring what it needs from the disk, and its machine code there."""
        self.look(side, self.sample)

    def prepare(self, sides):
        """Nothing: every sample is an interpreter of its own."""

    def sample(self, side):
        return float(side.run(self.code))

    def in_unit(self, seconds):
        return 1e3 * seconds


def measure(rows, sides, n_processes, tell=lambda i: None):
    """Add rounds to the rows that both sides have, in so many new processes for each side.

    Each process takes all rows in turn, so that a bad minute falls on all of them.
    """
    for i in range(n_processes):
        tell(i)
        for side in sides.values():
            side.restart()
        for row in rows:
            row.prepare(sides)
        for turn in range(max(row.rounds_of_process for row in rows)):
            for row in rows:
                if not row.missing and turn < row.rounds_of_process:
                    row.measure(sides, ORDERS[(i + turn) % 2])


def ratio(rounds):
    """(ratio of head to base, its lower and its upper quartile): the median of the ratios of the rounds."""
    ratios = [head / base for base, head in rounds]
    low, middle, high = (
        statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    )
    return middle, low, high
