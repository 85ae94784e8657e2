"""Programs for Cortex-M processors: their size and, under QEMU, what they print and how long they take."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
GCC, QEMU = "arm-none-eabi-gcc", "qemu-system-arm"
OPTIONS = ("-std=gnu99", "-Os", "-ffunction-sections", "-fdata-sections")
LINKED = ("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-Wl,-T,{HERE / 'flash.ld'}")


@dataclass(frozen=True)
class Board:
    """One of QEMU's.

    With -icount an instruction takes a nanosecond, so ticks of the processor's timer count instructions.
    """

    processor: str
    options: tuple[str, ...]
    machine: str
    instructions_a_tick: float


BOARDS = (
    Board("Cortex-M0", ("-mcpu=cortex-m0", "-mthumb"), "microbit", 62.5),
    Board(
        "Cortex-M4F",
        ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
        "mps2-an386",
        40.0,
    ),
)


def why_not():
    """Why nothing can be built or run here; None if it can."""
    missing = [name for name in (GCC, QEMU) if shutil.which(name) is None]
    return f"{' and '.join(missing)} not found" if missing else None


def build(board, source, *include):
    """The program of a source file, beside it; `include` are folders."""
    program = source.with_suffix(f".{board.processor}")
    folders = [f"-I{folder}" for folder in include]
    command = [
        GCC,
        *board.options,
        *OPTIONS,
        *folders,
        *LINKED,
        HERE / "start.c",
        source,
        "-o",
        program,
        "-lm",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{source.name} for {board.processor}: {done.stderr}")
    return program


def sizes(program):
    """Bytes of flash and of RAM, without the stack."""
    done = subprocess.run(["arm-none-eabi-size", program], capture_output=True, text=True, check=True)
    text, data, bss = map(int, re.findall(r"\d+", done.stdout.splitlines()[1])[:3])
    return text + data, data + bss


def run(board, program):
    """What it prints, word by word."""
    command = [QEMU, "-M", board.machine, "-nographic", "-icount", "shift=0", "-kernel", program]
    done = subprocess.run(
        [*command, "-semihosting-config", "enable=on,target=native"],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    printed = done.stdout + done.stderr
    if done.returncode or "fault" in printed:
        raise RuntimeError(f"{program} on {board.machine}: {printed or done.returncode}")
    return printed.split()
