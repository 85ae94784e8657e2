"""The tutorials run as they stand, and print what stands below their programs."""

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numba
import pytest
from pages import Block, blocks, check_commands, check_printed, check_program

import numbabp as nbp

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [DOCS / "index.md", DOCS / "formulas.md", *sorted((DOCS / "tutorials").glob("*.md"))]
NEEDS = {
    "index": ["matplotlib"],
    "learner": ["matplotlib"],
    "table": ["pandas"],
    "stream": ["river"],
    "research": ["pandas"],
}
ON_A_CARD, ELSEWHERE = "# on a card\n", "# in the changed copy\n"
"""First lines of programs that not every machine, or not this process, runs."""


def has_card() -> bool:
    try:
        nbp.Network((2, 2, 1)).plan(4, device="cuda")
    except RuntimeError:
        return False
    return True


def is_left_out(program: str) -> bool:
    return program.startswith(ELSEWHERE) or (program.startswith(ON_A_CARD) and not has_card())


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="takes minutes")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_programs_print_what_the_page_says(page, folder, monkeypatch):
    for module in NEEDS.get(page.stem, []):
        pytest.importorskip(module)
    monkeypatch.setenv("COLUMNS", "100")
    found = [*blocks(page.read_text(encoding="utf-8")), Block("", "", "")]
    names = {"__name__": "page"}
    for block, after in pairwise(found):
        if block.language == "console":
            check_commands(block.text)
        elif block.language == "python" and not is_left_out(block.text):
            check_program(block.text, after if after.language == "text" else None, names, page)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def test_there_is_a_tutorial_for_each_user():
    index = blocks((DOCS / "tutorials" / "index.md").read_text(encoding="utf-8"))[-1].text
    assert sorted(index.split()[2:]) == sorted(page.stem for page in PAGES[2:] if page.stem != "index")


def test_an_activation_is_added_as_the_tutorial_says(tmp_path):
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git")
    found = blocks((DOCS / "tutorials" / "contribute.md").read_text(encoding="utf-8"))
    shutil.copytree(ROOT / "numbabp", tmp_path / "numbabp", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "reference.py", tmp_path / "tests")
    edits = "".join(block.text for block in found if block.language == "diff")
    subprocess.run([git, "apply", "-"], cwd=tmp_path, input=edits, text=True, check=True)
    (place,) = (n for n, block in enumerate(found) if block.text.startswith(ELSEWHERE))
    (tmp_path / "check.py").write_text(found[place].text)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "check.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    check_printed(found[place + 1].text, done.stdout, "check.py")


def test_what_is_not_printed_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n```python\nx = 2.04\nprint(x, 'b')\n```\n\n```text nearly\n2 b\n```\n")
    program, expected = blocks(page.read_text(encoding="utf-8"))
    check_program(program.text, expected, {}, page)
    check_program(program.text, Block("text", "", "2.0... b"), {}, page)
    for told, text in (("", "2 b"), ("nearly", "2.5 b"), ("nearly", "2 c")):
        with pytest.raises(AssertionError):
            check_program(program.text, Block("text", told, text), {}, page)
    with pytest.raises(AssertionError, match="no_such"):
        check_commands("$ numbabp no_such_command\n")
