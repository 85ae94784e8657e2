"""What tests of checkpoints share: slices that end anywhere, and every checkpoint that is written."""

import os
import shutil

import numpy as np

from numbabp.training import loop, population_loop
from numbabp.training.checkpoints import files, folder, keeper


def slices_end_anywhere(monkeypatch, n):
    """Let slices take any number of samples below 2 n."""

    class RandomSlices:
        def __init__(self, length):
            self._draw = np.random.RandomState(n)
            self.took(0, 0, 0)

        def took(self, done, elapsed, seconds, asked=None):
            self.length = int(self._draw.randint(1, 2 * n))

    monkeypatch.setattr(loop, "Slices", RandomSlices)
    monkeypatch.setattr(population_loop, "Slices", RandomSlices)


def all_versions(monkeypatch):
    """A list of all checkpoints written from now on, as whole files, each before training goes on."""
    written, real = [], files.write

    def write(path, identity, standing, *more):
        real(path, identity, standing, *more)
        with open(path, "rb") as file:
            written.append(file.read())

    monkeypatch.setattr(keeper.Keeper, "_start", lambda self, work: work())
    monkeypatch.setattr(files, "write", write)
    return written


def check_every_version_ends_alike(monkeypatch, path, fitted, least):
    """Let `fitted(**options)`, which tells all that counts of a run's end, go on from each checkpoint."""
    expected = fitted()
    written = all_versions(monkeypatch)
    assert fitted(checkpoint=path, checkpoint_every=0) == expected
    assert len(written) > least
    for version in written:
        path.write_bytes(version)
        assert fitted(checkpoint=path) == expected


def all_versions_of_folders(monkeypatch, path):
    """A list of all that the folder at `path` holds after each file that is written, by name."""
    written, real, asked = [], files.write, folder.Checkpoint

    def write(path_of_file, identity, standing, *more):
        real(path_of_file, identity, standing, *more)
        written.append(content_of(path))

    monkeypatch.setattr(keeper.Keeper, "_start", lambda self, work: work())
    monkeypatch.setattr(folder, "Checkpoint", lambda path, **more: asked(path, every=0.0, **more))
    monkeypatch.setattr(files, "write", write)
    return written


def content_of(path):
    """The bytes of the files of a folder, by name."""
    names = [entry.name for entry in os.scandir(path) if not entry.name.endswith(".tmp")]
    found = {}
    for name in names:
        try:
            found[name] = (path / name).read_bytes()
        except FileNotFoundError:  # another thread has done with it
            continue
    return found


def put_back(path, content):
    """Make a folder hold what it did."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, data in content.items():
        (path / name).write_bytes(data)
