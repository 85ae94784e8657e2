"""A graph of ONNX's operators, put together by formulas, without the library onnx.

Operators are those of opset 13, the first with today's Softmax, in dtypes that ONNX Runtime has them in on a
CPU.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

OPSET = 13
IR_VERSION = 8
"""What goes with the opset, so that runtimes of some years ago read the file."""


class Node(NamedTuple):
    """An operator of ONNX and what it is applied to."""

    operator: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]
    """Dtypes, of Cast, are NumPy's."""


class Value(NamedTuple):
    """An input or output of a graph."""

    name: str
    dtype: np.dtype
    """Of objects where it is strings."""
    shape: tuple[int | str, ...]
    """A string names a length that is not fixed."""


class Graph:
    """Nodes and constants, in the order in which they were added.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64: what Python's numbers are made.
    named : callable, optional
        Makes of a hint a name that nothing else has; by default it is numbered from the second on.
    """

    def __init__(self, dtype: np.dtype, named: Callable[[str], str] | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._named = named or _numbered()

    def input(self, name: str) -> "Tensor":
        """What the graph is given under a name."""
        return Tensor(self, name)

    def constant(self, values: Any, hint: str = "constant") -> "Tensor":
        """An array as it is, or a number of Python's."""
        array = np.asarray(values, self.dtype) if isinstance(values, float | int) else np.asarray(values)
        name = self._named(hint)
        self.constants[name] = array
        return Tensor(self, name)

    def add(self, operator: str, *operands: "Operand", **attributes: Any) -> "Tensor":
        """What an operator with one output makes of tensors and constants."""
        inputs = [
            operand.name if isinstance(operand, Tensor) else self.constant(operand).name
            for operand in operands
        ]
        output = self._named(operator.lower())
        self.nodes.append(Node(operator, inputs, output, attributes))
        return Tensor(self, output)

    def give(self, value: "Tensor", name: str) -> None:
        """Give a tensor out under a name."""
        self.nodes.append(Node("Identity", [value.name], name, {}))


def _numbered() -> Callable[[str], str]:
    times: dict[str, int] = {}

    def named(hint: str) -> str:
        times[hint] = times.get(hint, 0) + 1
        return hint if times[hint] == 1 else f"{hint}_{times[hint]}"

    return named


class Tensor:
    """A value in a graph, with which formulas add to it."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def of(self, operator: str, *others: "Operand", **attributes: Any) -> "Tensor":
        """What an operator makes of this one, before others."""
        return self.graph.add(operator, self, *others, **attributes)

    def as_type(self, dtype: Any) -> "Tensor":
        """In another dtype."""
        return self.of("Cast", to=np.dtype(dtype))

    def __add__(self, other: "Operand") -> "Tensor":
        return self.of("Add", other)

    def __radd__(self, other: "Operand") -> "Tensor":
        return self.graph.add("Add", other, self)

    def __sub__(self, other: "Operand") -> "Tensor":
        return self.of("Sub", other)

    def __rsub__(self, other: "Operand") -> "Tensor":
        return self.graph.add("Sub", other, self)

    def __mul__(self, other: "Operand") -> "Tensor":
        return self.of("Mul", other)

    def __rmul__(self, other: "Operand") -> "Tensor":
        return self.graph.add("Mul", other, self)

    def __truediv__(self, other: "Operand") -> "Tensor":
        return self.of("Div", other)

    def __rtruediv__(self, other: "Operand") -> "Tensor":
        return self.graph.add("Div", other, self)

    def __matmul__(self, other: "Operand") -> "Tensor":
        return self.of("MatMul", other)

    def __neg__(self) -> "Tensor":
        return self.of("Neg")

    def __abs__(self) -> "Tensor":
        return self.of("Abs")

    __array_ufunc__ = None  # so that NumPy's arrays leave operators to this class


Operand = Tensor | np.ndarray | float
