"""The examples of docs/commands.md print what stands there."""

import re
import shlex
from pathlib import Path

from pages import texts_of
from typer.testing import CliRunner

from numbabp.cli.app import app
from numbabp.training.progress import COMPILING

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
EXAMPLES = texts_of(PAGE, "console")


def essence(text):
    """Lines but for blank ones, the widths of columns, and the last digits and times of other machines."""
    text = re.sub(r"-?\d+(,\d{3})*(\.\d+)?(e-?\d+)?", "#", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [re.sub("─+", "─", line) for line in lines if line]


def test_examples(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    names = {}
    for program in texts_of(PAGE, "python"):
        exec(program, names)
    n_run = 0
    for example in EXAMPLES:
        command, shown = example.split("\n", 1)
        assert command.startswith("$ numbabp ")
        printed = CliRunner().invoke(app, shlex.split(command)[2:]).output.replace(f"{COMPILING}\n", "")
        assert essence(printed) == essence(shown), command
        n_run += 1
    assert n_run >= 6
    shown = next(example for example in EXAMPLES if "evaluate flowers.net" in example)
    accuracy = float(re.search(r"accuracy +(\d\.\d+)", shown)[1])
    assert f"{accuracy:.4g}" in CliRunner().invoke(app, ["evaluate", "flowers.net", "later.csv"]).output
