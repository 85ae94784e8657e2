"""What the log is told: what is planned, compiled, trained, kept and gone on with."""

import logging
import os
import re
import subprocess
import sys

import pytest
from numba import config

import numbabp as nbp
from numbabp.planning import planner

X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, logger="numbabp")
    return caplog


def told(log, level=logging.INFO):
    return [record.getMessage() for record in log.records if record.levelno == level]


def test_how_a_fit_ended(log):
    net = nbp.Network((2, 3, 1), random_state=0)
    history = net.fit(X, y, epochs=5)
    assert [text for text in told(log) if "History" in text] == [
        f"{net!r}: {history!r}, {history.seconds:.3g} s"
    ]


def test_how_a_population_s_and_a_stream_s_fit_ended(log):
    population, net = nbp.Population((2, 3, 1), 5), nbp.Network((2, 3, 1))
    population.fit(X, y, epochs=5)
    net.fit_stream([(X, y)])
    ends = [text for text in told(log) if "History" in text]
    assert [text.rpartition(": <")[0] for text in ends] == [repr(population), repr(net)]


def test_what_is_refused_has_not_ended(log):
    net = nbp.Network((2, 3, 1))
    net.fit(X, y, epochs=1)
    log.clear()
    with pytest.raises(ValueError, match="X"):
        net.fit([[0, 0, 0]], [1])
    assert not told(log)


def test_a_plan_is_told_once_with_its_reasons(log):
    planner._kept.clear()
    net = nbp.Network((2, 3, 1))
    for _ in range(2):
        net.fit(X, y, epochs=7)
    (text,) = (text for text in told(log, logging.DEBUG) if "Predicted" in text)
    assert text == f"{net.architecture}, 4 samples: {net.plan(X, epochs=7).explain()}"


def test_checkpoints_are_told(log, tmp_path):
    path = tmp_path / "run.safetensors"
    for _ in range(2):
        nbp.Network((2, 3, 1), random_state=0).fit(X, y, epochs=5, checkpoint=path)
    assert f"wrote {path}" in told(log, logging.DEBUG)
    assert f"the training is finished in {path}: nothing is trained again" in told(log)


COMPILES = """
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
from numba import njit
import numbabp as nbp
nbp.Network((2, 3, 1)).fit([[0.0, 1.0]], [1.0], kernel="sequential")
njit(lambda x: x + 1)(1)
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
def test_what_is_compiled_is_told_by_name(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", COMPILES],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    compiled = re.findall(r"(.*) compiled (.*) in [0-9.]+ s\n", ran.stderr)
    assert ("numbabp.compiler.compile_events", "numbabp.kernels.sequential.train_sgd_of") in compiled
    assert all(name.startswith("numbabp.kernels.") for _, name in compiled)


def test_nothing_is_said_unasked(capfd):
    nbp.Network((2, 3, 1)).fit(X, y, epochs=5)
    assert capfd.readouterr() == ("", "")
