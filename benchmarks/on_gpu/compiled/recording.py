"""Loads, stores and barriers that tell the recorder of themselves, and the lines of Python they come from."""

import os
import re
from typing import NamedTuple

from .versions import NotUnderstood

READ, WRITE, ATOMIC = range(3)
KINDS = ("reads", "writes", "adds to")
BARRIERS = ("nvvm_barrier0", "barrier_of_warp", "nvvm_bar_warp_sync", "arrive_at_count", "wait_for_count")

_OPERAND = r'(%"[^"]*"|%[-\w.$]+|@"[^"]*"|@[-\w.$]+|getelementptr .*?\)|inttoptr .*?\))'
_LOAD = re.compile(rf"^  \S+ = load (?:volatile )?(?P<kind>.+), ptr {_OPERAND}(?=, align|, !|$)")
_STORE = re.compile(rf"^  store (?:volatile )?(?P<value>.+), ptr {_OPERAND}(?=, align|, !|$)")
_POINTER = rf"ptr (?:\w+(?: \d+|\(\d+\))? )*{_OPERAND}"
"""With its attributes."""
_COPY = re.compile(
    rf"call void @llvm\.mem(?:cpy|move)\.p0\.p0\.i64\({_POINTER}, {_POINTER}, i64 (\S+), i1 false\)"
)
_FILL = re.compile(rf"call void @llvm\.memset\.p0\.i64\({_POINTER}, i8 \S+, i64 (\S+), i1 false\)")
_MEMORY = re.compile(r"(= load |^  store |@llvm\.mem(cpy|move|set)|atomicrmw|cmpxchg|^  fence)")
_ATOMIC = re.compile(r"atomicrmw|cmpxchg|(load|store) atomic|^  fence")
_BARRIER = re.compile(rf"call .*@({'|'.join(BARRIERS)})\(")
_DEBUG = re.compile(r"!dbg !(\d+)")
_NODE = re.compile(r"^!(\d+) = (?:distinct )?!(DI(?:Location|Subprogram|File|Lex).*)$", re.MULTILINE)


class Line(NamedTuple):
    """Of a source file."""

    path: str
    number: int
    function: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number} in {self.function}"


class Site(NamedTuple):
    """A load, a store or a barrier in the IR."""

    lines: tuple[Line, ...]
    """Where it stands, then where that was called, as far as it was inlined."""
    barrier: str = ""
    """Its name, if it is one."""

    def __str__(self) -> str:
        return ", from ".join(map(str, self.lines)) or "an unknown line"


def annotated(text: str) -> tuple[str, list[Site]]:
    """IR of a module with calls before every access and barrier, and the sites that they name by number.

    Raises
    ------
    NotUnderstood
        If there is an access of a form that is not known.
    """
    lines_of, sites = _Debug(text).lines, []
    out = []
    for line in text.splitlines():
        calls = []
        if line.startswith("  "):
            barrier = _BARRIER.search(line)
            if barrier:
                calls = ["at_barrier(i32 SITE)"]
            elif _MEMORY.search(line):
                calls = _accesses(line)
            if calls:
                debug = _DEBUG.search(line)
                place = f", !dbg !{debug[1]}" if debug else ""
                sites.append(Site(lines_of(debug[1]) if debug else (), barrier[1] if barrier else ""))
                number = str(len(sites) - 1)
                out += [f"  call void @{call.replace('SITE', number)}{place}" for call in calls]
        out.append(line)
    out += ["declare void @record_access(ptr, i64, i32, i32)", "declare void @at_barrier(i32)"]
    return "\n".join(out) + "\n", sites


def _accesses(line: str) -> list[str]:
    """Calls for what an instruction reads and writes."""
    if not _ATOMIC.search(line):
        if found := _LOAD.search(line):
            return [_access(found[2], _size(found["kind"]), READ)]
        if found := _STORE.search(line):
            return [_access(found[2], _size(_type_before(found["value"])), WRITE)]
        if found := _COPY.search(line):
            return [_access(found[2], found[3], READ), _access(found[1], found[3], WRITE)]
        if found := _FILL.search(line):
            return [_access(found[1], found[2], WRITE)]
    raise NotUnderstood(f"an access to memory: {line.strip()}")


def _access(place: str, n_bytes: str, kind: int) -> str:
    return f"record_access(ptr {place}, i64 {n_bytes}, i32 {kind}, i32 SITE)"


def _size(kind: str) -> str:
    """Bytes of a type, for LLVM to work out."""
    return f"ptrtoint (ptr getelementptr ({kind}, ptr null, i64 1) to i64)"


def _type_before(value: str) -> str:
    """The type that a typed value begins with."""
    depth = 0
    for i, character in enumerate(value):
        depth += (character in "[{<") - (character in "]}>")
        if character == " " and depth == 0:
            return value[:i]
    raise NotUnderstood(f"a value of no type: {value}")


class _Debug:
    """Metadata of a module that tells lines."""

    def __init__(self, text: str) -> None:
        self._nodes = dict(_NODE.findall(text))
        self._known: dict[str, tuple[Line, ...]] = {}

    def lines(self, number: str) -> tuple[Line, ...]:
        """Of a location, from the innermost function out."""
        if number not in self._known:
            node = self._nodes[number]
            inlined_at = self._field(node, "inlinedAt")
            here = self._line(int(self._field(node, "line")), self._field(node, "scope"))
            self._known[number] = (here, *(self.lines(inlined_at) if inlined_at else ()))
        return self._known[number]

    def _line(self, line: int, scope: str) -> Line:
        node = self._nodes[scope]
        while not node.startswith("DISubprogram"):
            node = self._nodes[self._field(node, "scope")]
        file = self._nodes[self._field(node, "file")]
        path = os.path.join(self._field(file, "directory"), self._field(file, "filename"))
        return Line(path, line, self._field(node, "name"))

    @staticmethod
    def _field(node: str, name: str) -> str:
        """A number, a text, or the number of another node; empty if there is none."""
        found = re.search(rf'\b{name}: (?:!?(\d+)|"([^"]*)")', node)
        return (found[1] or found[2]) if found else ""
