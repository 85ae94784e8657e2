"""Cycles of a loop on one scheduler of a GPU: what its pipes take, and what waiting for results adds.

A scheduler issues one instruction of one of its warps a clock, in the order of each warp's code, if the
pipe is free and the registers that it reads are written. `bound` is the time of the busiest pipe, which any
number of warps can at best reach; `simulate` lets some warps run side by side, with the latencies below.
"""

from .cards import SCHEDULERS, WARP

LATENCY = {"FP32": 4, "IMAD": 4, "ALU": 4, "uniform": 8, "branch/other": 8, "MUFU": 22, "FP64": 8}
"""Clocks from issue until a result can be read.

Round numbers of the size that microbenchmarks report (Arafa et al. 2019, "Low Overhead Instruction Latency
Characterization for NVIDIA GPGPUs"; "Benchmarking and Dissecting the Nvidia Hopper GPU Architecture", 2024,
arXiv 2402.13499), the same for all GPUs since Turing; not measured here.
"""
LATENCY_OF_MEMORY = {"LDG": 36, "LD": 36, "LDL": 36, "LDC": 30, "S2R": 20, "LDS": 26, "SHFL": 24, "ATOMS": 30}
"""Of loads from memory, those that find their data in the first cache."""
SETTING_PREDICATE = 6


def cycles(instruction, multiprocessor, *, broadcast=True):
    """Clocks for which an instruction of one warp keeps the lanes of its pipe that one scheduler has busy."""
    lanes = multiprocessor.lanes(instruction.pipe)
    if lanes is None:
        return 1.0
    if instruction.is_conversion_of_double or (instruction.opcode == "MUFU" and _is_double(instruction)):
        lanes = min(lanes, multiprocessor.fp64)
    busy = WARP * SCHEDULERS / lanes
    if instruction.opcode.endswith("2") and instruction.opcode in ("FFMA2", "FADD2", "FMUL2"):
        busy *= 2
    wide = instruction.bits // 32
    if instruction.pipe == "LSU" and wide > 1 and not (broadcast and instruction.opcode in ("LDS", "LDG")):
        busy *= wide
    return busy


def _is_double(instruction):
    return any(word.endswith("64H") for word in instruction.modifiers)


def pipe_cycles(instructions, multiprocessor, *, broadcast=True):
    """Clocks of one scheduler for one warp and iteration, by pipe; "issue" is one for each instruction.

    Parameters
    ----------
    instructions
        Of an iteration.
    multiprocessor : Multiprocessor
    broadcast : bool
        Whether the lanes of a warp load one address, so that a wide load costs no more than a narrow one.
    """
    found = {"issue": float(len(instructions))}
    for instruction in instructions:
        pipe = instruction.pipe
        if multiprocessor.lanes(pipe) is None:
            continue
        busy = cycles(instruction, multiprocessor, broadcast=broadcast)
        found[pipe] = found.get(pipe, 0.0) + busy
    if "IMAD" in found:  # on the floating-point lanes, or on half of them
        integer = sum(1 for instruction in instructions if instruction.pipe == "IMAD")
        found["FP32"] = found.get("FP32", 0.0) + integer * WARP * SCHEDULERS / multiprocessor.fp32
    return found


def bound(instructions, multiprocessor, *, broadcast=True):
    """The busiest pipe and its clocks for one warp and iteration."""
    found = pipe_cycles(instructions, multiprocessor, broadcast=broadcast)
    return max(found.items(), key=lambda item: item[1])


def simulate(instructions, multiprocessor, n_warps, *, broadcast=True, iterations=6):
    """Clocks of one scheduler for one iteration of all of some warps, once they have settled.

    Parameters
    ----------
    instructions
        Of an iteration, in the order of the code.
    n_warps : int
        On this scheduler.
    iterations : int
        How many to simulate; the first half is not counted.
    """
    plan = [_prepare(instruction, multiprocessor, broadcast) for instruction in instructions]
    n = len(plan) * iterations
    position = [0] * n_warps
    ready = [{} for _ in range(n_warps)]
    free = {}
    not_before = [0.0] * n_warps
    warm_up = len(plan) * (iterations // 2) * n_warps
    clock, turn, begun = 0.0, 0, 0.0
    for issued in range(n * n_warps):
        if issued == warm_up:
            begun = clock
        best, start = None, None
        for k in range(n_warps):  # the warp that can go first; on a tie, the next in turn
            warp = (turn + k) % n_warps
            if position[warp] >= n:
                continue
            pipe, _, _, read, _ = plan[position[warp] % len(plan)]
            own = ready[warp]
            at = max(clock, not_before[warp], free.get(pipe, 0.0), *(own.get(name, 0.0) for name in read))
            if start is None or at < start:
                best, start = warp, at
                if at <= clock:
                    break
        pipe, busy, latency, _, written = plan[position[best] % len(plan)]
        if pipe is not None:
            free[pipe] = start + busy
        for name in written:
            ready[best][name] = start + latency
        clock = start + 1
        not_before[best] = start + 1
        position[best] += 1
        turn = best + 1
    return (clock - begun) / (iterations - iterations // 2)


def _prepare(instruction, multiprocessor, broadcast):
    read, written = instruction.registers()
    pipe = instruction.pipe if multiprocessor.lanes(instruction.pipe) is not None else None
    busy = cycles(instruction, multiprocessor, broadcast=broadcast)
    if pipe == "IMAD":
        pipe = "FP32"
    if pipe == "LSU":
        latency = LATENCY_OF_MEMORY.get(instruction.opcode, 30)
    else:
        latency = LATENCY[instruction.pipe]
        if any("P" in name for name in written):
            latency = max(latency, SETTING_PREDICATE)
    return pipe, busy, max(latency, busy), sorted(read), sorted(written)
