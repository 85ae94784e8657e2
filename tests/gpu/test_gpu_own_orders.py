"""Populations on a GPU whose networks each take the samples in an order of their own."""

import numpy as np
import pytest
from checkpointing import check_every_version_ends_alike, slices_end_anywhere
from problems import draw_problem

import numbabp as nbp
from numbabp.devices import memory
from numbabp.planning.catalogue import CUDA, KERNELS
from numbabp.training import slicing

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(memory.is_interpreted(), reason="NumPy's numbers warn where random bits overflow"),
]
ON_GPU = [kernel.name for kernel in KERNELS if kernel.device == CUDA and kernel.for_many]
N = 9
WEIGHTS = np.arange(N) % 3 * 0.5
STEPS = {
    "sgd": {},
    "adamw, batches": {"update_rule": "adamw", "l2": 0.3, "batch_size": 4, "sample_weight": WEIGHTS},
}


def population(**options):
    of = {"loss": "binary_cross_entropy", "random_state": 0, **options}
    return nbp.Population((3, 2, 1), 5, **of)


def fit(model, **options):
    problem = draw_problem(0, (3, 2, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy", N)
    how = {"learning_rate": 0.1, "epochs": 3, "own_order": True, "random_state": 7, **options}
    return model.fit(problem.X, problem.Y, **how)


@pytest.mark.parametrize("kernel", ON_GPU)
@pytest.mark.parametrize("name", STEPS)
def test_orders_are_those_of_the_cpu(name, kernel, monkeypatch):
    ours, theirs, alike, sliced = (population() for _ in range(4))
    options = {"monitor": ["accuracy"], **STEPS[name]}
    of_gpu = fit(ours, device="cuda", kernel=kernel, **options)
    of_cpu = fit(theirs, device="cpu", kernel="each", **options)
    np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=1e-12)
    for metric in of_cpu:
        np.testing.assert_allclose(of_gpu[metric], of_cpu[metric], rtol=1e-12)
    fit(alike, device="cuda", kernel=kernel, **options | {"own_order": False})
    assert not np.allclose(ours.parameters, alike.parameters, rtol=1e-6)  # so that it matters
    monkeypatch.setattr(slicing, "SLICE_SECONDS_ON_GPU", 1e-12)  # slices of one sample
    fit(sliced, device="cuda", kernel=kernel, **options)
    np.testing.assert_allclose(sliced.parameters, ours.parameters, rtol=1e-12)


@pytest.mark.parametrize("kernel", ["thread", "warp"])
def test_strict_ones_have_the_bits_of_the_cpu(kernel):
    found = fit(population(numerics="strict"), device="cuda", kernel=kernel)
    assert found.digests == fit(population(numerics="strict"), device="cpu").digests


def test_without_shuffling_all_orders_are_the_same():
    ours, alike = population(), population()
    options = {"shuffle": False, "device": "cuda", "kernel": "thread"}
    fit(ours, **options)
    fit(alike, own_order=False, **options)
    assert ours.parameters.tobytes() == alike.parameters.tobytes()


@pytest.mark.parametrize("kernel", ["thread", "block"])
def test_a_divergence_names_the_sample_of_its_own_order(kernel):
    X = np.random.RandomState(0).standard_normal((7, 2)) * 1e3
    rates = [1e-8, 1e3, 1e5, 2e4]
    options = {"learning_rate": rates, "epochs": 12, "own_order": True, "random_state": 3}
    ours, theirs = (nbp.Population((2, 1), 4, random_state=0) for _ in range(2))
    found = ours.fit(X, X @ [1.0, -1.0], device="cuda", kernel=kernel, **options)
    expected = theirs.fit(X, X @ [1.0, -1.0], device="cpu", kernel="each", **options)
    assert {i: str(error) for i, error in found.diverged.items()} == {
        i: str(error) for i, error in expected.diverged.items()
    }
    assert len(found.diverged) == 3
    np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=1e-10)


def test_a_plan_counts_the_memory_of_orders_and_the_time_to_draw_them():
    X = np.zeros((1000, 3))
    own, common = (
        population().plan(X, device="cuda", kernel="thread", own_order=own_order)
        for own_order in (True, False)
    )
    assert own.memory_bytes - common.memory_bytes == 5 * (4 * 1000 + 8)
    assert own.seconds > common.seconds


def test_from_checkpoints_a_run_ends_with_the_same_bits(tmp_path, monkeypatch):
    def fitted(**more):
        model = population()
        history = fit(model, device="cuda", kernel="thread", epochs=5, **more)
        return model.parameters.tobytes(), history.loss.round(12).tobytes()

    slices_end_anywhere(monkeypatch, N)
    check_every_version_ends_alike(monkeypatch, tmp_path / "run", fitted, 2)
