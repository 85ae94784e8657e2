"""What kernels for GPUs become, compiled for GPUs that need not be there: their registers and memory."""

import json
import multiprocessing
import os
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import gpu_machine_code  # noqa: E402
from benchmarks.gpu_machine_code import Case, device_of  # noqa: E402
from benchmarks.on_gpu import sass  # noqa: E402
from benchmarks.on_gpu.cards import MULTIPROCESSORS  # noqa: E402

if gpu_machine_code.what_is_missing():
    pytest.skip(gpu_machine_code.what_is_missing(), allow_module_level=True)

from numbabp.compiler import cuda as compiling  # noqa: E402
from numbabp.compiler.cuda import machine_code  # noqa: E402
from numbabp.devices.memory import STATIC_SHARED  # noqa: E402
from numbabp.kernels.cuda import inference, signatures  # noqa: E402
from numbabp.kernels.cuda.population import thread, warp  # noqa: E402
from numbabp.training.engines.population_cuda import make_train  # noqa: E402

pytestmark = pytest.mark.once

DTYPES = ("float32", "float64")
# the largest network of which each kernel keeps all numbers
LARGEST = {
    ("thread", "float32"): "4-10-3",
    ("thread", "float64"): "2-10-1",
    ("warp", "float32"): "64-32-10",
    ("warp", "float64"): "4-10-3",
    ("block", "float32"): "64-32-10",
    ("block", "float64"): "64-32-10",
}
THE_ONE = (9, 0)
MOST = ("adam", gpu_machine_code.GATHERED[0])
"""That keeps the most numbers, and the gathered gradients that all kernels have room for."""
ON_ALL = (("thread", "float32"), ("warp", "float64"), ("block", "float32"))
"""Of which the code for every capability is looked at; benchmarks/gpu_machine_code.py makes all there is."""
EVERYWHERE = [
    Case(*of, sizes, dtype, "sgd", capability)
    for (*of, dtype), sizes in LARGEST.items()
    for capability in MULTIPROCESSORS  # one after the other, for which a kernel is lowered once
    if capability == THE_ONE or (*of, dtype) in ON_ALL
]
# of the kernel whose barriers are others from 9.0 on
LOWERED_FOR_OTHERS = [
    case
    for case in EVERYWHERE
    if (case.kernel, case.dtype) == ("warp", "float64") and case.capability not in compiling.ASKED_FOR
]
ALL = gpu_machine_code.cases(capabilities=[THE_ONE])
# of each kernel, dtype and rule the largest; benchmarks/gpu_machine_code.py compiles all there are
OTHERS = [
    case
    for case in {(case.kernel, case.dtype, case.rule): case for case in ALL}.values()
    if case not in EVERYWHERE
]


@pytest.fixture(scope="session")
def compiled(request):
    """The machine code of every case that is to be tested, made by a process a core."""
    chosen = [
        item.callspec.params["case"]
        for item in request.session.items
        if item.path == Path(__file__) and "compiled" in item.fixturenames
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(chosen), os.cpu_count() or 1), context) as processes:
        yield {case: processes.submit(case.machine_code) for case in chosen}
        processes.shutdown(cancel_futures=True)  # should a test have ended the session


def check(case, compiled):
    """All numbers lie where they are meant to: in registers, or in shared memory."""
    code, mapping, device = compiled[case].result(), case.mapping(), device_of(case.capability)
    assert code.cubin.startswith(b"\x7fELF")
    assert f".target sm_{case.capability[0]}{case.capability[1]}" in code.ptx
    assert (code.stack, code.spills) == (0, 0)
    assert 0 < code.registers <= mapping.registers
    assert 0 < code.shared <= STATIC_SHARED
    assert code.shared + mapping.shared <= device.shared_per_block
    assert (mapping.shared > 0) == (case.kernel == "block")


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[] if case.capability == THE_ONE else pytest.mark.exhaustive)
        for case in EVERYWHERE
    ],
    ids=str,
)
def test_populations(case, compiled):
    check(case, compiled)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.slow if case.rule in MOST else pytest.mark.exhaustive)
        for case in OTHERS
    ],
    ids=str,
)
def test_populations_of_all_sizes_and_rules(case, compiled):
    check(case, compiled)


def test_all_that_is_documented_is_compiled():
    assert len(ALL) == 115
    for rule in ("momentum", "nesterov", "adam", "rmsprop", "adamw"):
        kernels = {(case.kernel, case.dtype) for case in OTHERS if case.rule == rule}
        assert set(LARGEST) - kernels == {("thread", "float64")}  # whose numbers would not fit
    assert Case("block", "784-32-10", "float64", "sgd", (9, 0)) in OTHERS


def test_numbers_that_do_not_fit_are_seen():
    """More than a thread's registers hold, of which the plan therefore makes no kernel."""
    too_large = Case("thread", "4-10-3", "float64", "sgd", (9, 0))
    assert "292 registers a thread" in too_large.mapping()
    of = Case("block", "4-10-3", "float64", "sgd", (9, 0)).mapping().of
    code = machine_code(thread.make_train(of, 128), signatures.of_population("float64"), (9, 0))
    assert code.spills > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("capability", MULTIPROCESSORS)
def test_predictions_keep_to_registers(dtype, capability):
    for name, signature in signatures.of_inference(dtype).items():
        code = machine_code(getattr(inference, name), signature, capability)
        assert code.cubin.startswith(b"\x7fELF"), name
        assert (code.stack, code.spills) == (0, 0), name
        # 96 but for the losses with logarithms in float64; 128 leave a multiprocessor 512 threads
        assert 0 < code.registers <= (128 if dtype == "float64" else 96), name


@pytest.mark.parametrize("case", LOWERED_FOR_OTHERS, ids=str)
def test_what_is_lowered_for_several_gpus_becomes_the_same_instructions(case, compiled):
    """As when compiled for one alone."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    train = make_train(case.mapping())
    with compiling._pretended_device(case.capability):
        signature = signatures.of_population(case.dtype)
        ptx, _ = compiling.cuda.compile_ptx(train.py_func, signature, cc=case.capability)
    most = train.targetoptions["max_registers"]
    options = LinkerOptions(arch="sm_{}{}".format(*case.capability), max_register_count=most)
    cubin = Linker(ObjectCode.from_ptx(ptx.encode()), options=options).link("cubin").code
    instructions = gpu_machine_code.instructions_of(compiled[case].result().cubin)
    assert len(instructions) > 10_000
    assert instructions == gpu_machine_code.instructions_of(bytes(cubin))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["thread", "warp"])
def test_strict_kernels_contract_and_approximate_nothing(name, dtype):
    of = replace(
        Case(name, "2-10-1", dtype, "sgd", THE_ONE).mapping().of, update_rule="adam", numerics="strict"
    )
    train = {"thread": thread, "warp": warp}[name].make_train(of)
    code = machine_code(train, signatures.of_population(dtype, strict=True), THE_ONE)
    operations = set(
        re.findall(r"^\s+((?:add|sub|mul|div|fma|rcp|sqrt|ex2|lg2)\.\S*f\d\d)\b", code.ptx, re.MULTILINE)
    )
    bits = dtype[-2:]
    assert {f"{what}.rn.f{bits}" for what in ("add", "mul", "div", "sqrt")} <= operations
    assert {operation.split(".")[1] for operation in operations} == {"rn"}
    assert not any(operation.startswith("fma") for operation in operations)
    assert ".ftz" not in code.ptx and ".approx" not in code.ptx


@pytest.mark.parametrize("numerics", ["fast", "strict", "approximate"])
def test_kernels_are_launched_as_they_are_looked_at(numerics, monkeypatch):
    """What the dispatcher makes for a card, which this test only pretends to have.

    On a card, strict kernels once ended with other bits: code was optimised at link time, where products and
    sums were contracted again.
    """
    from numba.cuda import dispatcher
    from numba.cuda.codegen import CUDACodeLibrary

    of = replace(Case("thread", "2-10-1", "float32", "sgd", THE_ONE).mapping().of, numerics=numerics)
    train, signature = thread.make_train(of), signatures.of_population("float32", strict=numerics == "strict")
    made = []

    class Kernel(dispatcher._Kernel):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self._codelibrary)
            raise InterruptedError("no card to bind it to")

    monkeypatch.setattr(dispatcher, "_Kernel", Kernel)
    monkeypatch.setattr(dispatcher.CUDADispatcher, "_configure_cache_for_launch_config", lambda *_: None)
    monkeypatch.setattr(CUDACodeLibrary, "_ensure_cc", lambda *_: THE_ONE)
    monkeypatch.setattr(train, "_cache", dispatcher.NullCache())
    with compiling._pretended_device(THE_ONE), pytest.raises(InterruptedError):
        train.compile(signature)
    launched = gpu_machine_code.instructions_of(bytes(made[0].get_cubin(THE_ONE).code))
    assert len(launched) > 10_000
    assert launched == gpu_machine_code.instructions_of(machine_code(train, signature, THE_ONE).cubin)
    assert ("fma" in made[0].get_asm_str()) == (numerics != "strict")
    assert ("mul.rn.f32" in made[0].get_asm_str()) == (numerics == "strict")
    assert ("ex2.approx" in made[0].get_asm_str()) == (numerics == "approximate")
    assert dispatcher.compile_cuda.__name__ == "compile_cuda"


def test_float32_activations_take_no_double_precision():
    signature = signatures.of_inference("float32")["activate_units"]
    code = machine_code(inference.activate_units, signature, (9, 0))
    assert "fma.rn.f32" in code.ptx
    assert "fma.rn.f64" not in code.ptx and "mul.f64" not in code.ptx


def test_the_table_and_what_differs_between_two(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_machine_code.py"), "--capabilities", "9.0"]
    options = ["--kernels", "thread", "--sizes", "2-10-1", "--dtypes", "float32", "--rules", "sgd"]
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    done = subprocess.run([*command, *options, "--output", before], capture_output=True, text=True)
    header, _, row = done.stdout.splitlines()
    assert row.startswith("| thread | 2-10-1 | float32 | sgd | 9.0 | ")
    assert row.count("|") == header.count("|")
    refused = subprocess.run([*command, "--rules", "newton"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--rules must be some of sgd" in refused.stderr
    found = json.loads(before.read_text())
    (figures,) = found["kernels"].values()
    assert 1000 < figures["instructions"] < 10000
    after.write_text(
        json.dumps(found | {"kernels": {"thread 2-10-1 float32 sgd 9.0": figures | {"spills": 8}}})
    )
    assert gpu_machine_code.compare(before, before) == 0
    assert gpu_machine_code.compare(before, after) == 1


@pytest.mark.parametrize(
    "case", gpu_machine_code.other_cases(dtypes=["float32"], capabilities=[(9, 0)]), ids=str
)
def test_instructions_are_counted(case):
    """As many as nvdisasm prints, where it is installed."""
    code = case.machine_code()
    n_instructions = gpu_machine_code.figures_of(code)["instructions"]
    assert n_instructions > 500
    try:
        printed = sass.disassemble(code.cubin)
    except sass.DisassemblerMissing:
        return
    assert n_instructions == sum(map(bool, re.findall(r"^\s*/\*[0-9a-f]{4,}\*/", printed, re.M)))
