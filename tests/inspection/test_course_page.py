"""What docs/course.md shows is so."""

import re
from pathlib import Path

import pytest
from pages import texts_of

PAGE = (Path(__file__).parents[2] / "docs" / "course.md").read_text(encoding="utf-8")


@pytest.mark.once
def test_blocks_run_and_print_what_stands_there(folder, capsys):
    matplotlib = pytest.importorskip("matplotlib.pyplot")
    blocks = texts_of(PAGE, "python")
    names = {}
    exec(blocks[0], names)
    (shown,) = re.findall(r"^```text\n\.\.\.\n(.*?)\n\.\.\.\n```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown in capsys.readouterr().out
    values = [(line.partition("#")[0], line) for line in blocks[1].splitlines()]
    for expression, line in values[:-1]:
        told = re.search(r"# (\[?[(][^:a-z]*[)]\]?)", line)[1]
        assert str(eval(expression, names)) == told
    assert eval(values[-1][0], names) < 1e-7
    exec(blocks[2].replace('writer="pillow")', 'writer="pillow", dpi=9)'), names)  # smaller, and soon done
    assert Path("weights.gif").read_bytes().startswith(b"GIF")
    matplotlib.close("all")


def test_every_function_is_in_the_table():
    from numbabp import plotting

    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {*rows, "Recorder"} == set(plotting.__all__)
