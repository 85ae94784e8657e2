"""IR for NVVM, made IR for the processor: shared memory, assembler, intrinsics, address spaces.

All of it is done in the text, where numba-cuda's code generator leaves few forms of each.
"""

import re
from typing import NamedTuple

from numbabp.kernels.cuda.barriers import ARRIVE, BY_NUMBER, WAIT
from numbabp.kernels.cuda.loops import NO_UNROLLING
from numbabp.kernels.cuda.pinning import MOVE

from .versions import NotUnderstood

ITEM_BYTES = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "float": 4, "double": 8}
GAP = 64
"""Bytes between arrays in shared memory, so that an index just outside of one is in none."""
DYNAMIC = "DYNAMIC_SHARED_MEMORY"
"""Stands for the offset of dynamic shared memory until all that is static is known."""

INSTRUCTIONS = {
    "mov.u32 $0, %dynamic_smem_size;": "dynamic_shared_bytes",
    BY_NUMBER: "barrier_of_warp",
    ARRIVE: "arrive_at_count",
    WAIT: "wait_for_count",
}
"""Assembler, and the runtime's functions that do what it does."""

_SHARED = re.compile(
    r'^@"?([^" ]+)"? = (external |internal )?addrspace\(3\) global \[(\d+) x (\w+)\](?: undef)?, '
    r"align (\d+)$",
    re.MULTILINE,
)
_OF_SHARED = re.compile(r'addrspacecast [^@\n]* addrspace\(3\)\* @"?([^" ]+)"? to i8\*')
_ASSEMBLER = re.compile(
    r'call (?P<returns>\w+) asm (?:sideeffect )?"(?P<text>[^"]*)", "[^"]*"'
    r"\((?P<arguments>(?:[^()]|\(\d\))*)\)(?: convergent)?"
)
_INTRINSIC = re.compile(r'@"?llvm\.nvvm\.([\w.]+)"?')
_FOR_NVVM = re.compile(
    r'^(target (triple|datalayout)|!nvvm\.annotations =|@"?llvm\.used"? =).*$', re.MULTILINE
)
_DECLARED_SHUFFLE = re.compile(r"^declare \{ ?i32, i1 ?\} @nvvm_shfl_sync_i32\(.*$", re.MULTILINE)
_SHUFFLE = """
declare i32 @shuffle(i32, i32, i32, i32, i32)
define internal {i32, i1} @nvvm_shfl_sync_i32(i32 %mask, i32 %mode, i32 %value, i32 %b, i32 %c) {
  %got = call i32 @shuffle(i32 %mask, i32 %mode, i32 %value, i32 %b, i32 %c)
  %with = insertvalue {i32, i1} undef, i32 %got, 0
  %all = insertvalue {i32, i1} %with, i1 true, 1
  ret {i32, i1} %all
}
"""
"""C and LLVM return such a pair in different registers."""


class SharedArray(NamedTuple):
    """Static one of a block."""

    offset: int
    n_bytes: int


class SharedMemory:
    """Where a kernel's static arrays lie in a block's shared memory; dynamic memory begins behind them."""

    def __init__(self) -> None:
        self.arrays: list[SharedArray] = []
        self.n_bytes = 0

    def place(self, n_bytes: int, alignment: int) -> int:
        """Offset of one more array."""
        alignment = max(16, alignment)
        offset = -(-self.n_bytes // alignment) * alignment
        self.arrays.append(SharedArray(offset, n_bytes))
        self.n_bytes = -(-(offset + n_bytes + GAP) // 16) * 16
        return offset


def to_host(text: str, shared: SharedMemory) -> str:
    """One module of a kernel; `DYNAMIC` is left in it."""
    places = {}
    for name, linkage, count, kind, alignment in _SHARED.findall(text):
        is_dynamic = linkage.strip() == "external"
        n_bytes = int(count) * ITEM_BYTES[kind]
        places[name] = DYNAMIC if is_dynamic else shared.place(n_bytes, int(alignment))
    text = _SHARED.sub("", text)
    text = _OF_SHARED.sub(lambda found: f"call i8* @shared_memory(i64 {places[found[1]]})", text)
    text = _ASSEMBLER.sub(_call_for_assembler, text)
    text = with_intrinsics(text)
    text = _FOR_NVVM.sub("", text)
    text = _DECLARED_SHUFFLE.sub(_SHUFFLE, text)
    text = re.sub(r" addrspace\([13]\)", "", text).replace("addrspacecast", "bitcast")
    if "addrspace(" in text:
        raise NotUnderstood(f"an address space in {_line_with('addrspace(', text)}")
    for declared in (
        "declare i8* @shared_memory(i64)",
        "declare i32 @dynamic_shared_bytes()",
        "declare void @barrier_of_warp()",
        "declare void @arrive_at_count(i32*)",
        "declare void @wait_for_count(i32*, i32)",
    ):
        name = declared[declared.index("@") : declared.index("(") + 1]
        if name in text:
            text += f"\n{declared}"
    # LLVM drops the others, where they are not called in their own module, before modules are linked
    return text.replace("define linkonce_odr ", "define weak_odr ") + "\n"


def with_intrinsics(text: str) -> str:
    """NVVM's intrinsics by the names of the runtime's functions."""
    return _INTRINSIC.sub(lambda found: f"@nvvm_{found[1].replace('.', '_')}", text)


def _call_for_assembler(found: re.Match[str]) -> str:
    """A function of the runtime, or IR."""
    text, returns, arguments = found["text"], found["returns"], found["arguments"]
    if text == NO_UNROLLING:
        return "call void @llvm.donothing()"
    if text == MOVE:
        kind, value = arguments.split(" ", 1)
        return f"add {kind} 0, {value}"
    if text in INSTRUCTIONS:
        return f"call {returns} @{INSTRUCTIONS[text]}({arguments})"
    raise NotUnderstood(f"assembler in {found[0]}")


def _line_with(part: str, text: str) -> str:
    return next(line for line in text.splitlines() if part in line).strip()
