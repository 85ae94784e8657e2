"""Results of benchmarks as files of JSON, with where they come from."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import tempfile
from pathlib import Path

from benchmarks.peers.machine import processor

PACKAGES = ("numba", "llvmlite", "numpy", "scipy", "scikit-learn", "numba-cuda")


def where_and_with():
    """Machine, versions and date."""
    found = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def output_file(text):
    """A command line's argument that names a file to write."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must name a file in a folder that exists, got {text}")
    return path


def write_json(path, value):
    """Write a file whole or not at all.

    Not by the package's own function: the package that is measured may be older than that.
    """
    path = Path(path)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise
