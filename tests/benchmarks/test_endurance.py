"""A few of the kills, interrupts, damages and races that benchmarks/endurance.py tries by the thousand."""

import os

import pytest

from benchmarks import endurance
from benchmarks.on_endurance import cases

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")


def test_a_few_interrupts():
    report = endurance.ran("interrupts", ["--interrupts", 60, "sequential", "each"])
    assert not report["failures"]
    assert report["interrupts"] >= 60


@pytest.mark.slow
def test_kinds_of_training_that_are_interrupted():
    report = endurance.interrupts(400, 1, False)
    assert not report["failures"]
    assert report["fits"]["training"] > 20 and report["fits"]["with a checkpoint"] > 20


@pytest.mark.slow
def test_a_few_kills():
    report = endurance.ran("lives", ["--kills", 12, *cases.QUICK])
    assert not report["failures"]
    assert sum(report["kills"].values()) >= 12 and report["lives"] > 1


@pytest.mark.slow
def test_every_kind_of_damage_and_a_few_races(tmp_path):
    report = endurance.caches(5, 0, False)
    assert not report["failures"]
    assert len(report["damages"]) == 13 and report["races"] == 5


def test_a_program_without_a_report_is_a_failure():
    assert endurance.ran("nosuch", [])["failures"] == ["nosuch ended with status 1 and no report"]
