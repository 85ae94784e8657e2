"""Pieces of source with gaps, filled for one program."""

import re
from string import Template
from typing import Any

import numpy as np

from .literals import literal
from .program import Program


class Pieces:
    """Source that is written piece by piece, in `string.Template`'s form.

    In a piece stand ``$net`` for the program's name, ``$NET`` for the same in capitals, ``$real`` for the
    type of all numbers, and ``$f`` behind constants and functions of math.h: f for float. ``$model`` is what
    functions take first that need parameters, and ``$with`` what they are given for it.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.dtype = program.architecture.dtype
        single = self.dtype.itemsize == 4
        learns, net = program.learning is not None, program.name
        self._fillings = {
            "net": net,
            "NET": net.upper(),
            "real": "float" if single else "double",
            "f": "f" if single else "",
            "epsilon": literal(np.finfo(self.dtype).eps, self.dtype),
            "level": literal(program.architecture.quantile, self.dtype),
            "helper": "static inline " if program.is_header else "static ",
            "public": "static inline " if program.is_header else "",
            "model": f"const {net}_model *model, " if learns else "",
            "with": "model, " if learns else "",
            "parameters": "model->parameters" if learns else f"{net}_parameters",
        }
        self.calls: set[str] = set()
        """Functions of math.h that pieces call."""
        self.prototypes: list[str] = []
        """Of the functions that others may call."""
        self.written: list[str] = []
        """Pieces so far."""

    def filled(self, piece: str, **fillings: Any) -> str:
        """A piece whose gaps are filled; so are those of what fills them."""
        text = Template(piece).safe_substitute({name: str(value) for name, value in fillings.items()})
        self.calls |= {Template(f"{call}$f").substitute(self._fillings) for call in _calls(text)}
        return Template(text).substitute(self._fillings)

    def add(self, piece: str, **fillings: Any) -> None:
        """A piece, as `filled` gives it."""
        self.written.append(self.filled(piece, **fillings).strip("\n") + "\n")

    def add_public(self, piece: str, **fillings: Any) -> None:
        """A function for others; its first line that begins with ``${public}`` is its head."""
        (head,) = re.findall(r"^(\$\{public\}.*)$", piece, re.MULTILINE)
        self.prototypes.append(self.filled(f"{head};", **fillings))
        self.add(piece, **fillings)


def _calls(piece: str) -> list[str]:
    return re.findall(r"\b([a-z]\w*)\$f\(", piece)
