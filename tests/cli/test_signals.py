"""Ctrl-C, SIGTERM and SIGHUP: what is kept, what is said, the exit status, and never a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import interrupted, run, run_json, signalled

import numbabp as nbp
from numbabp.cli.process.keeping import Keeping
from numbabp.cli.process.signals import Interrupted
from numbabp.loading import load
from numbabp.training.checkpoints import files
from numbabp.training.progress import COMPILING

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
SIGNALS = {"SIGINT": (130, "interrupted"), "SIGTERM": (143, "terminated"), "SIGHUP": (129, "hung up")}
TRAIN = ("train", "--dataset", "iris", "--schedule", "constant", "--hidden", 5)
FOR_HOURS = (*TRAIN, "--epochs", 10_000_000)
HINT = "--checkpoint would keep the training."
GOING_ON = "To go on with the training, give --checkpoint first."
GOES_ON = "the same command again goes on from there."


def when_imported(module):
    """Code that sends the signal when a module is looked for."""
    return f"""
class Finder:
    def find_spec(name, path, target=None):
        if name == {module!r}:
            send()

sys.meta_path.insert(0, Finder)
"""


def before(function, of):
    """Code that sends the signal when a function of a module is called."""
    return f"""
import {of} as module
really = module.{function}

def sending(*arguments, **options):
    send()
    return really(*arguments, **options)

module.{function} = sending
"""


@pytest.mark.parametrize(
    "name", ["SIGTERM", *(pytest.param(n, marks=pytest.mark.slow) for n in ("SIGINT", "SIGHUP"))]
)
def test_a_training_with_a_checkpoint_goes_on_to_the_same_bits(folder, name):
    status, word = SIGNALS[name]
    ended = interrupted(*FOR_HOURS, "--checkpoint", "run", "--output", "net", by=getattr(signal, name))
    assert ended == (status, "", f"numbabp: {word}; the training is kept in run: {GOES_ON}\n")
    assert os.listdir(folder) == ["run"]
    epochs = int(files.read("run").standing.arrays["position"][0]) + 3
    run(*TRAIN, "--epochs", epochs, "--checkpoint", "run", "--output", "net")
    run(*TRAIN, "--epochs", epochs, "--output", "whole")
    assert load("net").parameters.tobytes() == load("whole").parameters.tobytes()


def test_a_signal_after_an_epoch_loses_nothing(folder):
    """While validation data are measured a run can't be gone on with: it ends behind that."""
    where = before("measure_one", "numbabp.training.loop")
    ended = signalled(signal.SIGTERM, where, *FOR_HOURS, "--checkpoint", "run", "--early-stopping")
    assert ended == (143, "", f"numbabp: terminated; the training is kept in run: {GOES_ON}\n")
    assert files.read("run").standing.facts["n_watched"] == 1


def test_a_training_without_a_checkpoint_leaves_its_network(folder):
    (folder / "net.model").write_text("old")
    (folder / "net.interrupted-2.model").symlink_to("nowhere")
    for name in ("net.interrupted.model", "net.interrupted-3.model"):
        ended = interrupted(*FOR_HOURS, "--output", "net.model", by=signal.SIGTERM)
        assert ended == (
            143,
            "",
            f"numbabp: terminated; the network as it was is saved to {name}. {GOING_ON}\n",
        )
        assert nbp.load(name).network.layer_sizes == (4, 5, 3)
    names = [f"{part} {what} (cm)" for part in ("sepal", "petal") for what in ("length", "width")]
    (folder / "d.csv").write_text(",".join(names) + "\n5,3,1,0\n")
    assert "setosa" in run("predict", name, "d.csv").stdout
    assert (folder / "net.model").read_text() == "old"
    assert ".tmp" not in "".join(os.listdir(folder))


def test_there_may_be_nothing_to_save(folder):
    line = f"numbabp: interrupted; nothing is saved. {HINT}\n"
    assert interrupted(*FOR_HOURS) == (130, "", line)
    where = before("make_engine", "numbabp.training.loop")
    ended = signalled(signal.SIGINT, where, *FOR_HOURS, "--output", "net")
    line = "numbabp: interrupted; nothing is saved: the training had not begun.\n"
    assert ended == (130, "", line)
    assert os.listdir(folder) == []


def ended(save, **where):
    """What is told of a training that was interrupted."""
    with (
        pytest.raises(Interrupted) as told,
        Keeping("training", so_far=save, has_begun=lambda: True, **where),
    ):
        raise KeyboardInterrupt
    return str(told.value)


def test_a_network_is_saved_where_its_checkpoint_could_not_be_written(folder):
    def save(path):
        path.write_text("network")

    def refuse(path):
        raise ValueError("parameters must be finite.")

    def interrupt(path):
        path.write_text("half")
        raise KeyboardInterrupt

    kept = {"checkpoint": Path("run"), "output": Path("net.model")}
    assert ended(refuse, **kept) == "nothing is saved: parameters must be finite."
    assert ended(interrupt, **kept) == "nothing is saved: interrupted again"
    assert os.listdir(folder) == []
    assert ended(save, **kept) == "the network as it was is saved to net.interrupted.model."
    kept["output"] = Path("gone") / "net.model"
    assert ended(save, **kept) == "the network as it was is saved to net.interrupted-2.model."
    assert (folder / "net.interrupted-2.model").read_text() == "network"
    (folder / "run").touch()
    assert ended(save, **kept) == f"the training is kept in run: {GOES_ON}"


def test_a_network_that_is_trained_is_saved_before_it_is_measured(folder):
    where = when_imported("numbabp.cli.scoring.baselines")
    ended = signalled(signal.SIGTERM, where, *TRAIN, "--output", "net")
    assert ended == (143, "", "numbabp: terminated; the model is saved to net.\n")
    assert os.listdir(folder) == ["net"]
    ended = signalled(signal.SIGTERM, where, *TRAIN, "--checkpoint", "run")
    assert ended == (143, "", f"numbabp: terminated; the training is kept in run: {GOES_ON}\n")


def test_a_signal_while_the_model_is_written(folder):
    (folder / "net").write_text("old")
    where = before("fsync", "os")
    ended = signalled(signal.SIGTERM, where, *TRAIN, "--output", "net")
    line = f"numbabp: terminated; the network as it was is saved to net.interrupted. {GOING_ON}\n"
    assert ended == (143, "", line)
    assert sorted(os.listdir(folder)) == ["net", "net.interrupted"]
    assert (folder / "net").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "arguments", "module"),
    [
        ("SIGINT", ("--help",), "typer"),
        ("SIGTERM", ("demo", "xor"), "numbabp.cli.xor_experiments"),
        ("SIGINT", ("smoke",), "numbabp.cli.smoke"),
        ("SIGHUP", ("info",), "numbabp.cli.machine_facts"),
        ("SIGTERM", ("predict", "net", "d.csv", "--output", "p.csv"), "numbabp.data.predictions"),
        ("SIGINT", ("evaluate", "net", "d.csv", "--json", "f.json"), "numbabp.cli.scoring.several"),
    ],
)
def test_commands_with_nothing_to_keep_say_one_word(folder, name, arguments, module):
    status, word = SIGNALS[name]
    ended = signalled(getattr(signal, name), when_imported(module), *arguments)
    assert ended == (status, "", f"numbabp: {word}.\n")
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    "module", ["numbabp.cli.process.signals", "numbabp.training", "numbabp.cli.process.streams"]
)
def test_a_signal_before_there_is_who_handles_it(folder, module):
    where = when_imported(module)
    assert signalled(signal.SIGINT, where, "--version") == (130, "", "numbabp: interrupted.\n")
    assert signalled(signal.SIGTERM, where, "--version") == (-signal.SIGTERM, "", "")


def test_whenever_a_signal_comes_there_is_one_line_at_most(folder):
    """But for what Python says of one while it starts itself and finds this package."""
    moments = {False: 0, True: 0}
    for n in range(30):
        command = [sys.executable, "-m", "numbabp", "info"]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **options) as program:
            time.sleep(0.01 + 0.02 * n)
            program.send_signal(signal.SIGINT)
            errors = program.communicate(timeout=60)[1]
        is_pythons_own = "Traceback" in errors and "numbabp/cli/" not in errors
        moments[is_pythons_own] += 1
        if not is_pythons_own:
            assert (program.returncode, errors) in [
                (130, "numbabp: interrupted.\n"),
                (-signal.SIGINT, "numbabp: interrupted.\n"),  # out of a string that was executed
                (-signal.SIGINT, ""),  # before Python has a handler
                (0, ""),  # when all was done
            ]
    assert moments[False] > 3


def test_a_signal_in_a_string_that_is_executed(folder):
    """Of an exact KeyboardInterrupt out of one `python -m` would make SIGINT again in the end."""
    program = "import os, signal, sys\nsend = lambda: exec('os.kill(os.getpid(), signal.SIGTERM)')\n"
    (folder / "sitecustomize.py").write_text(program + when_imported("typer"))
    path = os.pathsep.join([str(folder), *sys.path])
    command = [sys.executable, "-m", "numbabp", "info"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "numbabp: terminated.\n")


def test_a_signal_while_data_are_read_from_a_pipe(folder):
    os.mkfifo("pipe.csv")
    command = [sys.executable, "-m", "numbabp", "train", "pipe.csv", "--target", "y", "--output", "net"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # the pipe opens once somebody reads from it
    with subprocess.Popen(command, **options) as program, open("pipe.csv", "w") as pipe:
        pipe.write("a,y\n")
        pipe.flush()
        time.sleep(0.1)
        program.send_signal(signal.SIGTERM)
        output, errors = program.communicate(timeout=60)
    line = "numbabp: terminated; nothing is saved: the training had not begun.\n"
    assert (program.returncode, output, errors) == (143, "", line)


def test_a_signal_while_kernels_are_compiled(folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-m", "numbabp", "demo", "xor"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **options) as program:
        assert program.stderr.readline() == f"{COMPILING}\n"
        program.send_signal(signal.SIGTERM)
        assert program.communicate(timeout=60) == ("", "numbabp: terminated.\n")
    assert program.returncode == 143
    run("demo", "xor")


TWICE = """
import signal
from numbabp import atomic_files
from numbabp.cli.process import signals
from numbabp.training import loop

signals.AGAIN_SECONDS = {seconds}  # not what a busy machine makes of one
really, measure = atomic_files.os.fsync, loop.measure_one

def again(descriptor):
    os.kill(os.getpid(), signal.SIGTERM)
    really(descriptor)

def begin(*arguments):
    atomic_files.os.fsync = again
    send()
    return measure(*arguments)

loop.measure_one = begin
"""


def test_a_signal_that_is_sent_twice_is_one(folder):
    """As GNU timeout does: the checkpoint is written all the same."""
    where = TWICE.format(seconds=1000)
    ended = signalled(signal.SIGTERM, where, *FOR_HOURS, "--checkpoint", "run")
    assert ended == (143, "", f"numbabp: terminated; the training is kept in run: {GOES_ON}\n")
    assert os.listdir(folder) == ["run"]


def test_a_second_signal_ends_what_the_first_has_begun(folder):
    run(*TRAIN, "--epochs", 2, "--checkpoint", "run")
    before = (folder / "run").read_bytes()
    command = (*FOR_HOURS, "--checkpoint", "run", "--output", "net")
    status, output, errors = signalled(signal.SIGINT, TWICE.format(seconds=0), *command)
    assert (status, output) == (130, "")
    assert errors == (
        "numbabp: going on from run, where 2 of 10000000 epochs are done\n"
        f"numbabp: interrupted; the training is kept in run: {GOES_ON}\n"
    )
    assert os.listdir(folder) == ["run"]
    assert (folder / "run").read_bytes() == before


IN_A_FINALIZER = """
class Dropped:
    def __del__(self):
        send()
        sum(range(1000))  # time enough for the handler

from numbabp.cli import console
really = console.compiling_said
console.compiling_said = lambda: (Dropped(), really())[1]
"""


def test_a_signal_whose_exception_is_dropped_comes_again(folder):
    ended = signalled(signal.SIGTERM, IN_A_FINALIZER, *FOR_HOURS)
    assert ended[:2] == (143, "")
    assert ended[2].startswith("numbabp: terminated")
    assert ended[2].count("\n") == 1


def test_signals_that_are_ignored_for_a_command_stay_ignored(folder):
    """As by nohup."""
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    where = nohup + when_imported("numbabp.cli.scoring.baselines")
    status, output, errors = signalled(signal.SIGHUP, where, *TRAIN, "--output", "net")
    assert (status, errors) == (0, "")
    assert "saved to net" in output


def test_what_is_done_is_not_ended(folder):
    """From the last line on nothing is left to be lost, and Python's own end would print a traceback."""
    where = "import atexit; atexit.register(lambda: (send(), sum(range(1000))))"
    assert signalled(signal.SIGINT, where, "--version")[0] == 0
    assert run_json("info")


IN_A_TERMINAL = """
import os, pty, signal, sys

program, terminal = pty.fork()
if not program:
    signal.alarm(110)  # whatever becomes of the test
    os.execv(sys.executable, [sys.executable, "-m", "numbabp", *sys.argv[2:]])
seen = b""
while b"epoch" not in seen:  # the bar
    seen += os.read(terminal, 1 << 16)
if sys.argv[1] == "closed":
    os.close(terminal)
else:
    os.write(terminal, b"\\x03")
    try:
        while part := os.read(terminal, 1 << 16):
            seen += part
    except OSError:  # as Linux says that there is no more
        pass
print(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
print(seen[seen.rfind(b"\\r\\n", 0, -2) :].decode())
"""


@pytest.mark.parametrize("how", ["closed", "ctrl-c"])
def test_a_terminal_with_a_bar(folder, how):
    """One that has been closed can't be written to, which is no reason to lose the run."""
    command = [sys.executable, "-c", IN_A_TERMINAL, how, *map(str, FOR_HOURS), "--checkpoint", "run"]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    status, *lines = done.stdout.split("\n", 1)
    assert (done.stderr, status) == ("", "129" if how == "closed" else "130")
    if how == "ctrl-c":  # and the cursor is back
        assert lines[0].strip().removeprefix("\x1b[?25h") == (
            f"numbabp: interrupted; the training is kept in run: {GOES_ON}"
        )
    assert files.read("run").standing.facts["stop_reason"] is None
    assert os.listdir(folder) == ["run"]
