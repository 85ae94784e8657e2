"""What commands write: never over what they read, never two results into one file."""

import os
from pathlib import Path

import numpy as np
import pytest
from commands import refused, run

from numbabp.cli.process.outputs import check_outputs, is_same_file


@pytest.fixture
def table(folder):
    rows = np.random.RandomState(0).standard_normal((40, 2))
    lines = ["a,b,y", *(f"{a:.4f},{b:.4f},{'same' if a * b > 0 else 'other'}" for a, b in rows)]
    (folder / "d.csv").write_text("\n".join(lines) + "\n")
    return folder / "d.csv"


def other_spellings(path):
    """Names of the same file: plain, absolute, by way of a folder, by links to it and to its folder."""
    folder = path.parent
    (folder / "sub").mkdir()
    os.symlink(path, folder / "link.csv")
    os.symlink(folder, folder / "here")
    os.link(path, folder / "hard.csv")
    return ["d.csv", path, "./d.csv", "sub/../d.csv", "link.csv", "here/d.csv", "hard.csv"]


def test_data_is_not_replaced(table):
    before = table.read_bytes()
    for name in other_spellings(table):
        line = refused("train", "d.csv", "--target", "y", "--epochs", 1, "--output", name)
        assert f"--output {Path(name)} would replace the data (d.csv), which is read" in line
        for option in ("--output", "--networks", "--save"):
            line = refused("sweep", "d.csv", "--target", "y", "--epochs", 1, "--seeds", 2, option, name)
            assert f"{option} {Path(name)} would replace the data" in line
        assert table.read_bytes() == before


def test_neither_model_nor_data_are_replaced_by_predictions(table):
    run("train", "d.csv", "--target", "y", "--epochs", 1, "--output", "net")
    contents = {name: Path(name).read_bytes() for name in ("d.csv", "net")}
    assert "would replace the model (net)" in refused("predict", "net", "d.csv", "--output", "./net")
    assert "would replace the data (d.csv)" in refused("predict", "net", "d.csv", "--output", "./d.csv")
    assert contents == {name: Path(name).read_bytes() for name in contents}


@pytest.mark.parametrize(
    "pair", [("--output", "--networks"), ("--networks", "--save"), ("--output", "--save")]
)
def test_results_have_files_of_their_own(table, pair):
    os.symlink("r.csv", "later.csv")  # to a file that is not there yet
    for name in ("r.csv", "./r.csv", "later.csv"):
        names = dict(zip(pair, ("r.csv", name), strict=True))
        arguments = [text for item in names.items() for text in item]
        line = refused("sweep", "d.csv", "--target", "y", "--epochs", 1, "--seeds", 2, *arguments)
        assert f"{pair[1]} and {pair[0]} are the same file, {Path(name)}" in line
    assert not Path("r.csv").exists()


def test_files_that_are_checked_before_anything_is_read(folder):
    line = refused("predict", "absent", "absent.csv", "--output", "absent.csv")
    assert "would replace the data" in line
    assert "there is no folder" in refused("predict", "absent", "absent.csv", "--output", "nowhere/p.csv")


def test_same_files(folder):
    (folder / "a").touch()
    assert not is_same_file(Path("a"), Path("b"))
    assert is_same_file(Path("b"), folder / "x" / ".." / "b")
    check_outputs({"--output": Path("b"), "--plot": Path("c")}, {"the data": Path("a"), "the model": None})
    check_outputs({"--output": Path("a"), "--plot": None}, {"the data": None})
