"""How time is taken: by the device's events and by the wall clock, within a budget."""

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from numbabp.devices import memory


class Budget:
    """Seconds that are left of those given."""

    def __init__(self, seconds):
        self.end = time.perf_counter() + seconds

    def left(self):
        return self.end - time.perf_counter()


def wall_seconds(function, *arguments):
    """Seconds until a function has returned and the device has done what it started."""
    memory.synchronize()
    started = time.perf_counter()
    function(*arguments)
    memory.synchronize()
    return time.perf_counter() - started


def event_seconds(function):
    """Seconds between two events on the current stream around a call; in the simulator the wall clock's."""
    if memory.is_simulated():
        return wall_seconds(function)
    import cupy

    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    memory.synchronize()
    start.record()
    function()
    end.record()
    end.synchronize()
    return cupy.cuda.get_elapsed_time(start, end) / 1e3


@dataclass
class Launches:
    """Kernels that were started by `memory.launch` within `watched_launches`."""

    pairs: list = field(default_factory=list, repr=False)
    n: int = 0
    n_captured: int = 0
    """While a graph was recorded: when these run can't be told by events here."""
    seconds: float = 0.0
    """That they ran, all together."""


@contextmanager
def watched_launches():
    """Let the device tell when each kernel begins and ends.

    Every name in the package that stands for `memory.launch` is replaced while the context lasts.
    """
    original, found = memory.launch, Launches()

    def launch(*arguments, **options):
        found.n += 1
        if memory.is_simulated():
            started = time.perf_counter()
            original(*arguments, **options)
            found.seconds += time.perf_counter() - started
            return
        import cupy

        stream = cupy.cuda.get_current_stream()
        if stream.is_capturing():
            found.n_captured += 1
            original(*arguments, **options)
            return
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record(stream)
        original(*arguments, **options)
        end.record(stream)
        found.pairs.append((start, end))

    places = [
        (module, name)
        for key, module in list(sys.modules.items())
        if key.partition(".")[0] == "numbabp"
        for name, value in vars(module).items()
        if value is original
    ]
    try:
        for module, name in places:
            setattr(module, name, launch)
        yield found
    finally:
        for module, name in places:
            setattr(module, name, original)
    memory.synchronize()
    for start, end in found.pairs:
        import cupy

        found.seconds += cupy.cuda.get_elapsed_time(start, end) / 1e3


def epochs_for(function, seconds):
    """Epochs for which `function(epochs)` takes about so long; it has run, and compiled, by then."""
    function(1)
    epochs, taken = 1, wall_seconds(function, 1)
    while taken < seconds / 4:
        epochs = max(epochs + 1, min(8 * epochs, round(epochs * seconds / 2 / max(taken, 1e-6))))
        taken = wall_seconds(function, epochs)
    return max(1, round(epochs * seconds / taken))
