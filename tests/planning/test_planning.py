"""The planner: what it takes, what it says of the rest, and the constants it goes by."""

import json
import math
import re
from dataclasses import asdict, replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import numbabp as nbp
from numbabp.cli import calibration
from numbabp.cli.app import app
from numbabp.devices import processor
from numbabp.planning.cpu_costs import Machine, keep, settings_path, this_machine
from numbabp.planning.network_cpu import BLOCK_LENGTHS

pytestmark = pytest.mark.once

SHAPES = [(2, 10, 1), (10, 3), (64, 32, 10), (784, 128, 10), (784, 512, 512, 10)]


@pytest.fixture(autouse=True)
def built_in_constants(tmp_path, monkeypatch):
    """No calibration of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


def plan_of(layer_sizes, n_samples=1000, **options):
    return nbp.Network(layer_sizes, dtype="float32").plan(np.zeros((n_samples, layer_sizes[0])), **options)


@pytest.mark.parametrize("layer_sizes", SHAPES)
def test_the_choice_is_the_fastest_of_what_is_possible(layer_sizes):
    plan = plan_of(layer_sizes)
    assert not plan.why_not
    assert plan.ns_per_step > 0
    for other in plan.alternatives:
        assert other.why_not
        if math.isnan(other.ns_per_step):
            continue
        assert other.ns_per_step >= plan.ns_per_step or "than it saves" in other.why_not
    kernels = {plan.kernel, *(other.kernel for other in plan.alternatives)}
    assert kernels == {"sequential", "general", "minibatch", "blocked", "shared", "tiny"}


def test_a_short_run_does_not_wait_for_the_blocked_kernel_and_says_so():
    plan = plan_of((64, 100, 10), n_samples=1797, epochs=50)
    assert plan.kernel == "sequential"
    assert "the fastest predicted for so few steps" in plan.explain()
    assert any("than it saves in 10 such runs" in other.why_not for other in plan.alternatives)
    assert plan_of((64, 100, 10), n_samples=1797, epochs=50_000).kernel == "blocked"


def test_steps_taken_before_count():
    """Else a stream in small parts would never take the kernel that is fastest for it."""
    net = nbp.Network((784, 128, 10), dtype="float32")
    assert net.plan(500, epochs=1).kernel == "sequential"
    state = net.rule_state("sgd")
    state.steps[...] = 1_000_000
    net._rule_state = state
    assert net.plan(500, epochs=1).kernel == "blocked"


@pytest.mark.parametrize("layer_sizes", SHAPES)
def test_explain_tells_the_choice_and_every_alternative(layer_sizes):
    plan = plan_of(layer_sizes)
    text = plan.explain()
    assert text.startswith(f"{plan.name} on the cpu, float32")
    n_weights = sum(a * b for a, b in pairwise(layer_sizes))
    assert f"{4 * n_weights:,} flops and {12 * n_weights:,} bytes" in text
    lines = [line.strip() for line in text.splitlines()]
    for other in plan.alternatives:
        (line,) = [line for line in lines if line.startswith(f"{other.name}  ") or is_among(other, line)]
        assert line.endswith(f"  {other.why_not}")


def is_among(plan, line):
    """Whether a line tells of blocks of many lengths, and the plan's is one of them, with the same reason."""
    found = re.match(rf"{plan.kernel}, (\d+) to (\d+) samples a block  .*  {re.escape(plan.why_not)}$", line)
    return found is not None and int(found[1]) <= plan.block_length <= int(found[2])


def test_explain_joins_what_has_the_same_reason():
    text = nbp.Network((64, 100, 10), loss="categorical_cross_entropy", dtype="float32").plan(1797).explain()
    if "compiling it" in text:  # where that would take longer
        (line,) = [line for line in text.splitlines() if "compiling it" in line]
        assert line.startswith("  blocked, 8 to 256 samples a block  ")
        assert re.search(r"  [\d.]+ (ns|us) to [\d.]+ (ns|us)  compiling it", line)


def test_small_networks_take_single_steps_and_large_ones_blocks():
    assert plan_of((2, 10, 1)).kernel == "tiny"
    assert plan_of((16, 16, 16, 4)).kernel == "sequential"
    assert plan_of((784, 128, 10)).kernel == "blocked"
    deep = plan_of((784, 512, 512, 10))
    assert deep.kernel == "blocked"
    assert deep.delayed_layers == (1,)


def test_a_block_is_not_longer_than_an_epoch():
    assert plan_of((784, 512, 10), n_samples=10).block_length <= 10
    asked = plan_of((784, 512, 10), n_samples=10, block_length=64)
    assert asked.block_length == 64


@pytest.mark.parametrize("length", [1, 5, 500])
def test_an_override_is_taken_and_said(length):
    plan = plan_of((64, 32, 10), block_length=length)
    assert (plan.kernel, plan.block_length) == ("blocked", length)
    assert "asked for" in plan.explain().splitlines()[0]
    assert all(other.why_not for other in plan.alternatives)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"update_rule": "adam"}, "update_rule='adam'"),
        ({"l1": 0.1}, "l1=0.1"),
        ({"batch_size": 4}, "batch_size=4"),
        ({"clip_norm": 1.0}, "clip_norm=1.0"),
    ],
)
def test_what_is_not_linear_is_not_blocked(options, reason):
    plan = plan_of((784, 128, 10), **options)
    assert plan.kernel == "general"
    blocked = [other for other in plan.alternatives if other.kernel == "blocked"]
    assert blocked
    assert all(reason in other.why_not for other in blocked)
    for override in ({"kernel": "blocked"}, {"block_length": 16}):
        with pytest.raises(ValueError, match=f"not possible: .*{reason}"):
            plan_of((784, 128, 10), **options, **override)


def test_overrides_that_contradict_each_other():
    with pytest.raises(
        ValueError, match="block_length=8 needs kernel='blocked' or 'shared', got 'sequential'"
    ):
        plan_of((64, 32, 10), kernel="sequential", block_length=8)
    with pytest.raises(ValueError, match=r"kernel='tiny' is not possible: .*at most 64 units"):
        plan_of((64, 100, 10), kernel="tiny")
    with pytest.raises(ValueError, match="kernel='fast' is not known; allowed: auto, blocked"):
        plan_of((64, 32, 10), kernel="fast")


def test_threads_are_for_large_products_and_capped(monkeypatch):
    monkeypatch.setattr(processor, "most_blas_threads", lambda: 8)
    assert plan_of((784, 128, 10)).n_threads == 1
    large = {"kernel": "blocked", "block_length": 256}
    assert plan_of((3000, 2000, 10), **large).n_threads == 8
    assert plan_of((3000, 2000, 10), **large, n_threads=3).n_threads == 3
    assert plan_of((3000, 2000, 10), **large, n_threads=1).n_threads == 1


def test_plans_do_what_fit_does():
    X = np.random.default_rng(0).standard_normal((50, 12))
    y = X[:, 0] > 0
    for kernel in ("sequential", "general", "blocked"):
        net = nbp.Network((12, 6, 1), random_state=0)
        net.fit(X, y, epochs=2, kernel=kernel, learning_rate=0.1)
        assert np.isfinite(net.history.loss).all()


def test_kept_constants_are_used_and_broken_ones_are_not(tmp_path):
    assert this_machine() == Machine()
    slow_blocks = replace(Machine(), multiply_add=1.0)
    assert keep(slow_blocks) == settings_path() == tmp_path / "numbabp" / "machine.json"
    assert this_machine() == slow_blocks
    assert plan_of((784, 128, 10)).kernel == "sequential"
    kept = asdict(slow_blocks)
    missing = {name: value for name, value in kept.items() if name != "row"}
    broken = [missing, kept | {"row": -1}, kept | {"row": "x"}, kept | {"row": None}, [1], 3]
    for content in [*map(json.dumps, broken), json.dumps(kept | {"row": math.nan}), "{", ""]:
        settings_path().write_text(content)
        this_machine.cache_clear()
        assert this_machine() == Machine(), content


def test_every_possible_plan_is_measured():
    measurements = calibration.time_plans((20, 8, 2), "float32", seconds=1e-4, repeats=1)
    assert {m.plan.block_length for m in measurements} == {0, *BLOCK_LENGTHS}
    assert {m.plan.kernel for m in measurements} == {"sequential", "tiny", "general", "blocked"}
    assert all(0 < m.ns_per_step < 1e9 for m in measurements)


def test_fit_finds_the_constants_that_made_the_times():
    truth = replace(Machine(), layer=80.0, multiply_add=0.012, second_cache=0.05, general_first=0.1)
    measurements = []
    for sizes in calibration.SHAPES:
        plan = plan_of(sizes)
        for one in (plan, *plan.alternatives):
            if one.ns_per_step > 0:
                m = calibration.Measurement(sizes, "sgd", one, 1.0)
                measurements.append(replace(m, ns_per_step=calibration.predict(truth, m)))
    fitted, error = calibration.fit(measurements)
    assert error < 0.03  # the loss is robust, the measurements exact
    for name in ("layer", "multiply_add", "second_cache", "general_first"):
        assert getattr(fitted, name) == pytest.approx(getattr(truth, name), rel=0.1)


def test_single_steps_of_adaptive_rules_are_predicted_apart():
    machine, sizes = Machine(), (784, 128, 10)
    plain, adam = machine.ns_per_general_step(sizes, 4), plan_of(sizes, update_rule="adam")
    rmsprop = plan_of((784, 512, 10), update_rule="rmsprop")
    assert adam.kernel == rmsprop.kernel == "general"
    assert adam.ns_per_step == machine.ns_per_adaptive_step(sizes, 4, 2)
    # beyond the second cache what counts is how many arrays there are
    assert rmsprop.ns_per_step < 0.75 * plan_of((784, 512, 10), update_rule="adam").ns_per_step
    for otherwise in ({"clip_value": 1.0}, {"l1": 0.1}):
        assert plan_of(sizes, update_rule="adam", **otherwise).ns_per_step == plain


def test_picks_compares_the_prediction_with_the_measurement():
    fast, slow = plan_of((64, 32, 10)), plan_of((64, 32, 10), kernel="general")
    measured = [
        calibration.Measurement((64, 32, 10), "sgd", fast, 20.0),
        calibration.Measurement((64, 32, 10), "sgd", slow, 10.0),
    ]
    ((picked, best),) = calibration.picks(measured)
    assert (picked.ns_per_step, best.ns_per_step) == (20.0, 10.0)


def test_info_calibrates_and_keeps_the_constants(monkeypatch):
    monkeypatch.setattr(calibration, "SHAPES", [(2, 10, 1), (64, 32, 10)])
    info = CliRunner().invoke(app, ["info", "--json"])
    assert json.loads(info.stdout)["planner's constants"] == "built in"
    result = CliRunner().invoke(app, ["info", "--calibrate", "--json"])
    assert result.exit_code == 0, result.output
    assert "the constants are kept in" in result.stderr.replace("\n", " ")
    assert json.loads(result.stdout)["planner's constants"] == str(settings_path())
    assert this_machine() != Machine()


def test_calibration_ends_when_time_is_up(monkeypatch):
    """And says so; of too few measurements nothing is kept."""
    moments, measured = [0.0], []

    def time_plans(sizes, dtype, *, update_rule):
        moments[0] += 2.5
        measured.append((sizes, dtype, update_rule))
        plan = plan_of(sizes)
        return [calibration.Measurement(sizes, update_rule, plan, plan.ns_per_step)]

    monkeypatch.setattr(calibration, "time_plans", time_plans)
    monkeypatch.setattr(calibration, "time", SimpleNamespace(monotonic=lambda: moments[0]))
    result = CliRunner().invoke(app, ["info", "--calibrate"])
    assert result.exit_code == 0, result.output
    assert "only 25 of 52 networks were measured, as time was up" in result.stderr
    assert len(set(measured)) == 25 == len(measured)
    for column, all_there_are in enumerate((calibration.SHAPES, calibration.DTYPES, calibration.RULES)):
        assert {row[column] for row in measured} == set(all_there_are)
    kept = this_machine()
    monkeypatch.setattr(calibration, "LEAST_MEASURED", 0.9)
    moments[0] = 0.0
    result = CliRunner().invoke(app, ["info", "--calibrate"])
    assert result.exit_code == 2
    assert "only 25 of 52 networks could be measured in 60 s" in result.stderr
    assert this_machine() == kept


def test_mini_batches_of_many_samples_go_together():
    for sizes in ((64, 100, 10), (784, 512, 512, 10)):
        assert plan_of(sizes, batch_size=200).kernel == "minibatch"
    assert plan_of((2, 10, 1), n_samples=4, batch_size=4).kernel == "general"


def test_a_velocity_is_made_of_recent_samples_where_that_pays():
    def n_recent(sizes=(784, 512, 10), n_samples=1000, **options):
        return plan_of(sizes, n_samples, **{"update_rule": "momentum", "epochs": 100, **options}).n_recent

    assert n_recent() == 175
    assert n_recent(update_rule="nesterov") == 175
    assert n_recent(update_rule="sgd") == n_recent(update_rule="adam") == 0
    assert n_recent(momentum=0.99) == 0, "which remembers too many"
    assert n_recent(momentum=0.0) == 0
    assert n_recent(schedule="exponential", n_samples=200) == 0, "taken apart anew every 200 samples"
    assert n_recent(schedule="exponential", n_samples=20_000) == 175
    plan = plan_of((784, 512, 10), update_rule="momentum", epochs=100)
    assert "velocity of the last 175" in plan.explain()


def test_large_hidden_layers_have_a_velocity_of_recent_samples_where_that_pays():
    def delayed(sizes=(784, 512, 512, 10), dtype="float32", n_samples=2000, **options):
        options = {"update_rule": "momentum", "epochs": 100, **options}
        return nbp.Network(sizes, dtype=dtype).plan(n_samples, **options).delayed_layers

    assert delayed() == delayed(update_rule="nesterov") == (1,)
    assert delayed((784, 128, 64, 10)) == (), "which the cache holds with their velocities"
    assert delayed(dtype="float64") == (), "twice as many samples of twice the size"
    assert delayed(dtype="float64", momentum=0.5) == (1,)
    assert delayed(momentum=0.99) == (), "which remembers too many"
    assert delayed(schedule="exponential") == (1,)
    assert delayed(schedule="exponential", n_samples=300) == (), "taken apart anew every 300 samples"
