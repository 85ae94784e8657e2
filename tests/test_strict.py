"""numerics="strict": the same bits whatever code is compiled for, whoever trains and wherever calls end."""

import copy
import os
import pickle
import re
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import jit

import numbabp as nbp
from benchmarks import strict, strict_cases, strict_on_arm
from numbabp.compiler.compiling import strictly
from numbabp.kernels import sequential
from numbabp.kernels.general import train_general
from numbabp.training.engines import network_cpu

pytestmark = pytest.mark.once

CASES = strict_cases.cases()
FEW = ("sgd float32", "adam float64", "2-10-1 float32", "sparse float64")
COVER = (
    *("sgd float32", "momentum float32", "adamw float64", "gelu float64", "softplus float64"),
    *("2-10-1 float32", "sparse momentum", "mini-batches", "cosine"),
)
X, Y = strict_cases.samples(CASES["sgd float64"])


def make(numerics="strict", **named):
    return nbp.Network(
        (20, 18, 17, 5),
        **{"loss": "categorical_cross_entropy", "random_state": 0, "numerics": numerics, **named},
    )


@pytest.mark.parametrize("name", FEW)
def test_digests_are_those_on_record(name):
    assert strict_cases.digest(CASES[name]).startswith(strict.recorded()[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES))
def test_every_digest_is_on_record_alone_and_in_a_population(name):
    digests = [strict_cases.digest(CASES[name])]
    if CASES[name].is_for_many:
        digests += [strict_cases.digest_in_population(CASES[name], n_threads=n) for n in (1, 2)]
    assert {digest[: strict.DIGITS] for digest in digests} == {strict.recorded()[name]}


@pytest.mark.slow
@pytest.mark.parametrize("processor", [name for name in strict.PROCESSORS if name != "this one"])
def test_digests_do_not_depend_on_what_code_is_compiled_for(processor):
    if processor not in strict.possible():
        pytest.skip("this processor lacks its instructions")
    found = strict.digests_on(processor, list(COVER))
    wanted = strict.recorded()
    assert found == {name: [wanted[name]] * (1 + CASES[name].is_for_many) for name in COVER}


@pytest.mark.slow
def test_fast_bits_do_depend_on_it():
    """So the digests above are no matter of course."""
    names = ["sgd float32", "2-10-1 float64"]
    on = [strict.digests_on(processor, names, fast=True) for processor in ("generic", "haswell")]
    assert all(on[0][name] != on[1][name] for name in names)


@pytest.mark.exhaustive
@pytest.mark.skipif(bool(strict_on_arm.why_not()), reason=strict_on_arm.why_not() or "-")
@pytest.mark.parametrize("name", strict_on_arm.USUAL)
def test_kernels_have_the_same_bits_on_arm(name):
    assert strict_on_arm.compare(CASES[name]) > 0


@pytest.mark.exhaustive
@pytest.mark.skipif(bool(strict_on_arm.why_not()), reason=strict_on_arm.why_not() or "-")
def test_fast_kernels_have_other_bits_on_arm(monkeypatch):
    monkeypatch.setattr(network_cpu, "strictly", lambda kernel: kernel)
    with pytest.raises(AssertionError, match="other bytes on ARM"):
        strict_on_arm.compare(CASES["sgd float32"])


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_trajectory_is_that_of_fast_numerics_up_to_rounding(rule, dtype):
    how = {"update_rule": rule, "learning_rate": 0.01, "epochs": 5, "random_state": 1}
    networks = [make(numerics, dtype=dtype) for numerics in ("strict", "fast")]
    for network in networks:
        network.fit(X, Y, **how)
    tolerance = {"float32": 2e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, rtol=0, atol=tolerance)
    losses = [network.history.loss for network in networks]
    np.testing.assert_allclose(losses[0], losses[1], rtol=tolerance)


@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adam"])
def test_one_sample_at_a_time_takes_the_same_steps(rule):
    how = {"update_rule": rule, "learning_rate": 0.01}
    by_fit, by_row, by_learner = make(), make(), make()
    by_fit.fit(X, Y, epochs=1, shuffle=False, **how)
    learner = by_learner.online(**how)
    for x, y in zip(X, Y, strict=True):
        learner.learn_one(x, int(y))
        by_row.partial_fit(x[np.newaxis], [y], **how)
    assert by_fit.parameters.tobytes() == by_learner.parameters.tobytes() == by_row.parameters.tobytes()
    one = [learner.forward_one(x).tobytes() for x in X]
    assert one == [row.tobytes() for row in by_fit.forward(X)]


def test_predictions_do_not_depend_on_how_many_there_are():
    network = make()
    together = network.forward(X)
    assert [network.forward(X[i : i + 1]).tobytes() for i in range(len(X))] == [
        row.tobytes() for row in together
    ]
    population = nbp.Population.from_networks([network, make(random_state=1)])
    assert population.forward(X)[0].tobytes() == together.tobytes()
    from scipy.sparse import csr_matrix

    assert network.forward(csr_matrix(X)).tobytes() == together.tobytes()


def test_sums_are_those_of_a_textbooks_loops():
    of = {"hidden_activation": "relu", "loss": "squared_error", "dtype": "float32"}
    network = make(**of)
    z, a = np.empty(0, np.float32), X[0].astype(np.float32)
    for weights, biases in zip(network.weights, network.biases, strict=True):
        z = biases.copy()
        for k in range(len(z)):
            for i in range(len(a)):
                z[k] = z[k] + a[i] * weights[i, k]
        a = np.maximum(z, 0)
    assert network.forward(X[:1])[0].tobytes() == z.tobytes()
    assert make("fast", **of).forward(X[:1])[0].tobytes() != z.tobytes()


def test_machine_code_contracts_nothing():
    if not llvm.get_host_cpu_features().get("fma"):
        pytest.skip("there is no instruction for it")
    counts = {}
    for name, kernel in {"fast": train_general, "strict": strictly(train_general)}.items():
        make(name).fit(X, Y, update_rule="adam", epochs=1)
        options = {**kernel.targetoptions, "pipeline_class": kernel._compiler.pipeline_class}
        anew = jit(**options)(kernel.py_func)
        anew.compile(kernel.signatures[-1])  # machine code from a file can't be looked at
        (text,) = anew.inspect_asm().values()
        counts[name] = len(re.findall(r"\bvfn?m(?:add|sub)\w+", text))
    assert counts["fast"] > 0 == counts["strict"]


def test_nothing_fades_into_subnormal_numbers():
    """Moments of weights whose gradients have ended, in float32."""
    network = make(dtype="float32")
    network.fit(X, Y, update_rule="adam", epochs=3)
    still = np.zeros_like(X)
    network.fit(still, Y, update_rule="adam", epochs=30)
    moments = np.abs(network.rule_state("adam").moments)
    assert not ((moments > 0) & (moments < np.finfo(np.float32).tiny)).any()
    assert (moments == 0).sum() > 300  # those of the first layer's weights


def test_a_file_keeps_it(tmp_path):
    network = make()
    history = network.fit(X, Y)
    path = tmp_path / "strict.safetensors"
    network.save(path)
    again = nbp.load(path)
    assert again.numerics == "strict" and again.architecture == network.architecture
    assert again.history.digest == history.digest and len(history.digest) == 64
    assert again.forward(X).tobytes() == network.forward(X).tobytes()
    assert again.fit(X, Y).digest == network.fit(X, Y).digest
    assert copy.deepcopy(network).numerics == pickle.loads(pickle.dumps(network)).numerics == "strict"


def test_an_interrupted_run_ends_with_the_same_digest(tmp_path):
    how = {"update_rule": "adam", "learning_rate": 0.01, "epochs": 6, "random_state": 2}
    whole = make().fit(X, Y, **how).digest

    def interrupt(epoch, metrics):
        if epoch == 2:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, Y, checkpoint=checkpoint, callback=interrupt, **how)
    assert make().fit(X, Y, checkpoint=checkpoint, **how).digest == whole
    with pytest.raises(ValueError, match="numerics"):
        make("fast").fit(X, Y, checkpoint=checkpoint, **how)


def test_fast_networks_have_no_digest(tmp_path):
    network = make("fast")
    assert network.fit(X, Y).digest is None
    assert "digest" not in network.history.to_dict()
    network.save(tmp_path / "fast.safetensors")
    assert nbp.load(tmp_path / "fast.safetensors").numerics == "fast"
    assert nbp.Population((2, 3, 1), 2, random_state=0).fit([[0, 1]], [1]).digests is None


def test_the_digest_tells_of_parameters_and_losses():
    first, second = make(), make()
    assert first.fit(X, Y, random_state=0).digest == second.fit(X, Y, random_state=0).digest
    second.parameters[0] = np.nextafter(second.parameters[0], 1)
    assert first.fit(X, Y, random_state=0).digest != second.fit(X, Y, random_state=0).digest


def test_what_is_not_strict_is_refused():
    with pytest.raises(ValueError, match="numerics='exact' is not known"):
        make("exact")
    network = make()
    with pytest.raises(ValueError, match="kernel='blocked' is not possible: numerics='strict' needs sums"):
        network.fit(X, Y, kernel="blocked")
    with pytest.raises(ValueError, match=r"compiled is not possible with numerics='strict'"):
        network.compiled()
    from scipy.sparse import csr_matrix

    with pytest.raises(ValueError, match=r"numerics='strict' .* X.toarray\(\)"):
        network.fit(csr_matrix(X), Y, update_rule="adam")
    with pytest.raises(ValueError, match="numerics"):
        nbp.Population.from_networks([network, make("fast")])
    assert network.history is None


def test_without_the_compiler_sums_have_the_same_order():
    code = (
        "import numpy as np, numbabp as nbp\n"
        "r = np.random.RandomState(0)\n"
        "X, y = r.random_sample((12, 20)), r.random_sample(12)\n"
        "n = nbp.Network((20, 17, 1), hidden_activation='relu', numerics='strict', random_state=0)\n"
        "n.fit(X, y, epochs=2, learning_rate=0.01, random_state=0)\n"
        "print(n.parameters.tobytes().hex())"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ({}, {"NUMBA_DISABLE_JIT": "1"})
    ]
    assert outputs[0] == outputs[1] != ""


def test_kernels_are_compiled_apart():
    kernel = sequential.make_train_sgd("sigmoid", "softmax", "categorical_cross_entropy", 1)
    assert strictly(kernel) is strictly(kernel) is not kernel
    assert strictly(kernel).targetoptions["fastmath"] is False
