"""What a user waits for before training: import, and the first call with a cold and with a warm cache."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

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
    """Fresh interpreters; a cache is cold in a new folder, and warm in the folder that this left."""

    timeout = 300
    version = "1"  # raise it when what is measured changes: asv then draws no older results

    def setup_cache(self):
        """Do nothing; for a class that has this, asv keeps one working folder, where the cache is shared."""

    def setup(self):
        self.cache = Path("numba").absolute()

    def track_import(self):
        return sorted(seconds("import numbabp") - seconds("pass") for _ in range(5))[2]

    def track_import_network(self):
        return sorted(seconds("import numbabp; numbabp.Network") - seconds("pass") for _ in range(5))[2]

    def track_first_call_cold_cache(self):
        shutil.rmtree(self.cache, ignore_errors=True)
        return float(run(FIRST_CALL, str(self.cache)))

    def track_first_call_warm_cache(self):
        if not self.cache.exists():
            run(FIRST_CALL, str(self.cache))
        return sorted(float(run(FIRST_CALL, str(self.cache))) for _ in range(3))[1]

    track_import.unit = "s"
    track_import_network.unit = "s"
    track_first_call_cold_cache.unit = "s"
    track_first_call_warm_cache.unit = "s"
