"""Numbers that do not depend on the machine: exact to the last places, and the same bits as ever."""

import ast
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from numbabp import Network, Population
from numbabp.functions import initializers, portable
from numbabp.schedules import check_schedule, learning_rates

PACKAGE = Path(__file__).parents[2] / "numbabp"


def ulps(found, exact):
    """The largest error; `exact` has more digits."""
    return float(np.max(np.abs(found - exact) / np.spacing(np.abs(exact.astype(np.float64)))))


def drawn(low, high, n=100_000):
    return np.random.RandomState(0).uniform(low, high, n)


needs_long = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no longer number to compare with")


@needs_long
@pytest.mark.parametrize("low, high", [(1e-300, 1e-290), (1e-6, 1), (0.7, 1.45), (0.999, 1.001), (1, 1e300)])
def test_log(low, high):
    x = drawn(low, high)
    assert ulps(portable.log(x), np.log(x.astype(np.longdouble))) < 1.2


@needs_long
@pytest.mark.parametrize("low, high", [(-1e-9, 1e-9), (-1, 1), (-700, 700)])
def test_exp(low, high):
    x = drawn(low, high)
    assert ulps(portable.exp(x), np.exp(x.astype(np.longdouble))) < 0.9


def test_exp_beyond_the_numbers():
    x = np.array([-np.inf, -1e300, -800, 800, 1e300, np.inf, np.nan, 0, -0.0])
    np.testing.assert_array_equal(portable.exp(x), [0, 0, 0, np.inf, np.inf, np.inf, np.nan, 1, 1])
    np.testing.assert_allclose(portable.exp([709.7, -740]), np.exp([709.7, -740]), rtol=1e-13)


@needs_long
@pytest.mark.parametrize("p", [-1.5, -1, 0.1, 0.25, 1 / 3, 0.5, 0.7, 1, 2, 3, 5.3])
def test_power(p):
    x = drawn(1, 1e9)
    assert ulps(portable.power(x, p), x.astype(np.longdouble) ** np.longdouble(p)) < 0.9


@needs_long
@pytest.mark.parametrize("base", [0.1, 0.5, 0.75, 0.95, 0.9999, 1.01])
def test_power_of_many(base):
    p = np.arange(50_000)
    exact = np.longdouble(base) ** p
    counts = (exact > 1e-30) & (exact < 1e300)
    assert ulps(portable.power(base, p)[counts], exact[counts]) < 1.2


def test_power_is_exact_where_it_can_be():
    x = np.arange(1.0, 60_000)
    for p in (0, 1, 2, 3):
        np.testing.assert_array_equal(portable.power(x, p), x**p)
    np.testing.assert_array_equal(portable.power(x * x, 0.5), x)
    np.testing.assert_array_equal(portable.power(drawn(0, 1), 1), drawn(0, 1))
    np.testing.assert_array_equal(
        portable.power(2, [-1074, -1, 1023, 1024, 9999]), [5e-324, 0.5, 2.0**1023, *[np.inf] * 2]
    )
    assert portable.power(0.5, 9999) == 0


def test_power_of_huge_exponents():
    x = np.array([0.5, 1.0, 2.0, 3.0, 7.0])
    with np.errstate(all="raise"):
        for p in (1e4, 1e16, 1e18, 1e301):
            np.testing.assert_array_equal(portable.power(x, p), [0, 1, np.inf, np.inf, np.inf])
            np.testing.assert_array_equal(portable.power(x, -p), [np.inf, 1, 0, 0, 0])
            assert not np.signbit(portable.power(x, -p)).any()


@needs_long
def test_cos_pi():
    t = np.concatenate([np.linspace(0, 1, 10_001), drawn(0, 1)])
    t = t[t != 0.5]
    # 1/2 - t is exact near where the cosine has its zero
    exact = np.where(np.abs(t - 0.5) < 0.25, np.sin(PI * (0.5 - t)), np.cos(PI * t))
    assert ulps(portable.cos_pi(t), exact) < 1.7
    np.testing.assert_array_equal(portable.cos_pi([0, 0.5, 1]), [1, 0, -1])
    np.testing.assert_array_equal(portable.cos_pi(1 - t), -portable.cos_pi(1 - (1 - t)))


PI = 4 * np.arctan(np.longdouble(1))


@pytest.mark.parametrize("size", [(0, 3), (1, 1), (2, 1), (3, 3), (40, 50), (101, 101)])
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(
    "make", [np.random.RandomState, lambda seed: np.random.RandomState(np.random.PCG64(seed))]
)
def test_normal_numbers_are_numpys(size, waits, make):
    of_numpy, own = make(3), make(3)
    for _ in range(waits):
        of_numpy.standard_normal(), own.standard_normal()
    for _ in range(3):
        expected = of_numpy.standard_normal(size)
        np.testing.assert_allclose(portable.standard_normal(own, size), expected, rtol=1e-15, atol=0)
        np.testing.assert_allclose(own.standard_normal(), of_numpy.standard_normal(), rtol=1e-15)
        states = [state.get_state(legacy=False) for state in (of_numpy, own)]
        np.testing.assert_allclose(states[1].pop("gauss"), states[0].pop("gauss"), rtol=1e-15)
        np.testing.assert_equal(states[1], states[0])


@pytest.mark.parametrize("n", [0, 1, 2, 7, 30, 1000, 20_001])
def test_normal_numbers_of_seeds(n):
    seeds = list(range(300 if n < 10_000 else 2))  # a few of which draw too few points at once
    expected = [portable.standard_normal(np.random.RandomState(seed), (n,)) for seed in seeds]
    np.testing.assert_array_equal(portable.standard_normal_of_seeds(seeds, n), expected)


@pytest.mark.parametrize("init", initializers.INITIALIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_of_a_population_are_those_of_networks(init, dtype):
    population = Population((7, 5, 1), 400, init=init, dtype=dtype, random_state=range(400))
    for i in (0, 1, 17, 399):
        network = Network((7, 5, 1), init=init, dtype=dtype, random_state=i)
        np.testing.assert_array_equal(population.parameters[i], network.parameters)


def test_uniform_numbers_are_numpys():
    of_numpy, own = np.random.RandomState(3), np.random.RandomState(3)
    expected = of_numpy.uniform(-0.3, 0.3, (50, 20))
    np.testing.assert_allclose(portable.uniform(own, 0.3, (50, 20)), expected, rtol=1e-15, atol=1e-16)
    np.testing.assert_equal(own.get_state(), of_numpy.get_state())


@pytest.mark.parametrize(
    "name, scale", [("lecun_normal", 1 / 6), ("glorot_normal", 2 / 10), ("he_normal", 2 / 6)]
)
def test_initial_weights(name, scale):
    weights = np.empty((6, 4)), np.empty((4, 1))
    initializers.draw_weights(weights, name, np.random.RandomState(0))
    numbers = np.random.RandomState(0).standard_normal(28)
    np.testing.assert_allclose(weights[0], np.sqrt(scale) * numbers[:24].reshape(6, 4), rtol=1e-15)


# --- learning rates ---------------------------------------------------------------------------------

N = 3000
EPOCH = np.arange(N)
FORMULAS = {
    "invscaling": ({"power": 0.3, "samples": 7}, lambda e: 0.1 / (7 * e + 1.0) ** 0.3),
    "exponential": ({"gamma": 0.99}, lambda e: 0.1 * 0.99**e),
    "step": ({"gamma": 0.3, "every": 50}, lambda e: 0.1 * 0.3 ** (e // 50)),
    "cosine": ({"minimum": 0.02}, lambda e: 0.02 + 0.08 * (1 + np.cos(math.pi * e / N)) / 2),
}


def rates(schedule, options, span=None):
    return learning_rates(schedule, check_schedule(schedule, options), 0.1, N, span)


@pytest.mark.parametrize("schedule", FORMULAS)
def test_learning_rates_follow_the_formulas(schedule):
    options, formula = FORMULAS[schedule]
    # of the cosine, what two formulas make of 1 + cos differs by roundings of the number 1
    tolerances = {"rtol": 1e-15, "atol": 1e-16 if schedule == "cosine" else 0}
    np.testing.assert_allclose(rates(schedule, options), formula(EPOCH), **tolerances)


@pytest.mark.parametrize("schedule", FORMULAS)
@pytest.mark.parametrize("length", [1, 3, 8, 1000])
def test_learning_rates_do_not_depend_on_spans(schedule, length):
    options, _ = FORMULAS[schedule]
    whole = rates(schedule, options)
    parts = [rates(schedule, options, (e, min(e + length, N))) for e in range(0, N, length)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


# --- the same bits as ever --------------------------------------------------------------------------


def digest(array):
    return hashlib.sha256(array.astype("<f8").tobytes()).hexdigest()[:16]


PINNED = {
    "log": ["-0x1.26bb1bbb55515p+1", "0x1.193ea7aad030ap+0", "0x1.5963447f87fb5p+9"],
    "exp": ["0x1.1aec7b35a00d4p+0", "0x1.97db0ccceb0afp-5", "0x1.d945df4f8ec8ep+1009"],
    "power": ["0x1.19799812dea14p-40", "0x1.3c640a29f909bp-3", "0x1.f52fee8b01d87p+8"],
    "cos_pi": ["0x1.e6f0e134454ffp-1", "0x1.2cf2304755a5ep-1", "-0x1.e6f0e13445500p-1"],
    "normal": ["0x1.9fd5190657c50p+0", "-0x1.393822fb7d9adp-1", "-0x1.0e6c872548fd2p-1"],
    "uniform": ["-0x1.97da7b34edfe0p-5", "0x1.0ebc17c270d90p-3", "-0x1.332135dc8f5efp-2"],
    "logs": "29f46f7c2127e5ab",
    "exps": "93476b753840880d",
    "powers": "5a4181b19573d3a8",
    "cosines": "1df436c0c40de451",
    "normals": "8f542a9695418687",
    "weights": "e9cb9d118b01c81e",
    "invscaling": "90db8ef134479f5c",
    "exponential": "7dec448a643431e4",
    "step": "7ac1b09441c99ee5",
    "cosine": "dfddc9964af09ce3",
}


def test_no_bit_has_changed():
    normal, uniform = np.random.RandomState(1), np.random.RandomState(1)
    x = drawn(0, 1, 1000)
    found = {
        "log": [float(y).hex() for y in portable.log([0.1, 3.0, 1e300])],
        "exp": [float(y).hex() for y in portable.exp([0.1, -3.0, 700.0])],
        "power": [float(y).hex() for y in portable.power([0.1, 3.0, 1e9], [12, -1.7, 0.3])],
        "cos_pi": [float(y).hex() for y in portable.cos_pi([0.1, 0.3, 0.9])],
        "normal": [float(y).hex() for y in portable.standard_normal(normal, (3,))],
        "uniform": [float(y).hex() for y in portable.uniform(uniform, 0.3, (3,))],
        "logs": digest(portable.log(x)),
        "exps": digest(portable.exp(20 * x)),
        "powers": digest(portable.power(x, 1.7)),
        "cosines": digest(portable.cos_pi(x)),
        "normals": digest(portable.standard_normal(normal, (1000,))),
        "weights": digest(Network((20, 30, 3), random_state=0).parameters),
        **{schedule: digest(rates(schedule, options)) for schedule, (options, _) in FORMULAS.items()},
    }
    assert found == PINNED


# --- nothing else -----------------------------------------------------------------------------------

OF_THE_MACHINE = {
    *(
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "pow",
        "power",
        "float_power",
        "cbrt",
        "hypot",
    ),
    *(
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "asin",
        "acos",
        "atan",
        "atan2",
        "erf",
        "erfc",
        "logaddexp",
    ),
    *("arcsin", "arccos", "arctan", "arctan2", "arcsinh", "arccosh", "arctanh", "gamma", "lgamma"),
    *("standard_normal", "normal", "uniform", "randn"),
}
"""What the C library, or NumPy by its own ways, has other last bits for on other machines."""
PLAIN = ("functions/elementary.py", "functions/erf.py")
"""Here functions that are not compiled are what stands for those that are."""
FORMS = ("overload", "exact_function", "scalar_function", "intrinsic")
ALLOWED = {
    # moments of streams, to the bits of NumPy's
    "kernels/running/moments.py": {"math.hypot"},
}


def calls_of_the_machine(tree):
    """Names such as math.log where they are called, or imported; and powers but for constant ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = ast.unparse(node.func)
            if node.func.attr in OF_THE_MACHINE and name.startswith(("math.", "np.", "random_state.")):
                yield name
        elif isinstance(node, ast.ImportFrom) and node.module in ("math", "numpy"):
            yield from (alias.name for alias in node.names if alias.name in OF_THE_MACHINE)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            yield from () if isinstance(node.right, ast.Constant | ast.UnaryOp) else (ast.unparse(node),)


def compiled_parts(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.relative_to(PACKAGE).as_posix() in PLAIN:
        tree.body = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            and any(ast.unparse(decorator).startswith(FORMS) for decorator in node.decorator_list)
        ]
    return tree


def test_nothing_is_the_machines():
    found = {}
    for path in [*PACKAGE.glob("kernels/**/*.py"), *PACKAGE.glob("functions/*.py"), PACKAGE / "schedules.py"]:
        names = set(calls_of_the_machine(compiled_parts(path)))
        if names:
            found[path.relative_to(PACKAGE).as_posix()] = names
    assert found == ALLOWED


def test_what_is_the_machines_is_found():
    text = "import math\nfrom math import log\nmath.erf(x)\nx = y**3 + 2**n + np.sqrt(z)\nnp.exp(x)\nexp(x)"
    assert set(calls_of_the_machine(ast.parse(text))) == {"log", "math.erf", "2 ** n", "np.exp"}
