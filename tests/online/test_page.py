"""The programs in docs/online.md print what stands below them."""

import contextlib
import io
import re
from pathlib import Path

import numba
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "online.md"


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="takes minutes")
def test_programs_print_what_the_page_says():
    text = PAGE.read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(programs) == text.count("```python") == 5
    names = {"__name__": "page"}
    for program, expected in programs:  # each goes on from those above
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(program, str(PAGE), "exec"), names)
        assert said.getvalue() == expected
