"""What the planner makes of a GPU beside the CPU; needs none."""

import pytest

from numbabp.architecture import Architecture
from numbabp.devices.memory import Device
from numbabp.devices.placement import Placement
from numbabp.kernels.cuda.blocked.geometry import blocked_geometry
from numbabp.options import Options
from numbabp.planning.cpu_costs import Machine
from numbabp.planning.cuda_costs import ns_per_blocked_step
from numbabp.planning.planner import make_plan, step_by_step
from numbabp.planning.problem import Problem

H200 = Device(0, "H200", (9, 0), 132, 1.98e9, 227 * 1024, 228 * 1024, 4.8e12, 50 * 2**20)
LARGE = (784, 2048, 2048, 10)
TOO_LITTLE = None, "training would take too much of the GPU's memory"


@pytest.fixture(autouse=True)
def built_in_constants(monkeypatch):
    monkeypatch.setattr("numbabp.planning.planner.this_machine", Machine)
    monkeypatch.setattr("numbabp.planning.network_cpu.this_machine", Machine)
    monkeypatch.setattr(
        "numbabp.planning.planner.gpu_at_hand", lambda n_bytes: (H200, "") if n_bytes < 141e9 else TOO_LITTLE
    )


def plan_of(layer_sizes, n_samples=60_000, epochs=10, has_samples=False, dtype="float32", **options):
    checked = Options(**options)
    place = Placement(None, "the run is too short to look for one", is_open=True)
    if has_samples or checked.device == "cuda":
        reason = "X lies on GPU 0" if has_samples else "device='cuda' is asked for"
        place = Placement(H200, reason, has_samples)
    return make_plan(problem_of(layer_sizes, n_samples, epochs, checked, place, dtype=dtype))


def problem_of(layer_sizes, n_samples, epochs, options, place, n_nonzeros=None, dtype="float64"):
    architecture = Architecture.checked(layer_sizes, dtype=dtype)
    return Problem(architecture, n_samples, epochs, options, place, n_nonzeros, with_l2=options.l2 > 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_networks_go_to_the_gpu(dtype):
    plan = plan_of(LARGE, dtype=dtype)
    kernel = "resident" if dtype == "float32" else "blocked"  # twice the bytes find no room on the chip
    assert (plan.device, plan.kernel, plan.gpu_index) == ("cuda:0", kernel, 0)
    on_cpu = min(other.ns_per_step for other in plan.alternatives if other.device == "cpu")
    assert on_cpu > 3 * plan.ns_per_step
    text = plan.explain()
    name = "resident," if dtype == "float32" else f"blocked, {plan.block_length} samples a block,"
    assert text.startswith(f"{name} on cuda:0, {dtype}: the fastest")
    assert "s to start and to copy." in text
    assert "on the cpu" not in text


def test_small_networks_and_short_runs_stay_on_the_cpu():
    for short in (plan_of((2, 10, 1)), plan_of(LARGE, n_samples=200, epochs=1)):
        assert short.device == "cpu"
        assert "No GPU: the run is too short to look for one." in short.explain()
    small = plan_of((2, 10, 1), epochs=1000)
    assert small.device == "cpu"
    reasons = [other.why_not for other in small.alternatives if other.device == "cuda:0"]
    assert reasons
    assert all("s of it to start and to copy" in why or "compiling it" in why for why in reasons)


def test_what_does_not_fit_into_the_gpus_memory_stays_on_the_cpu():
    plan = plan_of(LARGE, n_samples=100_000_000)
    assert plan.device == "cpu"
    assert f"No GPU: {TOO_LITTLE[1]}." in plan.explain()


def test_copying_counts():
    there, here = plan_of(LARGE, has_samples=True), plan_of(LARGE)
    assert here.seconds_beside - there.seconds_beside == pytest.approx(60_000 * 794 * 4 / 10e9)
    assert all(other.device == "cuda:0" for other in there.alternatives)


def test_samples_on_the_gpu_keep_even_small_networks_there():
    assert plan_of((2, 10, 1), n_samples=4, epochs=1, has_samples=True).device == "cuda:0"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"update_rule": "adam"}, "update_rule='adam'"),
        ({"l1": 0.1}, "l1=0.1"),
        ({"clip_value": 1.0}, "clip_value=1.0"),
        ({"batch_size": 8}, "batch_size=8"),
        ({"propagate": "updated"}, "propagate='updated'"),
        ({"kernel": "sequential"}, "kernel='sequential'"),
    ],
)
def test_what_a_gpu_does_not_do_goes_to_the_cpu_or_is_an_error(options, what):
    plan = plan_of(LARGE, **options)
    assert plan.device == "cpu"
    assert f"{what} is not possible on a GPU" in plan.explain()
    message = f"{what} is not possible on a GPU in blocks.*device='cpu'"
    with pytest.raises(ValueError, match=f"device='cuda' is asked for, but {message}"):
        plan_of(LARGE, device="cuda", **options)
    with pytest.raises(ValueError, match=f"X lies on GPU 0, but {message}"):
        plan_of(LARGE, has_samples=True, **options)


def test_wide_outputs_are_the_cpus():
    assert plan_of((10_000, 2048, 2048, 1000)).device == "cpu"
    with pytest.raises(
        ValueError, match="an output layer of 1000, more than 512, is not possible on a GPU in"
    ):
        plan_of((100, 1000), device="cuda")


def test_without_a_gpu_the_plan_says_why():
    none = Placement(None, "there is no NVIDIA driver on this machine")
    assert (
        "\nNo GPU: there is no NVIDIA driver on this machine.\n"
        in make_plan(problem_of((2, 10, 1), 4, 1, Options(), none)).explain()
    )
    asked = Placement(H200, "device='cuda' is asked for")
    with pytest.raises(ValueError, match="device='cuda' is not possible with a sparse X"):
        make_plan(problem_of((2, 10, 1), 4, 1, Options(device="cuda"), asked, 2.0))


def test_networks_that_fit_into_a_block_may_be_trained_by_one():
    plan = plan_of((64, 32, 10), device="cuda", kernel="persistent", update_rule="adam")
    assert (plan.device, plan.kernel) == ("cuda:0", "persistent")
    assert "persistent, on cuda:0, float32: asked for." in plan.explain()
    text = plan_of(LARGE, device="cuda").explain()
    assert "persistent, on cuda:0" in text
    assert "bytes of shared memory, and a block has" in text
    with pytest.raises(ValueError, match=r"monitor=\('huber',\) is not possible on a GPU in one block"):
        plan_of((64, 32, 10), device="cuda", kernel="persistent", monitor=("huber",))


def test_weights_stay_on_the_chip_where_that_saves_compiling_for_them():
    assert plan_of(LARGE, device="cuda").kernel == "resident"
    short = plan_of(LARGE, epochs=2, device="cuda")
    (resident,) = (other for other in short.others if other.kernel == "resident")
    assert short.kernel == "blocked" and resident.ns_per_step < short.ns_per_step
    text = short.explain()
    assert "compiling it, 10 s, would take longer than it saves in 3 such runs" in text
    assert "the fastest predicted for so few steps" in text
    asked = plan_of(LARGE, epochs=2, device="cuda", kernel="resident")
    assert (asked.kernel, asked.block_length, asked.ns_per_step) == ("resident", 0, resident.ns_per_step)


@pytest.mark.parametrize(
    ("layer_sizes", "options", "why"),
    [
        ((784, 10), {}, "a network without hidden layers"),
        ((8, 20_000, 10), {}, "a hidden layer has 20,000 units, and 132 blocks may own 16,896"),
        (
            (784, 4096, 4096, 10),
            {},
            "bytes of a block's shared memory beside its registers, and there",
        ),
        (
            LARGE,
            {"update_rule": "momentum"},
            "update_rule='momentum' is not possible on a GPU with weights",
        ),
        (LARGE, {"propagate": "updated"}, "propagate='updated' is not possible on a GPU"),
    ],
)
def test_what_does_not_stay_on_the_chip_says_why(layer_sizes, options, why):
    with pytest.raises(ValueError, match=why):
        plan_of(layer_sizes, device="cuda", kernel="resident", **options)


def test_a_blocked_plan_steps_on_the_cpu_when_it_diverges():
    asked = Placement(H200, "device='cuda' is asked for")
    blocked = plan_of(LARGE, device="cuda", kernel="blocked")
    plan = step_by_step(problem_of(LARGE, 100, 1, Options(), asked), blocked)
    assert (plan.device, plan.kernel) == ("cpu", "sequential")


@pytest.mark.parametrize(
    ("layer_sizes", "grid", "group"),
    [
        (LARGE, 129, 16),  # one group a block, and one block for the record
        ((784, 500, 10), 64, 8),
        ((841, 2500, 2000, 1500, 1000, 500, 10), 132, 8),
        ((784, 10), 1, 32),
    ],
)
def test_units_are_dealt_out_evenly(layer_sizes, grid, group):
    geometry = blocked_geometry(layer_sizes, H200.n_multiprocessors)
    assert (geometry.grid, geometry.group) == (grid, group)


def test_the_model_knows_what_was_measured():
    """A step on an H100 (docs/gpu.md)."""
    h100 = Device(0, "H100", (9, 0), 132, 1.98e9, 227 * 1024, 228 * 1024, 3.35e12, 50 * 2**20)
    assert ns_per_blocked_step(LARGE, 4, 64, False, h100) == pytest.approx(16.7e3, rel=0.05)
    assert plan_of(LARGE, device="cuda").ns_per_step == pytest.approx(10.3e3, rel=0.05)
