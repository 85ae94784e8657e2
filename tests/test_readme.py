"""What README.md and docs/tour.md tell people to type does what it says."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from pages import texts_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
TOLD = r"#\s*(array\(.*?\)|True|False|-?[\d.]+)(?:$|[:,;])"
"""A comment that begins with the value of what stands before it."""


def values_told(block, names):
    """Run a block as it stands; (value, value told) of each expression whose comment begins with one."""
    found, lines = [], block.splitlines()
    for statement in ast.parse(block).body:
        told = re.search(TOLD, lines[statement.end_lineno - 1])
        if told and isinstance(statement, ast.Expr):
            code = compile(ast.Expression(statement.value), "README.md", "eval")
            found.append((eval(code, names), eval(told[1], {"array": np.array})))
        else:
            exec(compile(ast.Module([statement], []), "README.md", "exec"), names)
    return found


def test_pieces_of_python_run_and_give_what_they_say(folder, capsys):
    names, n_told = {}, 0
    for block in texts_of(README, "python"):
        for value, told in values_told(block, names):
            np.testing.assert_array_equal(value, told)
            n_told += 1
    assert n_told >= 7
    assert "Forward, layer 1" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.once
def test_pieces_of_the_tour_run(folder, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    names = {}
    for block in texts_of(TOUR, "python"):
        if 'device="cuda"' not in block:
            for value, told in values_told(block, names):
                np.testing.assert_array_equal(value, told)


def test_extras_that_are_named_are_there():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set(re.findall(r'pip install "\.\[(\w+)\]"', README + TOUR))
    assert {"plot", "test"} <= named <= set(extras)


@pytest.mark.slow
def test_commands_run_one_after_the_other(folder):
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    # this Python and the package here, whatever else is installed
    commands = folder / "bin"
    commands.mkdir()
    for name, what in (("python", ""), ("numbabp", "-m numbabp ")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {what}"$@"\n')
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    n_run = 0
    for line in "".join(texts_of(README, "console")).splitlines():
        # what is installed has been, and these are the tests
        line = re.sub(r"^pip install \S+ && ", "", line)
        if line == "pytest":
            continue
        ran = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, (line, ran.stderr)
        n_run += 1
    assert n_run == 5
    for made in ("xor.png", "training.png"):
        assert (folder / made).read_bytes().startswith(b"\x89PNG")
    assert len((folder / "predictions.csv").read_text().splitlines()) == 443


def test_it_is_short():
    assert len(README.splitlines()) <= 150
