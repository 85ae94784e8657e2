"""The command line as tests call it."""

import json
import os
import signal
import subprocess
import sys

from typer.testing import CliRunner

from numbabp.cli.app import app
from numbabp.training.progress import COMPILING


def run(*arguments, status=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == status, result.output
    return result


def run_json(*arguments, status=0):
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(run(*arguments, "--json", status=status).stdout, parse_constant=refuse)


def without_compiling(text):
    """What is on standard error besides the line of runs that find no kernel in the cache folder."""
    return text.removeprefix(f"{COMPILING}\n")


def refused(*arguments):
    """The one line on standard error of a run that ends with status 2."""
    result = run(*arguments, status=2)
    assert result.stdout == ""
    line = without_compiling(result.stderr).removesuffix("\n")
    assert "\n" not in line
    assert line.startswith("numbabp: ")
    return line


TELLS_WHEN_IT_TRAINS = """
import os, sys
from numbabp.cli import main
from numbabp.training.progress import ProgressBar

pipes = [int(sys.argv.pop(1))]

def is_shown(bar):  # asked between slices of training
    if pipes:
        os.write(pipes.pop(), b"!")
    return False

ProgressBar.is_shown = property(is_shown)
main()
"""


def interrupted(*arguments, by=signal.SIGINT):
    """Status, standard output and standard error of a program that gets a signal in its first training."""
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", TELLS_WHEN_IT_TRAINS, str(write), *map(str, arguments)],
        pass_fds=[write],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        os.close(write)
        told = os.read(read, 1)  # or nothing, if the program has ended
        os.close(read)
        if told:
            program.send_signal(by)
        output, errors = program.communicate(timeout=120)
    return program.returncode, output, without_compiling(errors)


SENDS_ITSELF_A_SIGNAL = """
import os, sys
from numbabp.cli import main

to_send = [int(sys.argv.pop(1))]

def send():
    if to_send:
        os.kill(os.getpid(), to_send.pop())

{}
main()
"""


def signalled(number, where, *arguments):
    """Status and both outputs of a program that sends itself a signal where its own code calls `send`."""
    program = SENDS_ITSELF_A_SIGNAL.format(where)
    command = [sys.executable, "-c", program, str(int(number)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, without_compiling(done.stderr)
