"""Measures of how a package is built, for test_house.py: all is read from syntax trees, nothing imported."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

ON_CPU = ("sequential", "general", "blocked", "shared", "tiny", "sparse", "minibatch", "lanes", "each")
ON_GPU = ("thread", "warp", "block", "persistent", "resident", "blocked")
KERNELS = {*ON_CPU, *ON_GPU}
CALLED_BY_KERNELS = ("scalar_function", "device_function")
"""Decorators."""
FIELDS_OF_NAMED_TUPLES = frozenset(("_replace", "_make", "_asdict", "_fields", "_field_defaults"))
"""Public in spite of their underscore."""


@dataclass(frozen=True)
class Module:
    """One file."""

    path: Path
    """From the folder that the package lies in, such as numbabp/kernels/tiny/train.py."""
    tree: ast.Module
    n_lines: int

    @property
    def name(self) -> str:
        """As it is imported; of an `__init__`, the package's."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if self.is_package else parts)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def room(self) -> str:
        """The package of the first level or the root's module that it belongs to."""
        return self.path.with_suffix("").parts[1]


@dataclass(frozen=True)
class Import:
    """Of one module by another, wherever it stands: at the top, in a function, or for type checkers only."""

    importer: Module
    line: int
    imported: Module

    def __str__(self) -> str:
        return f"{self.importer.path} imports {self.imported.path}"


@dataclass(frozen=True)
class Package:
    """All modules of a package."""

    modules: dict[str, Module]

    @classmethod
    def read(cls, folder: Path) -> "Package":
        modules = []
        for path in sorted(folder.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            modules.append(Module(path.relative_to(folder.parent), ast.parse(text), len(text.splitlines())))
        return cls({module.name: module for module in modules})

    @cached_property
    def imports(self) -> list[Import]:
        """Every import of a module of the package by another; what a package is given by its `__init__`, too.

        Modules that are only named in strings, as the root's `__init__` does for what it loads late, are not
        seen.
        """
        return [
            Import(module, line, imported)
            for module in self.modules.values()
            for line, imported in self._imported(module)
            if imported is not module
        ]

    def _imported(self, module: Module) -> Iterator[tuple[int, Module]]:
        package = module.name if module.is_package else module.name.rpartition(".")[0]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom):
                above = package.split(".")[: 1 - node.level or None] if node.level else []
                source = ".".join([*above, *filter(None, [node.module])])
                # a name is a module of its own, or stands in the one that is named
                names = [f"{source}.{alias.name}" for alias in node.names]
                found = [name if name in self.modules else source for name in names]
            elif isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            else:
                continue
            for name in dict.fromkeys(found):
                if name in self.modules:
                    yield node.lineno, self.modules[name]

    def in_circles(self) -> set[str]:
        """Paths of modules that import each other, however far around."""
        names = list(self.modules)
        edges = [(names.index(i.importer.name), names.index(i.imported.name)) for i in self.imports]
        rows, columns = np.array(edges, int).reshape(-1, 2).T
        graph = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
        _, labels = connected_components(graph, directed=True, connection="strong")
        sizes = np.bincount(labels)
        return {
            str(self.modules[name].path)
            for name, label in zip(names, labels, strict=True)
            if sizes[label] > 1
        }

    def a_circle(self) -> list[str]:
        """Paths of modules of which each imports the next, from one back to it; none without a circle."""
        graph: dict[str, set[str]] = {}
        for i in self.imports:
            graph.setdefault(str(i.importer.path), set()).add(str(i.imported.path))
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return error.args[1][::-1]  # what is imported comes first in it
        return []

    def modules_by_folder(self) -> dict[str, int]:
        """How many there are in each folder, `__init__` not counted."""
        folders = [str(module.path.parent) for module in self.modules.values() if not module.is_package]
        return {folder: folders.count(folder) for folder in folders}

    def wide_functions(self, most: int) -> list[str]:
        """Functions with more parameters than that, of whatever kind: `__init__`s, kernels and nested ones.

        `self` and `cls` count; ``*args`` and ``**kwargs`` don't.
        """
        return [
            f"{module.path} {node.name}"
            for module, node in self._nodes(ast.FunctionDef, ast.AsyncFunctionDef)
            if len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs) > most
        ]

    def private_accesses(self) -> list[str]:
        """Where a name with an underscore is taken from, or given to, what is neither self, cls nor super().

        Fields of modules and what named tuples call so are left out.
        """
        found = []
        for module in self.modules.values():
            own = {"self", "cls", *self._names_of_modules(module)}
            for node in ast.walk(module.tree):
                if not isinstance(node, ast.Attribute) or node.attr in FIELDS_OF_NAMED_TUPLES:
                    continue
                of = node.value
                if isinstance(of, ast.Call) and isinstance(of.func, ast.Name) and of.func.id == "super":
                    continue
                is_private = node.attr.startswith("_") and not node.attr.startswith("__")
                if is_private and not (isinstance(of, ast.Name) and of.id in own):
                    found.append(f"{module.path}:{node.lineno} {ast.unparse(node)}")
        return found

    def _names_of_modules(self, module: Module) -> Iterator[str]:
        """Names that modules, of whatever library, have in this one."""
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.asname or alias.name.partition(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.level:
                here = module.name.split(".") + ["__init__"] * module.is_package
                source = [*here[: -node.level], *filter(None, [node.module])]
                for alias in node.names:
                    if ".".join([*source, alias.name]) in self.modules:
                        yield alias.asname or alias.name

    def comparisons_of_kernels(self, allowed: Sequence[str]) -> list[str]:
        """Where a kernel's name is compared (==, !=, in, not in, case), outside paths that begin so."""
        found = []
        for module, node in self._nodes(ast.Compare, ast.MatchValue):
            operands = [node.value] if isinstance(node, ast.MatchValue) else [node.left, *node.comparators]
            values: list[ast.expr] = []
            for operand in operands:
                is_group = isinstance(operand, ast.Tuple | ast.List | ast.Set)
                values += operand.elts if is_group else [operand]
            is_compared = any(isinstance(value, ast.Constant) and value.value in KERNELS for value in values)
            if is_compared and not str(module.path).startswith(tuple(allowed)):
                found.append(f"{module.path} {ast.unparse(node)}")
        return found

    def arrays_that_do_not_last(self) -> list[str]:
        """Where a function that kernels of a GPU call makes an array in registers: gone when it returns."""
        return [
            f"{module.path}:{node.lineno} {function.name}"
            for module, function in self._nodes(ast.FunctionDef)
            if any(ast.unparse(name) in CALLED_BY_KERNELS for name in function.decorator_list)
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("local.array")
        ]

    def _nodes(self, *kinds: type) -> Iterator[tuple[Module, ast.AST]]:
        for module in self.modules.values():
            for node in ast.walk(module.tree):
                if isinstance(node, kinds):
                    yield module, node
