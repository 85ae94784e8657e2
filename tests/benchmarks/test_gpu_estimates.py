"""The estimates of kernels for GPUs: parsing of machine code, occupancy, the model of a scheduler."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import gpu_estimates  # noqa: E402
from benchmarks.on_gpu import cards, sass, schedule  # noqa: E402

HOPPER, TURING = cards.MULTIPROCESSORS[9, 0], cards.MULTIPROCESSORS[7, 5]

NESTED = """
	.section	.text.__cuda_sm20_div,"ax",@progbits
__cuda_sm20_div:
        /*0000*/                   DFMA R2, R2, R4, R2 ;
        /*0010*/                   DFMA R2, R2, R4, R2 ;
        /*0020*/                   RET.REL.NODEC R8 `(main) ;
	.section	.text.main,"ax",@progbits
	.sectioninfo	@"SHI_REGISTERS=168"
        .other          main,@"STO_CUDA_ENTRY STV_DEFAULT"
main:
.text.main:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   LDG.E.64 R2, desc[UR4][R10.64+0x8] ;
.L_x_1:
        /*0020*/                   FFMA R0, R2, -R3.reuse, R0 ;
        /*0030*/                   FFMA R4, R2, R3, R4 ;
        /*0040*/                   ISETP.NE.AND P1, PT, R5, RZ, PT ;
        /*0050*/               @P1 BRA `(.L_x_3) ;
.L_x_2:
        /*0060*/                   IADD3 R5, R5, 0x1, RZ ;
        /*0070*/               @P0 BRA `(.L_x_1) ;
        /*0080*/                   MUFU.EX2 R0, R0 ;
        /*0090*/              @!P2 BRA `(.L_x_0) ;
        /*00a0*/                   EXIT ;
.L_x_3:
        /*00b0*/                   FMUL R0, R0, R0 ;
        /*00c0*/                   BRA `(.L_x_2) ;
.L_x_4:
        /*00d0*/                   BRA `(.L_x_4) ;
"""


def instruction(line):
    (block, *_) = sass.parse(f".section .text.f\n /*0000*/ {line} ;")
    return block.instructions[0]


def test_loops_are_found_with_what_was_moved_out_of_them():
    outer, inner = sass.loops_of(sass.parse(NESTED))
    assert (outer.label, inner.label) == (".L_x_0", ".L_x_1")
    assert inner.parent is outer and inner.depth == 2
    assert [i.opcode for i in outer.always] == ["LDG", "MUFU", "BRA"]
    assert [i.opcode for i in inner.always] == ["FFMA", "FFMA", "ISETP", "BRA", "IADD3", "BRA"]
    assert [i.opcode for i in inner.sometimes] == ["FMUL", "BRA"]
    assert sass.hot_loop([outer, inner]) is inner
    assert inner.mix() == {**dict.fromkeys(sass.PIPES, 0), "FP32": 2, "ALU": 2, "branch/other": 2}
    assert inner.mix(sometimes=True)["FP32"] == 3


def test_loops_within_count_as_often_as_they_run():
    outer, _ = sass.loops_of(sass.parse(NESTED))
    opcodes = [i.opcode for i in gpu_estimates.flatten(outer, {".L_x_1": 3}, sometimes=False)]
    assert opcodes.count("FFMA") == 6
    assert opcodes[0] == "LDG" and opcodes[-2:] == ["MUFU", "BRA"]


@pytest.mark.parametrize(
    ("line", "read", "written"),
    [
        ("FFMA R0, R2, -R3.reuse, |R4|", {"R2", "R3", "R4"}, {"R0"}),
        ("@!P1 FMUL R0, R2, R2", {"P1", "R2"}, {"R0"}),
        ("LDG.E.64 R2, desc[UR4][R10.64+0x8]", {"UR4", "R10", "R11"}, {"R2", "R3"}),
        ("LDS.128 R4, [R8+0x10]", {"R8"}, {"R4", "R5", "R6", "R7"}),
        ("STS.64 [R8], R4", {"R8", "R4", "R5"}, set()),
        ("DFMA R2, R4, R6, R2", {"R2", "R3", "R4", "R5", "R6", "R7"}, {"R2", "R3"}),
        ("ISETP.GE.AND P0, PT, R1, R2, PT", {"R1", "R2"}, {"P0"}),
        ("IADD3 R0, P0, R1, R2, RZ", {"R1", "R2"}, {"R0", "P0"}),
        ("SEL R0, R1, R2, P0", {"R1", "R2", "P0"}, {"R0"}),
        ("SHFL.BFLY PT, R0, R1, 0x10, 0x1f", {"R1"}, {"R0"}),
    ],
)
def test_registers_read_and_written(line, read, written):
    assert instruction(line).registers() == (read, written)


def test_no_code_is_an_error():
    with pytest.raises(ValueError, match="no code"):
        sass.parse("")


@pytest.mark.parametrize(
    ("capability", "registers", "shared", "threads", "blocks", "limit"),
    [  # as NVIDIA's occupancy calculator has them
        ((9, 0), 168, 0, 128, 3, "registers"),
        ((9, 0), 128, 0, 128, 4, "registers"),
        ((9, 0), 32, 0, 256, 8, "warps"),
        ((9, 0), 32, 0, 32, 32, "blocks"),
        ((9, 0), 32, 227 * 1024, 256, 1, "shared memory"),
        ((8, 0), 64, 0, 256, 4, "registers"),
        ((7, 5), 32, 0, 256, 4, "warps"),
        ((7, 5), 32, 0, 32, 16, "blocks"),
    ],
)
def test_occupancy(capability, registers, shared, threads, blocks, limit):
    found = cards.occupancy(capability, registers, shared, threads)
    assert (found.blocks, found.warps, found.limit) == (blocks, blocks * threads // 32, limit)


def test_a_block_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="too many registers"):
        cards.occupancy((9, 0), 255, 0, 1024)


def test_a_card_that_is_not_known_is_an_error():
    with pytest.raises(ValueError, match="H100"):
        gpu_estimates.card_of("H1")


CHAIN = [instruction("FFMA R0, R0, R1, R2")] * 8
INDEPENDENT = [instruction(f"FFMA R{k}, R{k}, R100, R101") for k in range(8)]


@pytest.mark.parametrize(
    ("instructions", "multiprocessor", "n_warps", "clocks"),
    [
        (CHAIN, HOPPER, 1, 8 * 4),  # each waits for the one before
        (CHAIN, HOPPER, 4, 8 * 4),  # the others fill the gaps
        (CHAIN, HOPPER, 8, 8 * 8),
        (INDEPENDENT, HOPPER, 1, 8),
        (INDEPENDENT, TURING, 1, 16),  # half the lanes
        ([instruction(f"MUFU.EX2 R{k}, R9") for k in range(8)], HOPPER, 2, 2 * 8 * 8),
    ],
)
def test_a_scheduler_of_known_code(instructions, multiprocessor, n_warps, clocks):
    assert schedule.simulate(instructions, multiprocessor, n_warps) == pytest.approx(clocks, rel=0.02)


def test_the_busiest_pipe():
    assert schedule.bound(CHAIN, HOPPER) == ("issue", 8)
    assert schedule.bound(CHAIN, TURING) == ("FP32", 16)
    mixed = [*CHAIN, instruction("IADD3 R0, R1, R2, RZ"), *[instruction("MUFU.RCP R0, R1")] * 2]
    assert schedule.pipe_cycles(mixed, HOPPER) == {"issue": 11, "FP32": 8, "ALU": 2, "MUFU": 16}
    wide = [instruction("LDS.128 R4, [R8]")]
    assert schedule.bound(wide, HOPPER, broadcast=True) == ("LSU", 4)
    assert schedule.bound(wide, HOPPER, broadcast=False) == ("LSU", 16)


@pytest.fixture
def stand_in():
    pytest.importorskip("numba_cuda")
    from numbabp.compiler import cuda as compiling

    if compiling.SIMULATED:
        pytest.skip("the simulator compiles nothing")
    try:
        sass.nvdisasm()
    except sass.DisassemblerMissing as reason:
        pytest.skip(str(reason))
    import gpu_stand_in

    return gpu_stand_in.kernel_and_signature()


@pytest.mark.parametrize("card", ["T4", "A100", "H100", "B200"])
def test_a_real_kernel(stand_in, card):
    found = gpu_estimates.estimate(*stand_in, 1, 128, 0, 65536, card)
    # forwards 30 multiply-adds, backwards 31 and more; 11 exponentials and divisions, one logarithm
    assert found.mix["FP32"] > 100 and found.mix["MUFU"] >= 12 and found.mix["FP64"] == 0
    assert found.stack == found.spills == 0
    assert found.predicted <= 1.001 * found.bound
    assert found.at_worst <= 1.001 * found.predicted
    # a multiprocessor can't issue more than one instruction a clock from each of its schedulers
    issue = found.card.n_multiprocessors * 4 * found.card.clock * 32 / found.n_instructions
    assert 0.1 * issue < found.predicted <= 1.001 * issue
    fewer = gpu_estimates.estimate(*stand_in, 1, 128, 0, 1280, card)
    assert fewer.predicted < 0.5 * found.predicted  # most of the card has nothing to do
    row = gpu_estimates.markdown_row(found, n_weights=30)
    assert row.count("|") == gpu_estimates.HEADER.splitlines()[0].count("|")


def test_more_registers_than_fit_at_once_make_more_turns(stand_in):
    found = gpu_estimates.estimate(*stand_in, 1, 128, 0, 65536, "H100")
    small = dataclasses.replace(cards.CARDS["H100"], name="half", n_multiprocessors=66)
    half = gpu_estimates.estimate(*stand_in, 1, 128, 0, 65536, small)
    assert half.waves > found.waves
    assert 0.4 < half.predicted / found.predicted < 0.75


def test_the_command(stand_in):
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_estimates.py"), "--cards", "H100", "--loops"]
    done = subprocess.run(
        [*command, "gpu_stand_in:kernel_and_signature"], capture_output=True, text=True, cwd=ROOT / "tests"
    )
    assert done.returncode == 0, done.stderr
    assert "| H100, 132 x 1.98 GHz |" in done.stdout and "| loop |" in done.stdout
