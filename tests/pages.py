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
NUMBER = r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?"
NEARLY = 0.05
"""Of a number."""


class Block(NamedTuple):
    """What stands between two lines of three back-ticks."""

    language: str
    told: str
    """Further words of the first line."""
    text: str


def blocks(text: str) -> list[Block]:
    """All of a page, in their order."""
    found = re.findall(r"^```(\S*) ?([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found]


def texts_of(text: str, language: str) -> list[str]:
    """The texts of a page's blocks in a language, of which nothing further is told."""
    return [block.text for block in blocks(text) if block[:2] == (language, "")]


def check_printed(expected: str, said: str, of: str) -> None:
    """Whether what was printed is what stands there."""
    is_so = doctest.OutputChecker().check_output(expected, said, LIKE)
    assert is_so, f"{of}\nprinted\n{said}\nnot\n{expected}"


def check_nearly(expected: str, said: str, of: str) -> None:
    """Likewise, but for a part of each number."""
    check_printed(re.sub(NUMBER, "#", expected), re.sub(NUMBER, "#", said), of)
    for one, other in zip(re.findall(NUMBER, expected), re.findall(NUMBER, said), strict=True):
        # and of what is rounded to a digit, that digit
        last = 10.0 ** -len(one.partition(".")[2])
        assert abs(float(one) - float(other)) <= max(NEARLY * abs(float(one)), 1.01 * last), (of, said)


def check_program(program: str, expected: Block | None, names: dict[str, object], page: Path) -> None:
    """Run a program with the names of those before, and compare what it prints with a block of the page."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(program, str(page), "exec"), names)
    if expected is not None:
        check = check_nearly if expected.told == "nearly" else check_printed
        check(expected.text, said.getvalue(), program)


def check_commands(session: str) -> None:
    """Run commands of numbabp, each in a line that begins with a dollar.

    If anything is shown below, what they print is compared; numbers may be any, with times among them.
    """
    from typer.testing import CliRunner

    from numbabp.cli.app import app
    from numbabp.training.progress import COMPILING

    for command, expected in re.findall(r"^\$ numbabp (.*)\n((?:(?!\$ ).*\n?)*)", session, re.MULTILINE):
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, f"{command}\n{done.output}"
        said = done.output.replace(f"{COMPILING}\n", "")
        if expected.strip():
            check_printed(re.sub(NUMBER, "#", expected), re.sub(NUMBER, "#", said), command)
