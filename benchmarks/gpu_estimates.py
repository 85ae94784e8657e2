"""What a training kernel should reach on a GPU that is not at hand: occupancy, instructions, steps a second.

    python benchmarks/gpu_estimates.py [--cards H100,H200,A100]
    python benchmarks/gpu_estimates.py MODULE:FUNCTION [--networks 65536] [--threads-per-network 1]
           [--threads-per-block 128] [--shared BYTES] [--cards H100,H200,A100] [--weights 30] [--loops]

By itself it does so for the tasks of docs/gpu.md. Otherwise FUNCTION() returns a kernel made by
`numbabp.compiler.cuda.kernel` and the Numba types of its arguments. The kernel is compiled for
each card's compute capability, its machine code disassembled (by nvdisasm: `pip install
nvidia-cuda-nvdisasm`), and the loop with the most multiply-adds taken for the one that goes through
samples. Columns: what the busiest pipe allows with any number of warps ("bound"), and what as many warps as
there are reach, waiting for each other's results ("predicted"; with instructions that not every step
executes, "at worst"). Memory is taken to be in the first cache, and clocks to be the highest.
Not an asv suite.
"""

import argparse
import importlib
import sys
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.on_gpu import sass, schedule
from benchmarks.on_gpu.cards import CARDS, SCHEDULERS, WARP, Card, Occupancy, occupancy

POPULATIONS = ((65_536, "thread", "2-10-1", 30), (4_096, "warp", "64-32-10", 2_368))
"""Networks, kernel, layer sizes, weights of one."""
LARGE = (784, 2048, 2048, 10)


@dataclass(frozen=True)
class Estimate:
    """What is expected of one kernel on one card."""

    card: Card
    registers: int
    shared: int
    """Bytes of a block, static and dynamic."""
    stack: int
    spills: int
    occupancy: Occupancy
    loop: str
    mix: dict = field(repr=False)
    """Instructions that each step executes, by pipe."""
    n_instructions: int
    """That each step executes, of one warp."""
    n_sometimes: int
    """That some steps execute besides."""
    busiest: str
    """Pipe that bounds the rate; "issue" is the scheduler itself."""
    cycles: float
    """Of that pipe, for one warp's step on one scheduler."""
    warps_per_scheduler: float
    """That run side by side, on the multiprocessor that has most."""
    waves: int
    """Turns that blocks take because not all fit at once."""
    bound: float
    """Network-steps a second if the busiest pipe never waited, and all multiprocessors had as much to do."""
    predicted: float
    """Network-steps a second."""
    at_worst: float
    """The same if every step executed what only some do."""


def estimate(
    compiled,
    signature,
    threads_per_network,
    threads_per_block,
    shared_bytes,
    n_networks,
    card,
    *,
    loop=None,
    trips=None,
    steps_per_iteration=1,
    broadcast=None,
):
    """Predict the network-steps a second of a kernel on a card.

    Parameters
    ----------
    compiled
        A kernel from `numbabp.compiler.cuda.kernel`.
    signature : tuple
        Numba types of its arguments.
    threads_per_network, threads_per_block : int
    shared_bytes : int
        Dynamic shared memory of a block; what the kernel declares itself is added.
    n_networks : int
        Trained in one launch.
    card : Card or str
        A name of `CARDS`.
    loop : str, optional
        Label of the loop that goes through samples; by default the one with the most multiply-adds.
    trips : dict of str to int, optional
        How often loops within it run in one iteration, by label; by default once.
    steps_per_iteration : int
        Samples that one iteration of the loop takes.
    broadcast : bool, optional
        Whether wide loads of a warp read one address; by default if a thread trains a network.

    Raises
    ------
    DisassemblerMissing
        If there is no nvdisasm.
    ValueError
        If the kernel has no loop, no block fits a multiprocessor, or the card is not known.
    """
    from numbabp.compiler.cuda import machine_code

    card = card_of(card) if isinstance(card, str) else card
    code = machine_code(compiled, signature, card.compute_capability)
    loops = sass.loops_of(sass.parse(sass.disassemble(code.cubin)))
    step = _choose(loops, loop)
    of = card.multiprocessor
    if broadcast is None:
        broadcast = threads_per_network == 1
    shared = code.shared + shared_bytes
    room = occupancy(card.compute_capability, code.registers, shared, threads_per_block)
    always, all_of_it = (flatten(step, trips or {}, sometimes) for sometimes in (False, True))
    busiest, busy = schedule.bound(always, of, broadcast=broadcast)
    busy /= steps_per_iteration

    n_blocks = -(-n_networks * threads_per_network // threads_per_block)
    warps_per_block = -(-threads_per_block // WARP)
    waves = _waves(n_blocks, card.n_multiprocessors, room.blocks)
    warps = [-(-blocks * warps_per_block // SCHEDULERS) for blocks in waves]

    def rate(instructions):
        side_by_side = {
            w: schedule.simulate(instructions, of, w, broadcast=broadcast) / steps_per_iteration
            for w in set(warps)
        }
        return n_networks * card.clock / sum(side_by_side[w] for w in warps)

    networks_per_warp = WARP / threads_per_network
    return Estimate(
        card,
        code.registers,
        shared,
        code.stack,
        code.spills,
        room,
        step.label,
        sass.mix_of(always),
        round(len(always) / steps_per_iteration),
        round((len(all_of_it) - len(always)) / steps_per_iteration),
        busiest,
        busy,
        max(blocks * warps_per_block for blocks in waves) / SCHEDULERS,
        len(waves),
        card.n_multiprocessors * SCHEDULERS * card.clock * networks_per_warp / busy,
        rate(always),
        rate(all_of_it),
    )


def card_of(name):
    """The card of a name.

    Raises
    ------
    ValueError
        If it is not known, saying which are.
    """
    if name not in CARDS:
        raise ValueError(f"card {name!r} is not known; known are {', '.join(CARDS)}.")
    return CARDS[name]


def _choose(loops, label):
    if label is None:
        return sass.hot_loop(loops)
    for loop in loops:
        if loop.label == label:
            return loop
    raise ValueError(f"there is no loop {label!r}; there are {', '.join(loop.label for loop in loops)}.")


def flatten(loop, trips, sometimes):
    """Instructions of one iteration in order, with those of the loops within as often as they run."""
    parts = [(i.address, [i]) for i in [*loop.always, *(loop.sometimes if sometimes else [])]]
    for inner in loop.inner:
        body = flatten(inner, trips, sometimes)
        if body:
            parts.append((body[0].address, body * trips.get(inner.label, 1)))
    return [instruction for _, part in sorted(parts, key=lambda part: part[0]) for instruction in part]


def _waves(n_blocks, n_multiprocessors, room):
    """Blocks of the fullest multiprocessor in each turn."""
    waves = []
    while n_blocks > 0:
        taken = min(n_blocks, room * n_multiprocessors)
        waves.append(-(-taken // n_multiprocessors))
        n_blocks -= taken
    return waves


HEADER = (
    "| card | registers | shared bytes | stack, spills | warps a multiprocessor, limited by "
    "| instructions a step | FP32, IMAD, ALU, MUFU, LSU, FP64, other | busiest | clocks "
    "| warps a scheduler, turns | bound | predicted | at worst |\n"
    "|---|---:|---:|---:|---|---:|---|---|---:|---:|---:|---:|---:|"
)


def markdown_row(found, n_weights=None):
    """One line of the table; with the number of weights, CUPS beside the predicted steps a second."""
    mix = [found.mix[pipe] for pipe in ("FP32", "IMAD", "ALU", "MUFU", "LSU", "FP64")]
    mix.append(found.mix["uniform"] + found.mix["branch/other"])
    predicted = f"{found.predicted:.2e}"
    if n_weights is not None:
        predicted += f" ({found.predicted * n_weights:.1e} CUPS)"
    cells = [
        f"{found.card.name}, {found.card.n_multiprocessors} x {found.card.clock / 1e9:.2f} GHz",
        found.registers,
        f"{found.shared:,}",
        f"{found.stack}, {found.spills}",
        f"{found.occupancy.warps}, {found.occupancy.limit}",
        f"{found.n_instructions} + {found.n_sometimes}",
        ", ".join(map(str, mix)),
        found.busiest,
        f"{found.cycles:,.0f}",
        f"{found.warps_per_scheduler:g}, {found.waves}",
        f"{found.bound:.2e}",
        predicted,
        f"{found.at_worst:.2e}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def loops_table(compiled, signature, compute_capability):
    """All loops of a kernel as Markdown, to see which goes through the samples."""
    from numbabp.compiler.cuda import machine_code

    code = machine_code(compiled, signature, compute_capability)
    lines = ["| loop | depth | always | sometimes | multiply-adds |", "|---|---:|---:|---:|---:|"]
    for loop in sass.loops_of(sass.parse(sass.disassemble(code.cubin))):
        counts = [loop.depth, len(loop.always), len(loop.sometimes), loop.n_multiply_adds()]
        lines.append(f"| {' | '.join(map(str, [loop.label, *counts]))} |")
    return "\n".join(lines)


def print_tasks(cards):
    """Tables of what is expected of the tasks that `gpu.py` measures."""
    from benchmarks.gpu_machine_code import Case
    from numbabp.architecture import Architecture
    from numbabp.compiler.arithmetic.numerics import APPROXIMATE, FAST
    from numbabp.devices.memory import Device
    from numbabp.kernels.cuda import signatures
    from numbabp.options import Options
    from numbabp.planning.cuda_costs import ns_per_blocked_step, ns_per_resident_step
    from numbabp.planning.gpu_layouts import resident_shape
    from numbabp.training.engines.population_cuda import make_train

    for (n_networks, kernel, sizes, n_weights), numerics in product(POPULATIONS, (FAST, APPROXIMATE)):
        print(f"{n_networks:,} x {sizes}, float32, kernel `{kernel}`, {numerics} numerics:\n\n{HEADER}")
        for card in cards:
            mapping = Case(kernel, sizes, "float32", "sgd", card.compute_capability).mapping()
            mapping = replace(mapping, of=replace(mapping.of, numerics=numerics))
            found = estimate(
                make_train(mapping),
                signatures.of_population("float32"),
                mapping.threads // mapping.networks,
                mapping.threads,
                mapping.shared,
                n_networks,
                card,
            )
            print(markdown_row(found, n_weights), flush=True)
        print()
    print(f"One {'-'.join(map(str, LARGE))} network, float32:\n")
    print("| card | kernel | us a step | CUPS |\n|---|---|---:|---:|")
    architecture = Architecture.checked(LARGE, loss="categorical_cross_entropy", dtype="float32")
    for card in cards:
        of = card.multiprocessor
        device = Device(
            0, card.name, card.compute_capability, card.n_multiprocessors, card.clock, of.shared_per_block,
            of.shared, card.memory_bandwidth, card.cache_bytes,
        )  # fmt: skip
        shape = resident_shape(architecture, Options(), device)
        steps = {"`blocked`, 64 samples a block": ns_per_blocked_step(LARGE, 4, 64, False, device)}
        if shape.all_shared_bytes <= device.shared_per_block:
            steps["`resident`"] = ns_per_resident_step(shape, device)
        for kernel, ns in steps.items():
            print(f"| {card.name} | {kernel} | {ns / 1e3:.1f} | {architecture.n_weights / ns * 1e9:.1e} |")


def _parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "function", metavar="MODULE:FUNCTION", nargs="?", help="returns a kernel and its signature"
    )
    parser.add_argument("--networks", type=int, default=65536)
    parser.add_argument("--threads-per-network", type=int, default=1)
    parser.add_argument("--threads-per-block", type=int, default=128)
    parser.add_argument("--shared", type=int, default=0, metavar="BYTES", help="dynamic, of a block")
    parser.add_argument("--weights", type=int, help="of a network, for CUPS")
    parser.add_argument("--steps-per-iteration", type=int, default=1)
    parser.add_argument("--loop", metavar="LABEL", help="that goes through samples")
    parser.add_argument(
        "--trips", metavar="LABEL=N", action="append", default=[], help="runs of a loop within it"
    )
    parser.add_argument("--loops", action="store_true", help="print the loops of the first card's code, too")
    parser.add_argument("--cards", default="H100,H200,A100", help=f"of {', '.join(CARDS)}")
    return parser.parse_args()


def main():
    arguments = _parse()
    if arguments.function is None:
        try:
            print_tasks([card_of(name) for name in arguments.cards.split(",")])
        except (sass.DisassemblerMissing, ValueError) as error:
            sys.exit(f"{Path(sys.argv[0]).name}: {error}")
        return
    module, _, name = arguments.function.partition(":")
    sys.path.insert(0, ".")
    compiled, signature = getattr(importlib.import_module(module), name)()
    try:
        trips = {label: int(n) for label, _, n in (text.partition("=") for text in arguments.trips)}
        cards = [card_of(name) for name in arguments.cards.split(",")]
        if arguments.loops:
            print(loops_table(compiled, signature, cards[0].compute_capability), end="\n\n")
        print(HEADER)
        for card in cards:
            found = estimate(
                compiled,
                signature,
                arguments.threads_per_network,
                arguments.threads_per_block,
                arguments.shared,
                arguments.networks,
                card,
                loop=arguments.loop,
                trips=trips,
                steps_per_iteration=arguments.steps_per_iteration,
            )
            print(markdown_row(found, arguments.weights), flush=True)
    except (sass.DisassemblerMissing, ValueError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")


if __name__ == "__main__":
    main()
