"""Networks as C99: compiled by gcc, called, and compared with the network that was written."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import reference
from c_programs import FLAGS, GCC, STRICTER, InC, LearningInC, gcc, library, one_of_each_activation
from running import TOLERANCE

import numbabp as nbp

pytestmark = [pytest.mark.once, pytest.mark.skipif(GCC is None, reason="needs gcc")]

OF_MATH = {"exp", "expm1", "tanh", "erf", "log", "log1p", "fabs"}
FROM_ANY_COMPILER = {"memcpy", "memset", "memmove"}
"""What gcc may call of itself, wherever it compiles for."""


def error(found, expected):
    """The largest, relative to 1 or to the largest of what is expected."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / max(1.0, np.abs(expected).max())


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """All of these in one library, of a file each: names must not meet."""
    folder = tmp_path_factory.mktemp("networks")
    by_name = one_of_each_activation()
    for name, network in by_name.items():
        network.to_c(folder / f"{name}.c", name=name)
    functions = library(folder, sorted(folder.glob("*.c")))
    return {name: (network, InC(functions, network, name)) for name, network in by_name.items()}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("output", reference.ACTIVATIONS)
def test_outputs_are_those_of_forward(compiled, output, dtype):
    network, in_c = compiled[f"{output}_{dtype}"]
    X = np.random.default_rng(0).standard_normal((50, 5))
    assert error(in_c.forward(X), network.forward(X)) < TOLERANCE[dtype]
    assert np.isfinite(in_c.forward(1e3 * X[:5])).all() or output == "exp"


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_classes_are_those_of_predict(compiled, dtype):
    network, in_c = compiled[f"softmax_{dtype}"]
    X = 10 * np.random.default_rng(1).standard_normal((50, 5))
    assert in_c.classify(X) == network.predict(X).tolist()
    assert len(set(in_c.classify(X))) > 1


@pytest.fixture(params=TOLERANCE)
def xor(request):
    return nbp.Network((2, 10, 1), loss="binary_cross_entropy", dtype=request.param, random_state=0)


def test_one_output(tmp_path, xor):
    numbers = nbp.Network((3, 1), dtype=xor.dtype, random_state=1)
    xor.to_c(tmp_path / "xor.c", name="xor")
    numbers.to_c(tmp_path / "numbers.c", name="numbers")
    functions = library(tmp_path, tmp_path.glob("*.c"))
    X = np.random.default_rng(0).standard_normal((20, 3))
    found = InC(functions, numbers, "numbers")
    np.testing.assert_array_equal(found.predict(X), found.forward(X)[:, 0])
    assert error(found.predict(X), numbers.predict(X)) < TOLERANCE[xor.dtype.name]
    assert InC(functions, xor, "xor").classify(X[:, :2]) == xor.predict(X[:, :2]).tolist()
    assert not hasattr(functions, "numbers_classify")


def undefined_in(path):
    lines = subprocess.run(["nm", "-u", path], capture_output=True, text=True, check=True).stdout.split()
    return {name for name in lines if name != "U" and not name.startswith("_GLOBAL")}


def sections_of(path):
    """Bytes of code, of constants, and in RAM; not the tables for unwinding that gcc adds on x86-64."""
    lines = subprocess.run(
        ["size", "-A", path], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sizes = [(line.split()[0], int(line.split()[1])) for line in lines if line.startswith(".")]
    return [
        sum(n for name, n in sizes if name.startswith(kinds))
        for kinds in (".text", ".rodata", (".data", ".bss"))
    ]


@pytest.mark.parametrize("training", [False, True])
def test_xor_is_small_and_takes_nothing_but_math(tmp_path, xor, training):
    xor.to_c(tmp_path / "net.c", training=training)
    gcc(*FLAGS, "-c", tmp_path / "net.c", "-o", tmp_path / "net.o")
    code, constants, in_ram = sections_of(tmp_path / "net.o")
    assert 0 < code + constants < 2048 and in_ram == 0
    assert constants >= xor.parameters.nbytes
    f = "f" if xor.dtype == np.float32 else ""
    used = {f"{name}{f}" for name in (["exp", "log"] if training else ["exp"])}
    assert undefined_in(tmp_path / "net.o") - FROM_ANY_COMPILER == used
    head = (tmp_path / "net.c").read_text().partition("*/")[0]
    assert set(re.search(r"math\.h +(.*)", head)[1].split(", ")) == used


def test_without_exponentials_there_is_no_math_library(tmp_path):
    net = nbp.Network((4, 8, 3), hidden_activation="relu", dtype="float32")
    net.to_c(tmp_path / "net.c", training=True, update_rule="momentum")
    text = (tmp_path / "net.c").read_text()
    assert "#include" not in text
    gcc(*FLAGS, "-c", tmp_path / "net.c", "-o", tmp_path / "net.o")
    assert undefined_in(tmp_path / "net.o") <= FROM_ANY_COMPILER


PROGRAM = """
#include <stdio.h>
#include "net.h"
#include "net.h" /* once more, which is nothing */

int main(void)
{
    const NUMBER samples[2][NET_N_INPUTS] = {{0, 1}, {-2, 3}};
    NUMBER outputs[NET_N_OUTPUTS], targets[NET_N_OUTPUTS] = {1};
    (void)targets;
    for (int s = 0; s < 2; s++) {
        CALLS
        printf("%.17g %d\\n", (double)outputs[0], net_classify(MODEL samples[s]));
    }
    return NET_N_CLASSES != 2;
}
"""


def output_of(folder, xor, compiler=GCC, training=False, flags=FLAGS):
    """What a program that includes a header prints; the header is in the folder."""
    xor.to_c(folder / "net.h", training=training)
    calls = "net_forward(MODEL samples[s], outputs);"
    if training:
        calls = f"net_model model; net_init(&model); net_learn(&model, samples[s], targets, outputs); {calls}"
    text = PROGRAM.replace("CALLS", calls).replace("MODEL", "&model," if training else "")
    text = text.replace("NUMBER", "float" if xor.dtype == np.float32 else "double")
    source, program = folder / ("main.cpp" if "++" in compiler else "main.c"), folder / "main"
    source.write_text(text)
    gcc(*flags, source, "-o", program, "-lm", compiler=compiler)
    done = subprocess.run([program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return np.array([line.split() for line in done.stdout.splitlines()], float)


def test_a_header_is_included(tmp_path, xor):
    X = [[0, 1], [-2, 3]]
    found = output_of(tmp_path, xor)
    assert error(found[:, :1], xor.forward(X)) < TOLERANCE[xor.dtype.name]
    assert found[:, 1].tolist() == xor.predict(X).tolist()
    learnt = output_of(tmp_path, xor, training=True)
    assert (learnt[:, 0] > found[:, 0]).all()


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("training", [False, True])
def test_a_header_is_cpp_too(tmp_path, xor, training):
    flags = ("-std=c++11", *STRICTER[1:-1])
    np.testing.assert_array_equal(
        output_of(tmp_path, xor, "g++", training, flags), output_of(tmp_path, xor, training=training)
    )


@pytest.mark.parametrize("training", [False, True])
def test_samples_are_checked_where_they_run(tmp_path, xor, training):
    X = np.random.default_rng(0).standard_normal((7, 2)).astype(xor.dtype)
    xor.to_c(tmp_path / "right.c", name="right", training=training, samples=X)
    text = (tmp_path / "right.c").read_text().replace("right", "wrong")
    text = re.sub(r"(wrong_expected\[7\] = \{\n *\S+,\s+)", r"\1-", text)
    (tmp_path / "wrong.c").write_text(text)
    functions = library(tmp_path, tmp_path.glob("*.c"))
    for name, n in (("right", 0), ("wrong", 1)):
        model = LearningInC(functions, xor, name).of_model if training else ()
        assert InC(functions, xor, name).check(model) == n
    with pytest.raises(ValueError, match="samples has 1 columns"):
        xor.to_c(tmp_path / "net.c", samples=X[:, :1])
    assert not (tmp_path / "net.c").exists()


def test_every_bit_of_the_parameters_is_kept(tmp_path):
    network = nbp.Network((40, 30, 3), dtype="float32", random_state=0)
    wide = nbp.Network((40, 30, 3), random_state=0)
    for net in (network, wide):
        scales = 10.0 ** np.random.default_rng(0).uniform(-37, 37, net.n_parameters)
        net.parameters *= scales.astype(net.dtype)
        net.parameters[:3] = np.finfo(net.dtype).tiny / 8, np.finfo(net.dtype).max, -0.0
        name = net.dtype.name
        net.to_c(tmp_path / f"{name}.c", name=name, training=True)
    functions = library(tmp_path, tmp_path.glob("*.c"))
    for net in (network, wide):
        weights, biases = LearningInC(functions, net, net.dtype.name).weights_and_biases(net.layer_sizes)
        for found, kept in zip([*weights, *biases], [*net.weights, *net.biases], strict=True):
            assert np.ascontiguousarray(found).tobytes() == kept.tobytes()


@pytest.mark.parametrize(
    "arguments, error_type, message",
    [
        ({"path": 3}, TypeError, "path must be a path, got 3"),
        ({"path": "net.cpp"}, ValueError, r"path must end in .c or .h, got '.*net.cpp'"),
        ({"name": "1net"}, ValueError, "name must be an identifier of C.*'1net'"),
        ({"name": "a-b"}, ValueError, "name must be an identifier of C.*'a-b'"),
        ({"name": "_net"}, ValueError, "name must be an identifier of C.*'_net'"),
        ({"name": "né"}, ValueError, "name must be an identifier of C"),
        ({"name": "net\n"}, ValueError, "name must be an identifier of C"),
        ({"name": None}, TypeError, "name must be a string, got None"),
        ({"training": 1}, TypeError, "training must be True or False, got 1"),
        ({"learning_rate": 0.5}, ValueError, "learning_rate is for training=True"),
        ({"update_rule": "sgd"}, ValueError, "update_rule is for training=True"),
        ({"training": True, "learning_rate": 0}, ValueError, "learning_rate must not be 0"),
        ({"training": True, "learning_rate": "a"}, TypeError, "learning_rate must be a number"),
        ({"training": True, "update_rule": "adam"}, ValueError, "'adam' is not known; .*momentum.*sgd"),
        ({"training": True, "momentum": 1.0}, ValueError, "momentum must be"),
    ],
)
def test_arguments_that_are_not_allowed(tmp_path, arguments, error_type, message):
    net = nbp.Network((2, 3, 1))
    path = arguments.pop("path", "net.c")
    with pytest.raises(error_type, match=message):
        net.to_c(path if isinstance(path, int) else tmp_path / path, **arguments)
    assert not os.listdir(tmp_path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    net = nbp.Network((2, 3, 1))
    path = tmp_path / "net.c"
    net.to_c(path)
    before = path.read_text()
    net.weights[0][1, 2] = np.nan
    with pytest.raises(ValueError, match=r"weights\[0\] must be finite"):
        net.to_c(path)
    assert path.read_text() == before
    net.weights[0][1, 2] = 0.5
    net.to_c(str(path), name="other")
    assert "other_forward" in path.read_text()
    assert os.listdir(tmp_path) == ["net.c"]
    with pytest.raises(OSError):
        net.to_c(tmp_path / "nowhere" / "net.c")


def test_no_line_is_long_or_ends_in_a_space(tmp_path):
    net = nbp.Network((50, 60, 4), loss="categorical_cross_entropy", random_state=0)
    net.to_c(tmp_path / "net.h", training=True, update_rule="nesterov", name="a_name_of_some_length")
    for line in (tmp_path / "net.h").read_text().splitlines():
        assert len(line) <= 160 and line == line.rstrip() and line.isascii()
