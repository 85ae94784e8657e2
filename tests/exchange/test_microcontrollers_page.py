"""docs/microcontrollers.md: its blocks of Python, C and shell, one after the other, print what it says."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

import pytest
from c_programs import GCC
from pages import blocks

PAGE = Path(__file__).parents[2] / "docs" / "microcontrollers.md"


@pytest.mark.once
@pytest.mark.skipif(GCC is None, reason="needs gcc")
def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, printed, kinds = {}, "", []
    for kind, _, text in blocks(PAGE.read_text(encoding="utf-8")):
        if not kind:  # a piece of a file, to be read only
            continue
        kinds.append(kind)
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(text, names)
            printed = output.getvalue()
        elif kind == "c":
            Path(re.match(r"/\* (\w+\.c) \*/", text)[1]).write_text(text)
        elif kind == "sh":
            command = text.replace("gcc ", "gcc -Wall -Wextra -Werror ")
            done = subprocess.run(command, shell=True, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            printed = done.stdout
        else:
            assert printed.split() == text.split()
    assert set(kinds) == {"python", "c", "sh", "text"}
