"""What a user waits for before training: import, and the first call with a cold and with a warm cache."""

import os
import subprocess
import sys
import tempfile
import time

FIRST_CALL = """
import time, numpy as np, numbabp as nbp
net = nbp.Network((2, 10, 1), loss="binary_cross_entropy", random_state=0)
X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), [0, 1, 1, 0]
started = time.perf_counter()
net.fit(X, y, epochs=1)
print(time.perf_counter() - started)
"""


def run(code, cache=None):
    """Standard output of a fresh interpreter."""
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def seconds(code):
    """Wall time of a fresh interpreter."""
    started = time.perf_counter()
    run(code)
    return time.perf_counter() - started


class StartUp:
    """Fresh interpreters, each with a cache folder of its own."""

    timeout = 300

    def track_import(self):
        return sorted(seconds("import numbabp") - seconds("pass") for _ in range(5))[2]

    def track_import_network(self):
        return sorted(seconds("import numbabp; numbabp.Network") - seconds("pass") for _ in range(5))[2]

    def track_first_call_cold_cache(self):
        with tempfile.TemporaryDirectory() as cache:
            return float(run(FIRST_CALL, cache))

    def track_first_call_warm_cache(self):
        with tempfile.TemporaryDirectory() as cache:
            run(FIRST_CALL, cache)
            return sorted(float(run(FIRST_CALL, cache)) for _ in range(3))[1]

    track_import.unit = "s"
    track_import_network.unit = "s"
    track_first_call_cold_cache.unit = "s"
    track_first_call_warm_cache.unit = "s"
