"""Populations with numerics="strict" end with the CPU's bits on a GPU, too."""

import numpy as np
import pytest

import numbabp as nbp
from benchmarks.strict_cases import ACTIVATIONS, DTYPES, LOSSES, Case, cases, digest, digest_in_population
from numbabp.devices import memory

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(memory.is_interpreted(), reason="Numba's simulator takes exp from NumPy"),
]
SAME = {
    **{name: cases()[f"{name} float32"] for name in ("l2 and weights", "sgd", "nesterov")},
    **{  # an activation in each of two hidden layers
        f"{first} and {second}": Case(network={"hidden_activation": (first, second)})
        for first, second in zip(ACTIVATIONS[::2], ACTIVATIONS[1::2], strict=True)
    },
    **{
        name: cases()[name]._replace(sizes=(9, 4, 1))
        for name in LOSSES
        if name != "binary_cross_entropy"  # which 2-10-1 has
    },
    "momentum, l2 and weights": Case(
        fit={"update_rule": "momentum", "l2": 1e-3, "learning_rate": 0.02}, weighted=True
    ),
    "adam, l2 and weights": Case(
        fit={"update_rule": "adam", "l2": 1e-3, "learning_rate": 0.02}, weighted=True
    ),
    "rmsprop, l1": Case(fit={"update_rule": "rmsprop", "l1": 1e-3, "learning_rate": 0.02}, weighted=True),
    "adagrad, l1 and l2": Case(fit={"update_rule": "adagrad", "l1": 1e-3, "l2": 1e-3, "learning_rate": 0.02}),
    "adamw, clipped": Case(
        (2, 4, 1),
        fit={"update_rule": "adamw", "l2": 0.1, "clip_value": 0.05, "learning_rate": 0.02},
        weighted=True,
    ),
    "adamw, batches": Case(
        (2, 3, 1),
        fit={"update_rule": "adamw", "l2": 0.1, "l1": 1e-3, "batch_size": 7, "learning_rate": 0.02},
        weighted=True,
    ),
    "batches": Case(fit={"batch_size": 7, "l2": 1e-3, "learning_rate": 0.5}, weighted=True),
    "clipped, accuracy": Case(
        fit={"clip_value": 0.05, "learning_rate": 0.5, "monitor": ["accuracy"]}, weighted=True
    ),
}
IN_TURN = [
    (name, kernel, DTYPES[(i + j) % 2])
    for i, name in enumerate(SAME)
    for j, kernel in enumerate(("thread", "warp"))
]
"""Each case is a kernel to compile: by a thread in one dtype and by a warp in the other."""
IN_ALL = [("2-10-1", kernel, dtype) for kernel in ("thread", "warp") for dtype in DTYPES]


def fitting(case, kernel):
    """The case, with layers that the registers hold."""
    if len(case.sizes) == 3:
        return case
    rule = case.fit.get("update_rule", "sgd")
    is_small = rule == "adam" or (kernel == "thread" and rule != "sgd")
    return case._replace(sizes=(4, 2, 3) if is_small else (4, 5, 3, 3))


@pytest.mark.parametrize(("name", "kernel", "dtype"), IN_ALL + IN_TURN)
def test_bits_are_the_cpus(name, kernel, dtype):
    case = fitting(SAME[name] if name in SAME else cases()[f"{name} {dtype}"], kernel)._replace(dtype=dtype)
    assert digest_in_population(case, device="cuda", kernel=kernel) == digest(case)


@pytest.mark.parametrize("sizes", [(4, 34, 3), (20, 18, 17, 5), (3, 4, 35)])
def test_bits_of_larger_networks_in_warps_are_the_cpus(sizes):
    case = Case(sizes, "float32", {"hidden_activation": "tanh"})
    assert digest_in_population(case, device="cuda", kernel="warp") == digest(case)


@pytest.mark.parametrize("kernel", ["thread", "warp"])
def test_bits_of_softmax_with_another_loss_are_the_cpus(kernel):
    drawn = np.random.RandomState(0)
    X, Y = drawn.random_sample((40, 4)), np.eye(3)[drawn.randint(0, 3, 40)]
    of = {"loss": "squared_error", "output_activation": "softmax", "dtype": "float32", "numerics": "strict"}
    how = {"epochs": 4, "learning_rate": 0.3, "random_state": 1, "monitor": ["accuracy"]}
    alone = nbp.Network((4, 5, 3), **of, random_state=0).fit(X, Y, **how)
    together = nbp.Population((4, 5, 3), 3, **of, random_state=[1, 2, 0])
    assert together.fit(X, Y, **how, device="cuda", kernel=kernel).digests[-1] == alone.digest


def test_predictions_on_a_gpu_are_the_hosts_to_the_bit():
    drawn = np.random.RandomState(0)
    X, y = drawn.random_sample((40, 4)).astype("float32"), np.eye(3, dtype="float32")[drawn.randint(0, 3, 40)]
    network = nbp.Network((4, 50, 3), dtype="float32", numerics="strict", random_state=0)
    population = nbp.Population((4, 50, 3), 3, dtype="float32", numerics="strict", random_state=0)
    weights = drawn.random_sample(40)
    on_device = memory.to_device(X)
    for model in (network, population):
        found = memory.to_host(model.forward(on_device))
        assert found.tobytes() == np.asarray(model.forward(X)).tobytes()
        there = model.evaluate(on_device, memory.to_device(y), sample_weight=weights)
        here = model.evaluate(X, y, sample_weight=weights)
        assert {name: np.asarray(value).tobytes() for name, value in there.items()} == {
            name: np.asarray(value).tobytes() for name, value in here.items()
        }


def test_a_block_a_network_is_refused():
    with pytest.raises(ValueError, match="sums in order, which threads of a block share out"):
        digest_in_population(cases()["sgd float32"], device="cuda", kernel="block")
