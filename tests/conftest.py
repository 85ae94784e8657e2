"""What all tests share: pictures are drawn without a screen, and files go into a folder of the test's own."""

import os

import pytest

os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_workers():
    """Of one thread each, in processes of their own."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    )


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
