"""Programs in pages of documentation, and what they print."""

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path
from typing import NamedTuple

LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
"""Three points are anything, and spaces are as good as one."""


class Block(NamedTuple):
    """What stands between two lines of three back-ticks."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    return [Block(*found) for found in re.findall(r"^```(\S*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def check_printed(expected: str, said: str, of: str) -> None:
    """Whether what was printed is what stands there."""
    assert doctest.OutputChecker().check_output(expected, said, LIKE), (
        f"{of}\nprinted\n{said}\nnot\n{expected}"
    )


def check_program(program: str, expected: str | None, names: dict[str, object], page: Path) -> None:
    """Run a program with the names of those before, and compare what it prints where the page says so."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(program, str(page), "exec"), names)
    if expected is not None:
        check_printed(expected, said.getvalue(), program)


def check_commands(session: str) -> None:
    """Run commands of numbabp, each in a line that begins with a dollar, and compare what they print."""
    from typer.testing import CliRunner

    from numbabp.cli.app import app
    from numbabp.training.progress import COMPILING

    for command, expected in re.findall(r"^\$ numbabp (.*)\n((?:(?!\$ ).*\n?)*)", session, re.MULTILINE):
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, f"{command}\n{done.output}"
        check_printed(expected, done.output.replace(f"{COMPILING}\n", ""), command)
