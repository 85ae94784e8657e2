"""Machine code of NVIDIA GPUs (SASS) as nvdisasm prints it: instructions, their pipes, and the loops.

Loops are natural loops of the control flow: a branch back to a block that dominates it. So code that the
compiler has moved out of the way (slow paths of divisions, say) belongs to the loop that it returns into.
"""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

PIPES = ("FP32", "IMAD", "ALU", "MUFU", "LSU", "FP64", "uniform", "branch/other")

_PIPE_OF = {
    "FP32": "FFMA FFMA2 FMUL FMUL2 FADD FADD2 FFMA32I FMUL32I FADD32I FSWZADD HFMA2 HADD2 HMUL2",
    "IMAD": "IMAD IMAD32I IMUL XMAD IDP IDP4A",
    "ALU": "IADD IADD3 IADD32I VIADD LOP LOP3 LOP32I PLOP3 SHF SHL SHR LEA MOV MOV32I SEL FSEL FSETP FSET "
    "FMNMX FMNMX3 FCHK ISETP IMNMX VIMNMX VIMNMX3 VIADDMNMX VABSDIFF VABSDIFF4 IABS PRMT P2R R2P CS2R "
    "BMSK SGXT HMNMX2 HSETP2 HSET2 VOTE I2FP F2FP PSETP",
    "MUFU": "MUFU I2F F2I F2F I2I FRND POPC FLO BREV",
    "LSU": "LDS STS LDL STL LDG STG LD ST LDSM STSM LDGSTS ATOM ATOMS ATOMG RED SHFL LDC MATCH REDUX S2R",
    "FP64": "DFMA DADD DMUL DSETP DMNMX CLMAD",
}
_PIPE = {opcode: pipe for pipe, opcodes in _PIPE_OF.items() for opcode in opcodes.split()}
_UNIFORM = {"R2UR", "S2UR", "VOTEU", "REDUX"}
_BRANCH = {"BRA", "BRX", "JMP", "JMX", "BRXU"}
_END = {"EXIT", "RET", "BPT", "KILL"}

_LABEL = re.compile(r"^(\.[A-Za-z_]\w*|\$?[A-Za-z_$][\w$.]*):\s*$")
_INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:@(!?U?P\w+)\s+)?([A-Z][\w.]*)\s*([^;]*);")
_REGISTER = re.compile(r"(?<![\w.\[])([|~\-!]*)(U?[RP]\d+)((?:\.64|\.128)?)|\[(U?R\d+)((?:\.64|\.128)?)")


class DisassemblerMissing(RuntimeError):
    """There is no nvdisasm on this machine."""


def nvdisasm():
    """Path of the disassembler: of NVIDIA's wheel, of a toolkit, or on PATH."""
    try:
        from cuda.pathfinder import find_nvidia_binary_utility
    except ImportError:
        found = None
    else:
        found = find_nvidia_binary_utility("nvdisasm")
    found = found or shutil.which("nvdisasm")
    if found is None:
        raise DisassemblerMissing(
            "nvdisasm was found neither among installed wheels nor on PATH; "
            "`pip install nvidia-cuda-nvdisasm` installs it"
        )
    return found


def disassemble(cubin):
    """Text of a cubin, given as bytes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        done = subprocess.run([nvdisasm(), "-c", str(file)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"nvdisasm refused the cubin: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Instruction:
    """One line: `FFMA R0, R1, R2, R0` has opcode "FFMA", modifiers (), and the registers read and written."""

    address: int
    predicate: str
    opcode: str
    modifiers: tuple[str, ...]
    operands: str
    target: str = ""
    """Label that it branches to."""

    @property
    def pipe(self):
        """Which unit executes it; what none of the others does takes an issue slot only."""
        if self.opcode in _UNIFORM or (self.opcode[0] == "U" and self.opcode not in _PIPE):
            return "uniform"
        if self.opcode == "LDCU":
            return "uniform"
        return _PIPE.get(self.opcode, "branch/other")

    @property
    def bits(self):
        """Width of a memory access."""
        return next((int(word) for word in self.modifiers if word in ("64", "128")), 32)

    @property
    def is_conversion_of_double(self):
        return self.opcode in ("I2F", "F2I", "F2F") and "F64" in self.modifiers

    def registers(self):
        """Names of the registers read, and of those written."""
        operands = [text.strip() for text in self.operands.split(",")] if self.operands.strip() else []
        n_written = self._n_written(operands)
        wide = self.pipe == "FP64" or "WIDE" in self.modifiers or self.is_conversion_of_double
        read, written = set(), set()
        for position, operand in enumerate(operands):
            for match in _REGISTER.finditer(operand):
                name, suffix = (match[2], match[3]) if match[2] else (match[4], match[5])
                destination = position < n_written and match[2] is not None
                width = 1
                if suffix or (wide and name[-2:] != "PT" and "P" not in name):
                    width = 4 if suffix == ".128" else 2
                if destination and self.pipe == "LSU":
                    width = self.bits // 32
                (written if destination else read).update(_run(name, width))
        if self.opcode in ("STS", "STG", "STL", "ST") and operands:
            for match in _REGISTER.finditer(operands[-1]):
                if match[2]:
                    read.update(_run(match[2], self.bits // 32))
        if self.predicate:
            read.add(self.predicate.lstrip("!"))
        return read, written

    def _n_written(self, operands):
        """How many operands, the first ones, are written."""
        if self.opcode in _WRITES_NOTHING or not operands:
            return 0
        if _PREDICATE.fullmatch(operands[0]):  # two predicates, or one beside a register
            return 2
        n = 1
        if self.opcode not in _SELECTS:  # carries beside the sum
            while n < len(operands) and _PREDICATE.fullmatch(operands[n]):
                n += 1
        return n


_PREDICATE = re.compile(r"U?P(\d+|T)")
_SELECTS = {"SEL", "FSEL", "USEL", "FMNMX", "P2R"}
_WRITES_NOTHING = {
    *("STS", "STG", "STL", "ST", "RED", "BAR", "BSYNC", "WARPSYNC", "MEMBAR", "NOP", "DEPBAR", "LDGDEPBAR"),
    *("YIELD", "CCTL", "ERRBAR", "NANOSLEEP", "STSM", "LDGSTS", *_BRANCH, *_END),
}


def _run(name, width):
    """Names of consecutive registers."""
    head, number = re.fullmatch(r"(\D+)(\d+)", name).groups()
    return {f"{head}{int(number) + i}" for i in range(width)}


@dataclass(eq=False)
class Block:
    """Instructions that are executed from the first to the last."""

    label: str
    instructions: list[Instruction] = field(default_factory=list)
    successors: list["Block"] = field(default_factory=list)


@dataclass(eq=False)
class Loop:
    """A loop of a kernel.

    `always` are the instructions that every iteration executes, `sometimes` the others; both in the order of
    the code, without those of the loops within.
    """

    label: str
    blocks: frozenset[Block]
    always: list[Instruction] = field(default_factory=list)
    sometimes: list[Instruction] = field(default_factory=list)
    inner: list["Loop"] = field(default_factory=list)
    parent: "Loop | None" = None

    @property
    def depth(self):
        """1 for an outermost loop."""
        return 1 if self.parent is None else self.parent.depth + 1

    def mix(self, sometimes=False):
        """Number of instructions by pipe, without those of the loops within."""
        return mix_of([*self.always, *(self.sometimes if sometimes else [])])

    def n_multiply_adds(self):
        """Fused multiply-adds of an iteration, without those of the loops within."""
        return sum(
            {"FFMA": 1, "FFMA2": 2, "DFMA": 1}.get(i.opcode, 0) for i in [*self.always, *self.sometimes]
        )


def mix_of(instructions):
    """Number of instructions by pipe."""
    counted = Counter(instruction.pipe for instruction in instructions)
    return {pipe: counted[pipe] for pipe in PIPES}


def parse(text):
    """Blocks of the kernel in a disassembly: of its entry, without the functions that it calls.

    Returns
    -------
    list of Block
        In the order of the code; the first is the entry.
    """
    functions, labels, entries, current, name = {}, {}, [], None, ""
    pending = []
    for line in text.splitlines():
        if section := re.match(r"\s*\.section\s+([^,\s]+)", line):
            current, pending = None, []
            if section[1].startswith(".text."):
                name, current = section[1], []
                functions[name], labels[name] = current, {}
        if current is None:
            continue
        if "STO_CUDA_ENTRY" in line:
            entries.append(name)
        if found := _LABEL.match(line):
            pending.append(found[1])
        elif found := _INSTRUCTION.match(line):
            address, predicate, opcode, operands = found.groups()
            opcode, *modifiers = opcode.split(".")
            target = re.search(r"`\(([^)]+)\)", operands)
            for label in pending:
                labels[name][label] = len(current)
            pending = []
            current.append(
                Instruction(
                    int(address, 16),
                    predicate or "",
                    opcode,
                    tuple(modifiers),
                    operands.strip(),
                    target[1] if target else "",
                )
            )
    if not any(functions.values()):
        raise ValueError("there is no code in this disassembly.")
    name = max(entries or functions, key=lambda name: len(functions[name]))
    return _blocks(functions[name], labels[name])


def _is_conditional(instruction):
    """Whether execution may go on after a branch or an end."""
    if instruction.predicate not in ("", "PT", "UPT"):
        return True
    # BRA.U !UP0, `(...) and BRA P0, `(...) have the condition among their operands
    return bool(re.match(r"!?U?P\d", instruction.operands))


def _blocks(code, labels):
    starts = {0, *labels.values()}
    for i, instruction in enumerate(code):
        if instruction.opcode in _BRANCH | _END:
            starts.add(i + 1)
    starts = sorted(start for start in starts if start < len(code))
    names = {index: label for label, index in labels.items()}
    blocks = {
        start: Block(names.get(start, f"{code[start].address:#x}"), code[start:end])
        for start, end in pairwise([*starts, len(code)])
    }
    ordered = list(blocks.values())
    for block, following in zip(ordered, [*ordered[1:], None], strict=True):
        last = block.instructions[-1]
        ends = last.opcode in _BRANCH | _END
        if last.opcode in _BRANCH and last.target in labels:
            block.successors.append(blocks[labels[last.target]])
        if following is not None and (not ends or _is_conditional(last)):
            block.successors.append(following)
    return ordered


def _dominators(blocks):
    """For every block that is reached, the blocks that every way to it goes through."""
    reached, stack = {blocks[0]}, [blocks[0]]
    while stack:
        for successor in stack.pop().successors:
            if successor not in reached:
                reached.add(successor)
                stack.append(successor)
    order = [block for block in blocks if block in reached]
    before = {block: [] for block in order}
    for block in order:
        for successor in block.successors:
            before[successor].append(block)
    dominators = {block: set(order) for block in order}
    dominators[order[0]] = {order[0]}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            found = {block} | set.intersection(*(dominators[b] for b in before[block]))
            if found != dominators[block]:
                dominators[block], changed = found, True
    return dominators, before


def loops_of(blocks):
    """The natural loops, outer ones before those within.

    Returns
    -------
    list of Loop
    """
    dominators, before = _dominators(blocks)
    bodies, latches = {}, {}
    for block in dominators:
        for head in block.successors:
            if head in dominators[block]:
                body, stack = bodies.setdefault(head, {head}), [block]
                latches.setdefault(head, []).append(block)
                while stack:
                    member = stack.pop()
                    if member not in body:
                        body.add(member)
                        stack.extend(before[member])
    heads = sorted(bodies, key=lambda head: -len(bodies[head]))
    loops = {}
    for head in heads:
        if head.successors == [head] and len(head.instructions) == 1:
            continue  # the jump to itself that pads the end of the code
        loop = loops[head] = Loop(head.label, frozenset(bodies[head]))
        around = [other for other in loops.values() if other is not loop and head in other.blocks]
        if around:
            loop.parent = min(around, key=lambda other: len(other.blocks))
            loop.parent.inner.append(loop)
    for head, loop in loops.items():
        within = {block for other in loop.inner for block in other.blocks}
        always = set.intersection(*(dominators[latch] for latch in latches[head]))
        for block in blocks:
            if block in loop.blocks and block not in within:
                (loop.always if block in always else loop.sometimes).extend(block.instructions)
    return list(loops.values())


def hot_loop(loops):
    """The loop with the most fused multiply-adds of its own.

    Raises
    ------
    ValueError
        If there is no loop.
    """
    if not loops:
        raise ValueError("the kernel has no loop.")
    return max(loops, key=lambda loop: (loop.n_multiply_adds(), len(loop.always)))
