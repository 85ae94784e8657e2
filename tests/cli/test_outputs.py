"""What commands write: never over what they read, never two results into one file."""

import csv
import io
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import refused, run, signalled, without_compiling

import numbabp as nbp
from numbabp.cli.process.outputs import check_outputs, is_same_file
from numbabp.data.table_files import csv_text


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


def test_a_dash_is_no_name_of_a_file(table):
    """Where standard output is not offered."""
    for option in ("--output", "--checkpoint"):
        line = refused("train", "d.csv", "--target", "y", option, "-")
        assert line == f"numbabp: {option} - is standard output, which is not offered here; name a file."
    for option in ("--output", "--networks", "--save", "--checkpoint"):
        assert f"{option} - is standard" in refused("sweep", "d.csv", "--target", "y", option, "-")
    for command in ("train", "sweep"):
        refused(command, "d.csv", "--target", "y", "--plot", "-")
    refused("evaluate", "net", "d.csv", "--plot", "-")
    assert os.listdir() == ["d.csv"]


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


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell redirects streams")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict net - --output d.csv < d.csv", "--output d.csv would replace the data (-), which is read"),
        (
            "predict net /dev/stdin --output d.csv < d.csv",
            "would replace the data (/dev/stdin)",
        ),
        ("predict net d.csv >> d.csv", "standard output goes into the data (d.csv), which is read"),
        (
            "train d.csv --target y --output log > log",
            "--output log is the file that standard output",
        ),
        ("evaluate net d.csv --json log > log", "--json log is the file that standard output goes into"),
        ("demo xor --plot a.png > a.png", "--plot a.png is the file that standard output goes into"),
    ],
)
def test_standard_streams_are_files_too(table, command, message):
    if "--plot" in command:
        pytest.importorskip("matplotlib")
    before = table.read_bytes()
    program = f"{shlex.quote(sys.executable)} -m numbabp {command}"
    done = subprocess.run(["sh", "-c", program], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert table.read_bytes() == before


def test_checkpoints_replace_nothing(table):
    before = table.read_bytes()
    for name in other_spellings(table):
        line = refused("train", "d.csv", "--target", "y", "--epochs", 1, "--checkpoint", name)
        assert f"--checkpoint {Path(name)} would replace the data (d.csv), which is read" in line
    for option, name in (("--output", "new"), ("--plot", "new.png")):
        pytest.importorskip("matplotlib")
        line = refused("train", "d.csv", "--target", "y", option, name, "--checkpoint", f"./{name}")
        assert "are the same file" in line
    assert table.read_bytes() == before
    assert not Path("new").exists()


def test_formulas_are_escaped_where_that_is_asked_for(folder):
    rows = "".join(f"{x},{'=1+1' if x < 0 else '-2'}\n" for x in np.linspace(-1, 1, 41) if x)
    (folder / "d.csv").write_text("x,@kind\n" + rows)
    run("train", "d.csv", "--target", "@kind", "--epochs", 30, "--output", "net")
    plain = run("predict", "net", "d.csv").stdout.splitlines()
    assert plain[0] == "@kind,P(-2),P(=1+1)"
    assert plain[1].startswith("=1+1,")
    escaped = run("predict", "net", "d.csv", "--escape-formulas").stdout.splitlines()
    assert escaped[0] == "'@kind,P(-2),P(=1+1)"
    assert escaped[1] == "'" + plain[1]
    assert escaped[-1] == plain[-1]  # -2 is a number
    run("predict", "net", "d.csv", "--escape-formulas", "--output", "p.csv")
    assert (folder / "p.csv").read_text().splitlines() == escaped
    # predicted numbers below zero, and what has such names
    (folder / "n.csv").write_text("x,+y\n" + "".join(f"{x},{-x}\n" for x in range(1, 40)))
    run("train", "n.csv", "--target", "+y", "--epochs", 30, "--output", "net")
    escaped = run("predict", "net", "n.csv", "--escape-formulas").stdout.splitlines()
    assert escaped[0] == "'+y"
    assert float(escaped[-1]) < 0
    options = ("--dataset", "iris", "--hidden", 3, "--seeds", 2, "--epochs", 1)
    for option in ((), ("--escape-formulas",)):
        run("sweep", *options, *option, "--output", "s.csv", "--networks", f"n{len(option)}.csv")
    assert (folder / "n0.csv").read_bytes() == (folder / "n1.csv").read_bytes()


def test_what_is_a_formula():
    cells = ["=a", "+a", "-a", "@a", "\ta", "\ra", "-1+2", "-", "=1"]
    text = io.StringIO(csv_text(cells, [], True), newline="")
    assert next(csv.reader(text)) == ["'" + cell for cell in cells]
    kept = ["a=1", "", "-1", "+1.5e-3", "-.5", "1", "'=a", -1, -0.5, None, True]
    assert csv_text(kept, [kept], True) == csv_text(kept, [kept])


def test_carriage_returns_are_in_quotes():
    rows = [["a\rb", 1], ["c", 2]]
    text = csv_text(["x", "y\r"], rows)
    assert text == '"x","y\r"\n"a\rb",1\nc,2\n'


def vanishing(of, monkeypatch):
    """Let the folder `out` vanish while a class's `fit` is under way."""
    (Path() / "out").mkdir()
    really = of.fit

    def fit(*arguments, **options):
        result = really(*arguments, **options)
        shutil.rmtree("out", ignore_errors=True)
        return result

    monkeypatch.setattr(of, "fit", fit)


def test_a_model_whose_folder_vanishes_is_saved_elsewhere(folder, monkeypatch):
    vanishing(nbp.Network, monkeypatch)
    (folder / "net.model").write_text("mine")
    result = run("train", "--dataset", "iris", "--epochs", 1, "--output", "out/net.model", status=2)
    line = "numbabp: out/net.model: No such file or directory; the model is saved to net-2.model."
    assert without_compiling(result.stderr).splitlines()[-1] == line
    assert "training accuracy" in result.stdout
    assert "saved to" not in result.stdout
    assert nbp.load("net-2.model").network.layer_sizes == (4, 100, 3)
    assert (folder / "net.model").read_text() == "mine"


def test_a_sweep_writes_and_prints_what_it_can(folder, monkeypatch):
    vanishing(nbp.Population, monkeypatch)
    options = ("--dataset", "iris", "--hidden", 3, "--seeds", 2, "--epochs", 1)
    files = ("--output", "out/s.csv", "--networks", "n.csv", "--save", "out/net")
    result = run("sweep", *options, *files, status=2)
    lines = without_compiling(result.stderr).splitlines()
    assert lines == ["networks written to n.csv", f"numbabp: {folder}/out/s.csv: No such file or directory"]
    assert "2 networks" in result.stdout
    assert nbp.load("net").network.layer_sizes == (4, 3, 3)


def test_a_checkpoint_that_cant_be_written_is_told_in_a_line(folder):
    fails = """
from numbabp.training.checkpoints import files

def write(path, *others):
    raise OSError(28, "No space left on device", path)

files.write = write
"""
    command = (
        "train",
        "--dataset",
        "iris",
        "--epochs",
        1,
        "--no-baselines",
        "--checkpoint",
        "run",
        "--output",
        "net",
    )
    status, output, errors = signalled(0, fails, *command)
    assert status == 0
    assert "saved to net" in output
    assert errors.startswith("numbabp: warning: a checkpoint could not be written to ")
    assert "No space left on device" in errors
    assert errors.count("\n") == 1


def test_a_dash_is_standard_output(table):
    run("train", "d.csv", "--target", "y", "--epochs", 1, "--output", "net")
    printed = run("predict", "net", "d.csv").stdout
    assert run("predict", "net", "d.csv", "--output", "-").stdout == printed
    assert not Path("-").exists()
