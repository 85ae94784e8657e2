"""How the package is built: who imports whom, without circles, and how large its parts may be.

docs/architecture.md tells the order of the layers, which is read from there.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from house import Package

ROOT = Path(__file__).parents[1]
LAYERS = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

MOST_MODULES_A_FOLDER = 14
MOST_LINES_A_FILE = 520
MOST_PARAMETERS = 8
MOST_WIDE_FUNCTIONS = 13
"""Which have more than `MOST_PARAMETERS`: what users call, and kernels."""
MOST_PRIVATE_ACCESSES = 15
WHERE_KERNELS_ARE_TOLD_APART = ("numbabp/planning/catalogue.py", "numbabp/training/engines/")


def ranks(text: str) -> dict[str, int]:
    """Number of the line, from below, by package or module, in the table of layers."""
    table = re.search(r"^```layers\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert table is not None
    lines = table[1].splitlines()
    return {room: rank for rank, line in enumerate(reversed(lines)) for room in line.split()}


def check_layers(package: Package, rank: dict[str, int]) -> None:
    """Each module imports its own package's and what stands on a line below."""
    check_none(
        f"{i.importer.path}:{i.line} ({i.importer.room}, layer {rank[i.importer.room]}) imports "
        f"{i.imported.path} ({i.imported.room}, layer {rank[i.imported.room]})"
        for i in package.imports
        if i.importer.room != i.imported.room and rank[i.importer.room] <= rank[i.imported.room]
    )


def check_circles(package: Package) -> None:
    """No modules import each other, however far around."""
    around = " -> ".join(package.a_circle())
    check_none(f"{path}, in a circle such as {around}" for path in package.in_circles())


def check_folders(package: Package) -> None:
    found = package.modules_by_folder().items()
    check_none(f"{name} has {n} modules" for name, n in found if n > MOST_MODULES_A_FOLDER)


def check_lengths(package: Package) -> None:
    lengths = ((module.path, module.n_lines) for module in package.modules.values())
    check_none(f"{path} has {n} lines" for path, n in lengths if n > MOST_LINES_A_FILE)


def check_kernels(package: Package) -> None:
    """Kernels are told apart by name in few places."""
    check_none(package.comparisons_of_kernels(WHERE_KERNELS_ARE_TOLD_APART))


def check_none(found: Iterable[str]) -> None:
    check_number(list(found), 0)


def check_number(found: list[str], most: int) -> None:
    assert len(found) <= most, "\n".join([f"{len(found)}, {most} at most:", *sorted(found)])


@pytest.fixture(scope="module")
def package():
    return Package.read(ROOT / "numbabp")


def test_every_module_has_a_layer(package):
    assert {module.room for module in package.modules.values()} <= set(ranks(LAYERS))


def test_imports_run_downward(package):
    check_layers(package, ranks(LAYERS))


def test_no_modules_import_each_other(package):
    check_circles(package)


def test_folders_have_few_modules(package):
    check_folders(package)


def test_files_are_short(package):
    check_lengths(package)


def test_few_functions_have_many_parameters(package):
    check_number(package.wide_functions(MOST_PARAMETERS), MOST_WIDE_FUNCTIONS)


def test_few_reach_into_private_parts(package):
    check_number(package.private_accesses(), MOST_PRIVATE_ACCESSES)


def test_kernels_are_told_apart_in_few_places(package):
    check_kernels(package)


def test_arrays_in_registers_belong_to_kernels(package):
    """One that a helper made and returned trained wrongly on a card, and rightly in the simulator."""
    check_none(package.arrays_that_do_not_last())


# Each of these checks can fail.


def built(folder: Path, **texts: str) -> Package:
    """A package of such files, named as in numbabp, with __ for a slash."""
    for name, text in texts.items():
        path = folder / "numbabp" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
        (folder / "numbabp" / "__init__.py").touch()
    return Package.read(folder / "numbabp")


RANK = {"__init__": 2, "upper": 1, "lower": 0, "beside": 0}


@pytest.mark.parametrize(
    "text",
    [
        "from ..upper.a import b",
        "from ..upper import a",
        "from .. import upper",
        "from numbabp.upper.a import b",
        "import numbabp.upper.a",
        "import numbabp.upper.a as a",
        "def f():\n    from ..upper.a import b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..upper.a import b",
        "from .. import __version__",
        "from ..beside import c",
    ],
)
def test_an_import_upward_or_sideways_is_found(tmp_path, text):
    package = built(tmp_path, upper__a="b = 1", lower__low=text, beside__c="")
    target = "beside" if "beside" in text else "__init__" if "version" in text else "upper"
    line = text.count("\n") + 1
    message = (
        rf"numbabp/lower/low.py:{line} \(lower, layer 0\) imports \S+ \({target}, layer {RANK[target]}\)"
    )
    with pytest.raises(AssertionError, match=message):
        check_layers(package, RANK)


def test_imports_downward_and_within_a_package_are_allowed(tmp_path):
    texts = {
        "lower__a": "from . import b\nimport numpy",
        "lower__b": "",
        "upper__c": "from ..lower.a import b",
    }
    check_layers(built(tmp_path, **texts), RANK)


@pytest.mark.parametrize("second", ["from .c import x", "def f():\n    from . import c"])
def test_a_circle_is_found(tmp_path, second):
    texts = {"lower__a": "from .b import x", "lower__b": second, "lower__c": "import numbabp.lower.a"}
    package = built(tmp_path, lower__d="from . import a", **texts)
    assert package.in_circles() == {f"numbabp/lower/{name}.py" for name in "abc"}
    a, b, c = (rf"numbabp/lower/{name}\.py" for name in "abc")
    with pytest.raises(AssertionError, match=f"{a} -> {b} -> {c}|{b} -> {c} -> {a}|{c} -> {a} -> {b}"):
        check_circles(package)


def test_a_full_folder_and_a_long_file_are_found(tmp_path):
    texts = {f"lower__m{i}": "" for i in range(MOST_MODULES_A_FOLDER)}
    package = built(tmp_path, upper__long="\n" * MOST_LINES_A_FILE, **texts)
    check_folders(package)
    check_lengths(package)
    package = built(tmp_path, lower__one_more="", upper__long="\n" * (MOST_LINES_A_FILE + 1))
    with pytest.raises(AssertionError, match="numbabp/lower has 15 modules"):
        check_folders(package)
    with pytest.raises(AssertionError, match=r"numbabp/upper/long.py has 521 lines"):
        check_lengths(package)


def test_wide_functions_are_found(tmp_path):
    text = "class A:\n    def f(self, b, c, /, d, e, *f, g, h, i{}, **k):\n        def g(*a, b): pass"
    assert not built(tmp_path, lower__a=text.format("")).wide_functions(8)
    assert built(tmp_path, lower__a=text.format(", j")).wide_functions(8) == ["numbabp/lower/a.py f"]


def test_an_array_in_registers_that_does_not_last_is_found(tmp_path):
    text = "@{}\ndef f():\n    a = cuda.local.array(3, number)\n    return a\n"
    wrong, right = text.format("scalar_function"), text.format("kernel(max_registers=9)")
    package = built(tmp_path, one=wrong, two=right)
    assert package.arrays_that_do_not_last() == ["numbabp/one.py:3 f"]


def test_private_accesses_are_found(tmp_path):
    text = """
import numpy as np
from . import b
from .b import C
class A(C):
    def f(self, other):
        super()._f(self._x, b._y, np._z, other._replace(x=1), other.__class__)
        other.x._f(C._y)
        self.x._g = other._z
"""
    found = built(tmp_path, lower__a=text, lower__b="").private_accesses()
    assert {access.partition(" ")[2] for access in found} == {"other.x._f", "C._y", "self.x._g", "other._z"}


@pytest.mark.parametrize(
    "text", ['k == "tiny"', '"tiny" != k', 'k in ("a", "tiny")', 'k not in {"tiny"}', "match"]
)
def test_comparisons_of_kernels_are_found(tmp_path, text):
    if text == "match":
        text = 'match k:\n    case "tiny" | "other": pass'
    package = built(tmp_path, planning__catalogue=text, training__engines__a=text, lower__a='k == "other"')
    check_kernels(package)
    with pytest.raises(AssertionError, match=r"numbabp/planning/planner.py .*tiny"):
        check_kernels(built(tmp_path, planning__planner=text))


def test_more_than_the_most_is_told():
    check_number(["a", "b"], 2)
    with pytest.raises(AssertionError, match=r"2, 1 at most:\n\s*a\n\s*b"):
        check_number(["b", "a"], 1)
