"""Which edits of the package compile kernels anew, shown by processes that run a copy of it."""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from numbabp.compiler import sources
from numbabp.kernels import blocked, general, inference, sequential, shuffling, sparse
from numbabp.kernels.adaptive.train import make_train_adaptive
from numbabp.kernels.lanes import train
from numbabp.kernels.minibatch import train as minibatch
from numbabp.kernels.momentum import train as momentum
from numbabp.kernels.shared import train as shared
from numbabp.kernels.tiny.train import train_tiny
from numbabp.kernels.update_rules import ADAM

PACKAGE = Path(sources.ROOT)
FILES = sorted(path for folder in sources.FOLDERS for path in (PACKAGE / folder).rglob("*.py"))

COUNT = """
import json, sys
import numpy as np
import numbabp as nbp
from numbabp.compiler.compile_events import compiling_watched
from numbabp.kernels.inference import make_activate_rows
from numbabp.kernels.shuffling import draw_order

def fit(kernel):
    net = nbp.Network((2, 3, 1), dtype="float32", random_state=0)
    net.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=1, kernel=kernel)

def predict():
    numbers = np.zeros(3)
    make_activate_rows("sigmoid")(numbers, numbers.copy(), np.uint64(3))

runs = {
    "sequential": lambda: fit("sequential"),
    "tiny": lambda: fit("tiny"),
    "inference": predict,
    "shuffling": lambda: draw_order(np.arange(3), np.zeros(1, np.uint64)),
}
counts = dict.fromkeys(sys.argv[1:], 0)
for name in counts:
    def count(name=name):
        counts[name] += 1
    with compiling_watched(count):
        runs[name]()
print(json.dumps(counts))
"""

KERNELS = {
    "sequential": sequential.train_sgd,
    "general": general.train_general,
    "blocked": blocked.train_blocked,
    "momentum": momentum.train_momentum,
    "shared": shared.train_shared,
    "sparse": sparse.train_sparse,
    "minibatch": minibatch.train_minibatch,
    "lanes": train.train_lanes,
    "adaptive": make_train_adaptive(ADAM, False),
    "inference": inference.make_activate_rows("sigmoid"),
    "shuffling": shuffling.draw_order,
    "tiny": train_tiny,
}
ALL = set(KERNELS)
MAKERS = {"kernel", "scalar_function", "exact_function", "subroutine", "device_function", "njit", "jit"}
"""Decorators of what becomes machine code."""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, with a folder for its machine code beside it."""
    shutil.copytree(PACKAGE, tmp_path / "numbabp", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def compiled_by_a_process(copy, runs):
    """Which of some runs of the copy compile anything."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "NUMBA_CACHE_DIR": str(copy / "cache")}
    environment.pop("NUMBA_DISABLE_JIT", None)
    done = subprocess.run(
        [sys.executable, "-c", COUNT, *runs], env=environment, cwd=copy, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {name for name, count in json.loads(done.stdout).items() if count}


def add_line(copy, file, line="# an edit"):
    path = copy / "numbabp" / file
    assert path.exists(), file
    path.write_text(f"{path.read_text()}\n{line}\n")


def anything_of(folder):
    """Every module of a folder, or none where it is called otherwise."""
    return [str(path.relative_to(PACKAGE)) for path in sorted((PACKAGE / folder).rglob("*.py"))]


@pytest.mark.parametrize(
    "everything",
    [
        {"inference", "shuffling"},
        pytest.param({"sequential", "tiny", "inference", "shuffling"}, marks=pytest.mark.slow),
    ],
    ids=["few", "more"],
)
def test_what_an_edit_compiles_anew(everything, copy):
    def compiled():
        return compiled_by_a_process(copy, everything)

    assert compiled() == everything
    elsewhere = ["__init__.py", "network.py", "population.py", "atomic_files.py", *anything_of("planning")]
    elsewhere += anything_of("training") + anything_of("estimators") + anything_of("devices")
    for file in elsewhere:
        add_line(copy, file)
        add_line(copy, file, "an_edit = 'of what the module does'")
    add_line(copy, "compiler/compile_events.py")
    assert compiled() == set()
    add_line(copy, "kernels/tiny/train.py")
    add_line(copy, "kernels/powers.py", "EDIT = 1")
    assert compiled() == everything & {"tiny"}
    add_line(copy, "functions/activations.py")
    assert compiled() == everything - {"shuffling"}
    add_line(copy, "compiler/compiling.py")
    assert compiled() == everything


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("network.py", set()),
        ("atomic_files.py", set()),
        ("functions/initializers.py", set()),
        ("compiler/compile_events.py", set()),
        ("kernels/cuda/barriers.py", set()),
        ("kernels/tiny/train.py", {"tiny"}),
        ("kernels/sequential.py", {"sequential"}),
        ("kernels/powers.py", {"tiny", "minibatch", "blocked", "momentum", "shared", "sparse"}),
        ("kernels/lanes/layers.py", {"lanes"}),
        ("kernels/lanes/__init__.py", {"lanes"}),
        (
            "kernels/update_rules.py",
            ALL - {"sequential", "inference", "shuffling"},
        ),
        ("kernels/adaptive/rules.py", {"adaptive"}),
        ("compiler/arithmetic/registers.py", {"adaptive", "blocked", "momentum", "shared"}),
        ("kernels/steps.py", {"sequential", "minibatch", "blocked", "momentum", "shared", "sparse"}),
        ("kernels/layers.py", ALL - {"shuffling"}),
        ("functions/elementary.py", ALL - {"shuffling"}),
        ("kernels/__init__.py", ALL),
        ("compiler/linking.py", ALL),
        ("compiler/vectors.py", ALL - {"shuffling"}),
    ],
)
def test_what_an_edit_changes_the_digest_of(file, changed, copy, monkeypatch):
    before = {name: sources.digest_of(kernel) for name, kernel in KERNELS.items()}
    add_line(copy, file)
    monkeypatch.setattr(sources, "ROOT", str(copy / "numbabp"))
    after = {name: sources.digest_of(kernel) for name, kernel in KERNELS.items()}
    assert {name for name in ALL if before[name] != after[name]} == changed


def test_a_kernel_depends_on_what_its_factory_is_given():
    """That of a population on a GPU is put together of functions which its own module does not import."""
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed")
    from numbabp.kernels.cuda.population import specialisation, thread, warp

    of = specialisation.Specialisation(
        (2, 3, 1), ("relu", "sigmoid"), "binary_cross_entropy", "float32", "sgd", False, False, False
    )
    found = {module.__name__: sources.digest_of(module.make_train(of)) for module in (thread, warp)}
    digests, suffixes = zip(*found.values(), strict=True)
    assert digests[0] != digests[1]
    assert suffixes == ("-thread", "-warp"), "else each would remove the other's files"


def imports_of(path):
    """The modules of the package that a file imports, as Python's own parser sees it."""
    package = ["numbabp", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            names = [base, *([*base, alias.name] for alias in node.names)]
        else:
            continue
        for parts in names:
            path_of = PACKAGE.joinpath(*parts[1:])
            candidates = (path_of.with_suffix(".py"), path_of / "__init__.py")
            found |= {file for file in candidates if parts[0] == "numbabp" and file.is_file()}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_import_is_found(path):
    """In the text, and none leads elsewhere but to how files are written and what errors are called."""
    wanted = imports_of(path) - {PACKAGE / "__init__.py"}
    within = {file for file in wanted if file in FILES}
    assert {file.name for file in wanted - within} <= {"atomic_files.py", "errors.py"}
    _, found = sources._scan(str(path))
    packages = {parent / "__init__.py" for parent in path.parents if parent.is_relative_to(PACKAGE)}
    assert within <= set(map(Path, found))
    assert set(map(Path, found)) <= within | packages


def test_nothing_is_imported_by_a_name_that_is_made_up():
    """The text would not show it; the names of other packages' modules may be."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
                assert isinstance(node.args[0], ast.Constant), path
                assert node.args[0].value.startswith("numba."), path
            assert getattr(getattr(node, "func", None), "id", "") != "__import__", path


def test_kernels_are_made_in_these_folders():
    """But for the one that tells whether there is a GPU, which needs nothing else of the package."""
    makers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                decorators = [getattr(node, "func", node) for node in node.decorator_list]
                names = {getattr(node, "id", getattr(node, "attr", "")) for node in decorators}
                if names & MAKERS:
                    makers.add(path)
    assert makers - set(FILES) == {PACKAGE / "devices" / "probe.py"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from ..functions import losses, activations as act", ["functions/losses", "functions/activations"]),
        ("from .layers import (\n    a,  # with :) in a comment\n    b,\n)", ["kernels/layers"]),
        ("from . import (  # first\n    layers,  # )\n    powers,\n)", ["kernels/layers", "kernels/powers"]),
        ("def f():\n    from ..compiler.arrays import LINE\n", ["compiler/arrays"]),
        ("import numbabp.kernels.layers as a, numbabp.kernels.powers", ["kernels/layers", "kernels/powers"]),
        ("from numbabp.kernels import layers", ["kernels/layers"]),
        ("from .. import kernels, network", []),
        ("from ..atomic_files import write_atomically", []),
        ("import numpy as np  # from .layers import x", []),
    ],
)
def test_imports_are_read_from_text(text, names, monkeypatch, tmp_path):
    path = tmp_path / "kernels" / "module.py"
    path.parent.mkdir()
    path.write_text(text)
    for name in ("compiler/arrays", "functions/losses", "functions/activations", "kernels/layers"):
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / "kernels" / "powers.py").touch()
    monkeypatch.setattr(sources, "ROOT", str(tmp_path))
    _, found = sources._scan(str(path))
    assert sorted(found) == sorted(str(tmp_path / f"{name}.py") for name in names)
