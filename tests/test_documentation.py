"""What pages, comments and programs in strings name is there, and what docs/architecture.md shows is so."""

import ast
import builtins
import inspect
import re
from pathlib import Path

import pytest
import reference
from house import Package
from pages import texts_of

import numbabp
from numbabp.planning import catalogue

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *(page for folder in ("docs", "docs/tutorials") for page in sorted((ROOT / folder).glob("*.md"))),
]
FOLDERS = "numbabp|tests|benchmarks|examples|docs"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
OF_NO_PACKAGE = ("test_house.py", "test_documentation.py")
"""Tests of trees that are made up."""
SOURCES = sorted(
    path
    for folder in ("numbabp", "tests", "benchmarks", "examples")
    for pattern in ("*.py", "*.ipynb", "*.md")
    for path in (ROOT / folder).rglob(pattern)
    if path.name not in OF_NO_PACKAGE
)


def missing_paths(text: str) -> list[str]:
    """Paths from the root of the repository that a text names and that are not there; * is anything."""
    named = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./*-]*[\w/*]", text)
    return [path for path in named if not any(ROOT.glob(path.rstrip("/")))]


def missing_links(page: Path) -> list[str]:
    """Files beside a page, to which it has links, that are not there."""
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in links if not (page.parent / link).exists()]


def missing_names(text: str, package: Package) -> list[str]:
    """Modules of the package and names in them that a text names, as numbabp.a.b, and that are not there."""
    named = re.findall(r"(?<![\w./@-])numbabp(?:\.(?!__)[a-zA-Z_]\w*)+(?![\w-])", text)
    imports = re.findall(r"\bfrom (numbabp[\w.]*) import (?:\(([^)]*)\)|([\w, ]+))", text)
    for module, in_parentheses, in_line in imports:
        names = filter(None, map(str.strip, (in_parentheses or in_line).split(",")))
        named += [f"{module}.{name.split()[0]}" for name in names if name[0] != "#"]
    return [name for name in dict.fromkeys(named) if not is_there(name.split("."), package)]


def is_there(parts: list[str], package: Package) -> bool:
    """Whether they name a module, or something that the module defines or brings along."""
    n = next(n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in package.modules)
    if n == len(parts):
        return True
    module = package.modules[".".join(parts[:n])]
    return parts[n] in names_in(module.tree)


def names_in(tree: ast.Module) -> set[str]:
    """What a module defines or imports at its top level, for type checkers, too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def undefined(text: str) -> list[str]:
    """Names that a page's blocks of Python use before one of them, or Python itself, defines them."""
    known, missing = set(dir(builtins)), []
    for block in texts_of(text, "python"):
        for statement in ast.parse(block).body:
            names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
            known |= names_in(statement) if isinstance(statement, ast.Import | ast.ImportFrom) else set()
            known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
            if isinstance(statement, ast.FunctionDef):
                known |= {statement.name, *(argument.arg for argument in statement.args.args)}
            missing += [node.id for node in names if node.id not in known]
    return list(dict.fromkeys(missing))


def functions_shown(text: str) -> dict[str, str]:
    """Functions in a page's blocks of Python, by name."""
    blocks = texts_of(text, "python")
    return {
        node.name: ast.get_source_segment(block, node)
        for block in blocks
        for node in ast.parse(block).body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.fixture(scope="module")
def package():
    return Package.read(ROOT / "numbabp")


def rooms_shown(text: str) -> set[str]:
    """Packages and root modules in the page's tree."""
    tree = re.search(r"^```tree\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert tree is not None
    return {line.split()[0].removesuffix("/").removesuffix(".py") for line in tree[1].splitlines()[1:]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_are_there(page):
    assert not missing_paths(page.read_text(encoding="utf-8"))
    assert not missing_links(page)


def test_modules_that_are_named_are_there(package):
    found = {path: missing_names(path.read_text(encoding="utf-8"), package) for path in [*PAGES, *SOURCES]}
    assert not {str(path.relative_to(ROOT)): names for path, names in found.items() if names}


def test_the_tree_is_the_package(package):
    assert rooms_shown(ARCHITECTURE.read_text(encoding="utf-8")) == {
        module.room for module in package.modules.values()
    }


def test_the_tour_has_the_catalogue_of_kernels_for_gpus():
    text = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([a-z, ]+) \|$", text, re.MULTILINE)
    on_gpu = [kernel for kernel in catalogue.KERNELS if kernel.device == catalogue.CUDA]
    assert dict(rows) == {kernel.name: ", ".join(kernel.rules) for kernel in on_gpu}


@pytest.mark.parametrize("page", ["README.md", "docs/tour.md"])
def test_blocks_of_python_define_what_they_use(page):
    assert not undefined((ROOT / page).read_text(encoding="utf-8"))
    made_up = "```python\nimport a.b as c\nd = c.e + f\n```\n\n```python\nprint([g for g in d], h)\n```\n"
    assert undefined(made_up) == ["f", "h"]


def test_functions_are_shown_as_they_are():
    shown = functions_shown(ARCHITECTURE.read_text(encoding="utf-8"))
    assert list(shown) == ["forward", "gradient", "train"]
    assert shown == {name: inspect.getsource(getattr(reference, name)).rstrip() for name in shown}


def test_what_is_not_there_is_found(package, tmp_path):
    text = "see numbabp/nosuch.py, tests/house.py, tests/test_*.py, docs/ and benchmarks/nosuch/."
    assert missing_paths(text) == ["numbabp/nosuch.py", "benchmarks/nosuch/"]
    (tmp_path / "page.md").write_text("[a](page.md), [b](../nosuch.md), [c](https://a.b), [d](page.md#e)")
    assert missing_links(tmp_path / "page.md") == ["../nosuch.md"]
    text = "numbabp.cli.nosuch numbabp.nosuch.x numbabp.cli.app numbabp.cli.main. numbabp.Network numbabp.py"
    assert missing_names(text, package) == ["numbabp.cli.nosuch", "numbabp.nosuch.x", "numbabp.py"]
    text = "from numbabp.kernels import nosuch; from numbabp.cli import (\n smoke, # x\n app)\nx"
    assert missing_names(text, package) == ["numbabp.kernels.nosuch"]


def test_citation_and_changelog_are_of_this_version():
    (version,) = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    newest = re.search(
        r"^## (\S+) - (\d{4}-\d\d-\d\d|unreleased)$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert newest is not None
    assert version == newest[1] == numbabp.__version__


def test_workflows_are_for_every_python_that_is_supported():
    workflows = {path.name: path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    (least,) = re.findall(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    for name in ("tests.yml", "distributions.yml"):
        versions = {int(minor) for minor in re.findall(r'"3\.(\d+)"', workflows[name])}
        assert min(versions) == int(least), name
    assert "bash .ci/run" in workflows["tests.yml"]
