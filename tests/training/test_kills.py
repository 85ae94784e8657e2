"""Runs in processes that are killed again and again end with the bits of one that was left alone."""

import hashlib
import random
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import hashlib, sys, time
import numpy as np
import numbabp as nbp

path, options, pause = sys.argv[1] or None, eval(sys.argv[2]), float(sys.argv[3])
draw = np.random.RandomState(1)
X = draw.standard_normal((300, 20))
y = (X[:, 0] * X[:, 1] > 0).astype(int)


def look(epoch, metrics):
    print(epoch, flush=True)
    time.sleep(pause)


net = nbp.Network((20, 16, 1), loss="binary_cross_entropy", random_state=0)
history = net.fit(
    X, y, epochs=60, learning_rate=0.01, validation_data=(X[:50], y[:50]), callback=look,
    checkpoint=path, checkpoint_every=0.02, **options,
)
state = net.rule_state(options["update_rule"])
found = [net.parameters, state.moments, state.steps, *history.values(), net.random_state.get_state()[1]]
print("digest", hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest())
"""


OF_A_POPULATION = """
import hashlib, sys, time
import numpy as np
import numbabp as nbp
from numbabp.training import slicing
from numbabp.training.population_loop import PopulationTraining

path, options, pause = sys.argv[1] or None, eval(sys.argv[2]), float(sys.argv[3])
draw = np.random.RandomState(1)
X = draw.standard_normal((300, 20))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
slicing.SLICE_SECONDS = 0.002
show = PopulationTraining._show


def look(training):
    done = int(training.records.n_epochs.sum())
    print(done, flush=True)
    time.sleep(pause)
    show(training)


PopulationTraining._show = look
population = nbp.Population((20, 16, 1), 40, loss="binary_cross_entropy", random_state=0)
history = population.fit(X, y, epochs=600, checkpoint=path, checkpoint_every=0.02, **options)
found = [population.parameters, *history.values(), population.random_state.get_state()[1]]
print("digest", hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest())
"""


def started(path, options, pause):
    program = OF_A_POPULATION if "own_order" in options else PROGRAM
    command = [sys.executable, "-c", program, str(path), repr(options), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def digest_of(process):
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output.split("digest ")[1].strip()


@pytest.mark.parametrize(
    "options",
    [
        {"update_rule": "adam", "early_stopping": True, "patience": 50},
        pytest.param({"update_rule": "momentum", "block_length": 16}, marks=pytest.mark.slow),
        pytest.param({"update_rule": "adam", "batch_size": 32}, marks=pytest.mark.slow),
        pytest.param({"own_order": False, "n_threads": 2, "kernel": "lanes"}, marks=pytest.mark.slow),
        pytest.param({"own_order": True, "n_threads": 2, "kernel": "each"}, marks=pytest.mark.slow),
        pytest.param({"own_order": True, "n_threads": 2, "kernel": "lanes"}, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_killed_again_and_again(tmp_path, options):
    expected = digest_of(started("", options, 0))
    draw, path, kills, last = random.Random(0), tmp_path / "run", 0, -1
    while True:
        # four starts at least, and a share of the epochs in each
        process = started(path, options, 0.01 if kills < 4 else 0)
        if kills >= 4:
            assert digest_of(process) == expected
            break
        line = process.stdout.readline()
        if line.startswith("digest"):  # it had less to do than expected
            assert kills > 0 and line.split()[1] == expected
            process.communicate()
            break
        first = int(line)
        assert first >= last or kills == 0, "it began anew"
        time.sleep(draw.uniform(0.05, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        last = max(last, first)
        kills += 1
    assert last > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    whole = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest_of(started(path, options, 0)) == expected
    assert hashlib.sha256(path.read_bytes()).hexdigest() == whole
