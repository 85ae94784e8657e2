"""Standard streams that are closed, full, read by nobody, or no terminal."""

import os
import shlex
import subprocess
import sys

import pytest

import numbabp as nbp
from numbabp.training.progress import COMPILING

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a POSIX shell closes streams")
TRAIN = "train --dataset iris --epochs 1 --output net"


def in_shell(command, redirection):
    """Status, standard output and error of a command line in a shell with such a redirection."""
    program = f"{shlex.quote(sys.executable)} -m numbabp {command} {redirection}"
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(folder, closed):
    status, output, errors = in_shell(TRAIN, closed)
    assert status == 0
    assert "Traceback" not in errors
    assert ("saved to net" in output) == (">&- " not in f" {closed} ".replace("2>&-", ""))
    assert nbp.load("net").network.layer_sizes == (4, 100, 3)


def test_what_native_code_prints_does_not_end_in_files(folder):
    """The first file that is opened gets the number of a stream that was closed."""
    program = (
        "import os\n"
        "from numbabp.cli.process.streams import open_closed_ones\n"
        "open_closed_ones()\n"
        "file = open('f', 'w')\n"
        "os.write(1, b'printed'); os.write(2, b'printed')\n"
        "assert file.fileno() > 2"
    )
    done = subprocess.run(["sh", "-c", f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} >&- 2>&-"])
    assert done.returncode == 0
    assert (folder / "f").read_text() == ""


@pytest.mark.parametrize("command", ["--version >&-", "--help >&-", "nosuch >&-"])
def test_closed_output_of_what_trains_nothing(folder, command):
    status, _, errors = in_shell(command, "")
    assert status == (2 if "nosuch" in command else 0)
    assert "Traceback" not in errors


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("command", ["--help", "info", "train --dataset iris --epochs 1"])
def test_full_disk(folder, command):
    status, _, errors = in_shell(command, ">/dev/full")
    assert status == 1
    assert errors.splitlines()[-1] == "numbabp: standard output: No space left on device."
    assert "Traceback" not in errors


def test_importing_without_standard_output():
    program = "import sys; sys.stdout = sys.stderr = None; import numbabp.cli.app"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_training_without_standard_error(monkeypatch):
    """As in a program with windows and no console."""
    monkeypatch.setattr(sys, "stderr", None)
    assert nbp.Network((2, 3, 1)).fit([[0.0, 1.0]], [1.0], epochs=1).n_epochs == 1


def test_compiling_is_said_once_and_loading_is_not(folder, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder / "cache"))
    status, output, errors = in_shell("demo xor", "")
    assert (status, errors) == (0, f"{COMPILING}\n")
    assert in_shell("demo xor", "") == (0, output, "")


SHELLS = {"bash": "complete -o default", "zsh": "#compdef numbabp", "fish": "complete --command numbabp"}


@pytest.fixture
def any_shell(monkeypatch):
    """Completion for a shell that is named, not for the one that runs."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_shown(shell, any_shell):
    status, output, _ = in_shell(f"--show-completion {shell}", "")
    assert status == 0
    assert SHELLS[shell] in output
    assert "_NUMBABP_COMPLETE=complete_" in output


@pytest.mark.parametrize(
    ("words", "found"),
    [("numbabp tr", ["train"]), ("numbabp train --update", ["--update-rule"]), ("numbabp demo x", ["xor"])],
)
def test_completion_completes(monkeypatch, words, found):
    monkeypatch.setenv("_NUMBABP_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert in_shell("", "")[1].split() == found


def test_completion_is_installed(folder, monkeypatch, any_shell):
    monkeypatch.setenv("HOME", str(folder))
    status, output, _ = in_shell("--install-completion bash", "")
    assert status == 0
    assert "bash completion installed" in output
    assert any("complete_bash" in path.read_text() for path in folder.rglob("*") if path.is_file())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize(("end", "status"), [("end_streams()", 129), ("", 120)])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_is_left_in_a_buffer_does_not_change_the_status(stream, end, status):
    """As of a line in whose midst a signal came, on a terminal that is closed by then."""
    program = (
        "import sys\n"
        "from numbabp.cli.process.streams import end_streams\n"
        f"sys.{stream} = sys.__{stream}__ = open(sys.{stream}.fileno(), 'w', closefd=False)\n"
        f"sys.{stream}.write('left')\n"
        f"{end}\n"
        "sys.exit(129)\n"
    )
    with open("/dev/full", "w") as full:
        assert subprocess.run([sys.executable, "-c", program], **{stream: full}).returncode == status
