"""Populations with numerics="approximate": the GPU's own exponential in float32, and all else as ever."""

from dataclasses import replace

import numpy as np
import pytest
from problems import draw_problem

import numbabp as nbp
from numbabp.compiler.cuda import kernel
from numbabp.compiler.toolchain import cuda
from numbabp.devices import memory
from numbabp.functions.elementary import exp, exp_or_infinity, logistic, logistic_pair
from numbabp.planning.gpu_layouts import specialisation

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(memory.is_interpreted(), reason="the simulator compiles nothing"),
]
SHAPES = {
    "sigmoid": ((3, 6, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy"),
    "silu and softmax": ((4, 5, 3, 3), ("silu", "sigmoid", "softmax"), "categorical_cross_entropy"),
    "gelu and counts": ((3, 4, 1), ("gelu", "exp"), "poisson"),
}


def fitted(name, numerics, dtype="float32", **options):
    problem = draw_problem(3, *SHAPES[name], n_samples=20)
    sizes, (*hidden, output), loss = SHAPES[name]
    population = nbp.Population(
        sizes, 3, hidden_activation=hidden, output_activation=output, loss=loss, dtype=dtype,
        random_state=0, numerics=numerics,
    )  # fmt: skip
    history = population.fit(problem.X, problem.Y, epochs=5, learning_rate=0.1, random_state=1, **options)
    return population, history


@pytest.mark.parametrize("on_gpu", ["thread", "warp", "block"])
@pytest.mark.parametrize("name", SHAPES)
def test_takes_the_steps_of_fast_numerics_up_to_rounding(name, on_gpu):
    near, history = fitted(name, "approximate", device="cuda", kernel=on_gpu)
    fast, of_fast = fitted(name, "fast", device="cpu")
    np.testing.assert_allclose(near.parameters, fast.parameters, rtol=0, atol=2e-5)
    np.testing.assert_allclose(history.loss, of_fast.loss, rtol=1e-4)


def test_float64_has_the_kernels_of_fast_numerics():
    near, _ = fitted("sigmoid", "approximate", "float64", device="cuda", kernel="thread")
    fast, _ = fitted("sigmoid", "fast", "float64", device="cuda", kernel="thread")
    assert near.parameters.tobytes() == fast.parameters.tobytes()
    options = nbp.options.Options()
    of = [specialisation(each.architecture, options, False, False) for each in (near, fast)]
    assert of[0] == of[1]
    in_float32 = specialisation(near.architecture.with_dtype("float32"), options, False, False)
    assert in_float32 == replace(of[0], dtype_name="float32", numerics="approximate")


def test_processors_have_the_bits_of_fast_numerics():
    near, fast = (
        fitted("silu and softmax", numerics, device="cpu")[0] for numerics in ("approximate", "fast")
    )
    assert near.parameters.tobytes() == fast.parameters.tobytes()


def test_exponentials_are_off_by_few_units_in_the_last_place():
    """2 + 1.173 |x| (CUDA C++ Programming Guide, __expf), and a little for quotients."""

    @kernel(numerics="approximate")
    def take(x, found):
        i = cuda.grid(1)
        if i < x.size:
            found[0, i], found[1, i], found[2, i] = exp(x[i]), exp_or_infinity(x[i]), logistic(x[i])
            found[3, i], found[4, i] = logistic_pair(x[i])

    x = np.concatenate([np.linspace(-87, 87, 3001), [-np.inf, np.inf, np.nan, 0]]).astype(np.float32)
    found = memory.to_device(np.zeros((5, len(x)), np.float32))
    memory.launch(take, -(-len(x) // 64), 64, (memory.to_device(x), found))
    found = memory.to_host(found)
    with np.errstate(over="ignore", divide="ignore"):
        e = np.exp(x.astype(float))
        expected = np.array([e, e, 1 / (1 + 1 / e), 1 / (1 + 1 / e), 1 / (1 + e)])
    within = slice(0, -4)
    units = np.abs(found[:, within] - expected[:, within]) / np.spacing(expected[:, within].astype("f4"))
    assert (units <= 4 + 1.5 * np.abs(x[within])).all()
    assert units.max() > 4  # as where the exponential is exact
    low, high, nan, zero = found[:, -4:].T
    assert low[0] == pytest.approx(exp(np.float32(-100)), rel=1e-5) and low[0] > 0
    assert (low[1], low[2], high[1]) == (0, 0, np.inf)
    assert np.isnan(nan).all() and zero.tolist() == [1, 1, 0.5, 0.5, 0.5]
    assert np.isfinite(low).all() and np.isfinite(high[2:]).all()  # and no 0 times infinity


def test_files_keep_it(tmp_path):
    fitted("sigmoid", "approximate", device="cpu")[0].save(tmp_path / "near.safetensors")
    assert nbp.Population.load(tmp_path / "near.safetensors").architecture.numerics == "approximate"
    with pytest.raises(ValueError, match=r"numerics=.near. is not known; allowed: approximate, fast, strict"):
        nbp.Network((2, 3, 1), numerics="near")
