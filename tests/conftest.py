"""What all tests share: pictures are drawn without a screen, and files go into a folder of the test's own."""

import os

import pytest

os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path
