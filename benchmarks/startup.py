"""What a first-time user waits for: the import, and the first call with and without kernels on disk."""

import os
import subprocess
import sys
import tempfile
import time

FIRST_CALL = """
import numbabp as nbp
network = nbp.Network((2, 10, 1), loss="binary_cross_entropy", random_state=0)
network.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=10, progress=False)
"""


def seconds(code, cache):
    """Time of a new interpreter that runs `code` with its compiled kernels in the folder `cache`."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "NUMBA_CACHE_DIR": cache})
    return time.perf_counter() - started


def best_difference(code, empty, cache, calls=5):
    """Least time of `code` less least time of `empty`, run in turn."""
    times = [(seconds(code, cache), seconds(empty, cache)) for _ in range(calls)]
    return min(a for a, _ in times) - min(b for _, b in times)


class Import:
    """Added to an empty interpreter."""

    unit = "seconds"

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self):
        self.folder.cleanup()

    def track_import(self):
        return best_difference("import numbabp", "", self.folder.name)

    def track_import_network(self):
        return best_difference("import numbabp; numbabp.Network", "", self.folder.name)


class FirstCall:
    """A whole process that trains a 2-10-1 network for ten epochs."""

    unit = "seconds"
    timeout = 300

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self):
        self.folder.cleanup()

    def track_cold_cache(self):
        return seconds(FIRST_CALL, self.folder.name)

    def track_warm_cache(self):
        seconds(FIRST_CALL, self.folder.name)
        return min(seconds(FIRST_CALL, self.folder.name) for _ in range(3))
