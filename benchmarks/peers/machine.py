"""Where it was measured, and that it was on one thread."""

import datetime
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
"""Libraries read these while they are imported: the program starts itself anew with them."""

PACKAGES = ("numba", "numpy", "scipy", "scikit-learn", "jax", "jaxlib", "torch")


def on_one_thread():
    """Start this program again with one thread for every library, unless that is so already."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def check_threads():
    """Raise if some BLAS or OpenMP that is loaded would use more threads."""
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["num_threads"] != 1:
            raise SystemExit(f"{library['filepath']} uses {library['num_threads']} threads.")


def environment():
    """Machine, versions and date, as text."""
    import numbabp  # not before the threads are set

    found = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "threads": "1",
        "python": platform.python_version(),
        "numbabp": numbabp.__version__,
    }
    for package in PACKAGES:
        found[package] = _version(package)
    found["gcc"] = _output("gcc", "-dumpfullversion") or "not installed"
    found["fann"] = _output("pkg-config", "--modversion", "fann") or "unknown"
    found["vw"] = _output("vw", "--version") or _version("vowpalwabbit")
    return found


def processor():
    """Its name, and what tells apart those that hypervisors call alike."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())
    }
    name = re.sub(r"\s+", " ", fields.get("model name", platform.machine()))
    flags = fields.get("flags", "").split()
    widest = next((flag for flag in ("avx512f", "avx2", "avx", "sse2") if flag in flags), "")
    parts = [f"family {fields['cpu family']} model {fields['model']}"] if "cpu family" in fields else []
    return ", ".join([name, *parts, *([widest] if widest else [])])


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _output(*command):
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None
