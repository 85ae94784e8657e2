"""What checkpoints cost: python benchmarks/checkpoints.py [--rounds 3] [--seconds 10]

Each task is trained with and without, in turn, on one thread, and with a checkpoint every second instead of
every 30, so that there is something to see: what one costs is the difference of the medians by the number of
checkpoints, and that by 30 s the share of a run at the default interval. Seconds are of a processor, those of
the thread that writes included, so that other work on the machine does not count. Beside it the longest time,
by the clock, that training waited for a checkpoint, the last one apart.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numbabp as nbp
from numbabp.training.checkpoints import keeper

EVERY, DEFAULT = 1.0, 30.0
"""Seconds between checkpoints: here, and `fit`'s own."""


@dataclass
class Task:
    """A run: `model` makes what is trained, `options` are `fit`'s."""

    name: str
    model: Callable[[], Any]
    sizes: tuple[int, ...]
    n_samples: int
    options: dict[str, Any]

    def fit(self, epochs: int, **checkpoint: Any) -> tuple[float, float]:
        """A processor's seconds of a run, and those by the clock."""
        generator = np.random.RandomState(0)
        X = generator.rand(self.n_samples, self.sizes[0]).astype("float32")
        Y = np.eye(self.sizes[-1], dtype="float32")[generator.randint(self.sizes[-1], size=self.n_samples)]
        model = self.model()
        begun, started = time.process_time(), time.perf_counter()
        model.fit(X, Y, epochs=epochs, n_threads=1, **self.options, **checkpoint)
        return time.process_time() - begun, time.perf_counter() - started


def network(sizes: tuple[int, ...], n_samples: int, **options: Any) -> Task:
    """A network alone."""
    name = f"{'-'.join(map(str, sizes))}, {options.get('update_rule', 'sgd')}"
    return Task(name, lambda: nbp.Network(sizes, dtype="float32", random_state=0), sizes, n_samples, options)


TASKS = (
    network((784, 512, 10), 2000, learning_rate=0.01),
    network((784, 512, 10), 500, learning_rate=0.001, update_rule="adam"),
    network((2000, 2400, 2700, 10), 64, learning_rate=1e-5, update_rule="adam"),
    Task(
        "65,536 x 2-10-1, sgd",
        lambda: nbp.Population((2, 10, 1), 65536, dtype="float32", random_state=0),
        (2, 10, 1),
        64,
        {"learning_rate": 0.05},
    ),
)


PAUSES: list[float] = []
"""Seconds of each look at whether it is time for a checkpoint, while training waits."""


def watched(look: Callable[..., None]) -> Callable[..., None]:
    """`Keeper.look`, and a note of how long it took."""

    def noted(*arguments: Any) -> None:
        started = time.perf_counter()
        look(*arguments)
        PAUSES.append(time.perf_counter() - started)

    return noted


def measure(task: Task, rounds: int, seconds: float) -> str:
    """A row of the table."""
    task.fit(1)
    epochs = max(1, round(seconds / min(task.fit(1), task.fit(1))[0]))
    without, kept, counts, sizes = [], [], [], []
    PAUSES.clear()
    for turn in range(rounds):
        for is_kept in (True, False) if turn % 2 else (False, True):
            if not is_kept:
                without.append(task.fit(epochs)[0])
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "run"
                took, by_clock = task.fit(epochs, checkpoint=path, checkpoint_every=EVERY)
                kept.append(took)
                counts.append(by_clock / EVERY)
                sizes.append(path.stat().st_size)
    plain, took = statistics.median(without), statistics.median(kept)
    each = (took - plain) / statistics.median(counts)
    cells = (plain, max(without) - min(without), took, sizes[0] / 1e6, 1e3 * each)
    share = f"{100 * each / DEFAULT:.3f} %"
    return " | ".join(
        ["", task.name, *(f"{cell:.2f}" for cell in cells), share, f"{1e3 * max(PAUSES):.1f}", ""]
    ).strip()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a run (%(default)s)")
    arguments = parser.parse_args()
    keeper.Keeper.look = watched(keeper.Keeper.look)  # type: ignore[method-assign]
    columns = "run | s without | spread | s with | MB | ms each | every 30 s | longest pause, ms"
    print(f"| {columns} |\n|---|{'---:|' * columns.count('|')}")
    for task in TASKS:
        print(measure(task, arguments.rounds, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()
