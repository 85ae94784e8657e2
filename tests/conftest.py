"""What all tests share: pictures are drawn without a screen, and files go into a folder of the test's own."""

import os

import pytest
from workers import two_workers

os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("distributed")
    with two_workers() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def client(cluster):
    from distributed import Client

    with Client(cluster) as client:
        yield client
