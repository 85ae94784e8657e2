"""Training in C, a sample at a time, against `fit` and the reference."""

import subprocess

import numpy as np
import pytest
import reference
from c_programs import FLAGS, GCC, LearningInC, gcc, library
from problems import draw_problem, network_of, solve
from running import TOLERANCE

import numbabp as nbp

pytestmark = [pytest.mark.once, pytest.mark.skipif(GCC is None, reason="needs gcc")]

DTYPES = ("float64", "float32")
RULES = ("sgd", "momentum", "nesterov")
RATE, EPOCHS, N_SAMPLES = 1 / 256, 6, 50  # 300 steps
FEW = [
    *((output, loss) for loss, output in reference.REQUIRED_OUTPUT.items()),
    *((output, "squared_error") for output in reference.ACTIVATIONS),
    *(("identity", loss) for loss in reference.OF_OUTPUTS if loss != "squared_error"),
]
N_IN_BOTH = 6  # of these in float32, too; the rest is a slow test's


def taught(folder, pairs, n_in_both):
    """Networks with such outputs and losses: problem, network as it begins, its twin in C, update rule.

    Some are in both dtypes, the others in float64 alone.
    """
    hidden, cases = list(reference.ELEMENTWISE), []
    for i, (output, loss) in enumerate(pairs):
        activations, rule = (hidden[i % 9], hidden[(i + 4) % 9], output), RULES[i % 3]
        problem = draw_problem(i, (5, 6, 4, 3), activations, loss, n_samples=N_SAMPLES)
        for dtype in DTYPES if i < n_in_both else DTYPES[:1]:
            network, name = network_of(problem, dtype), f"net{i}_{dtype}"
            path = folder / f"{name}.c"
            network.to_c(path, name=name, training=True, learning_rate=RATE, update_rule=rule)
            cases.append((problem, network, name, rule))
    functions = library(folder, sorted(folder.glob("*.c")))
    return [
        (problem, network, LearningInC(functions, network, name, rule != "sgd"), rule)
        for problem, network, name, rule in cases
    ]


def check(folder, pairs, n_in_both):
    """Hundreds of steps in C end where those of `fit` do, and in float64 where the reference's do."""
    for problem, network, in_c, rule in taught(folder, pairs, n_in_both):
        losses = [np.mean(in_c.learn(problem.X, problem.Y)[1]) for _ in range(EPOCHS)]
        options = {"update_rule": rule, "learning_rate": RATE, "epochs": EPOCHS, "kernel": "general"}
        history = network.fit(problem.X, problem.Y, shuffle=False, **options)
        found, (W, b) = [history.loss], in_c.weights_and_biases(network.layer_sizes)
        errors = [
            reference.largest_relative_error([*W, *b], [*network.weights, *network.biases]),
            reference.largest_relative_error([losses], found),
        ]
        if network.dtype == np.float64:
            of_rule = {} if rule == "sgd" else {"momentum": 0.9}
            trained = solve(problem, learning_rates=[RATE] * EPOCHS, update_rule=rule, **of_rule)
            errors.append(reference.largest_relative_error([*W, *b], [*trained.weights, *trained.biases]))
        case = problem.activations, problem.loss, rule, network.dtype.name
        assert max(errors) < TOLERANCE[network.dtype.name], (errors, case)


def test_hundreds_of_steps_are_those_of_fit(tmp_path):
    check(tmp_path, FEW, N_IN_BOTH)


@pytest.mark.slow
def test_hundreds_of_steps_with_every_output_and_loss(tmp_path):
    check(tmp_path, reference.pairs(), len(reference.pairs()))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_xor_by_default_as_fit_by_default(tmp_path, dtype):
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float), np.array([[0], [1], [1], [0]], float)
    net = nbp.Network((2, 10, 1), loss="binary_cross_entropy", dtype=dtype, random_state=0)
    net.to_c(tmp_path / "xor.c", name="xor", training=True, learning_rate=1.0)
    in_c = LearningInC(library(tmp_path, [tmp_path / "xor.c"]), net, "xor")
    for _ in range(100):
        in_c.learn(X, y)
    net.fit(X, y, learning_rate=1.0, epochs=100, shuffle=False)
    W, b = in_c.weights_and_biases(net.layer_sizes)
    assert reference.largest_relative_error([*W, *b], [*net.weights, *net.biases]) < TOLERANCE[dtype]
    outputs = net.forward(X)
    assert np.abs(in_c.forward(X) - outputs).max() < TOLERANCE[dtype]
    assert in_c.classify(X) == net.predict(X).tolist()


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_classes_by_their_index(tmp_path, n_outputs):
    loss = "binary_cross_entropy" if n_outputs == 1 else "categorical_cross_entropy"
    net = nbp.Network((4, 5, n_outputs), loss=loss, random_state=0)
    net.to_c(tmp_path / "net.c", training=True)
    functions = library(tmp_path, [tmp_path / "net.c"])
    one, other = (LearningInC(functions, net, "net") for _ in range(2))
    rng = np.random.default_rng(0)
    X, indices = rng.standard_normal((20, 4)), rng.integers(max(2, n_outputs), size=20)
    one.learn_classes(X, indices)
    other.learn(X, indices[:, None] if n_outputs == 1 else np.eye(n_outputs)[indices])
    assert one.model.tobytes() == other.model.tobytes()


def test_a_program_may_change_the_learning_rate(tmp_path):
    net = nbp.Network((3, 4, 2), random_state=0)
    net.to_c(tmp_path / "slow.c", name="slow", training=True, learning_rate=0.01)
    net.to_c(tmp_path / "fast.c", name="fast", training=True, learning_rate=0.5)
    functions = library(tmp_path, sorted(tmp_path.glob("*.c")))
    slow, fast = (LearningInC(functions, net, name) for name in ("slow", "fast"))
    slow.model[net.n_parameters :] = 0.5
    X, Y = np.random.default_rng(0).standard_normal((2, 10, 3))
    slow.learn(X, Y[:, :2])
    fast.learn(X, Y[:, :2])
    assert slow.model.tobytes() == fast.model.tobytes()


WITHIN_BOUNDS = """
#include "net.h"

int main(void)
{
    static net_model model; /* and arrays no longer than they have to be */
    float inputs[NET_N_INPUTS], targets[NET_N_OUTPUTS], outputs[NET_N_OUTPUTS];
    for (int i = 0; i < NET_N_INPUTS; i++)
        inputs[i] = (float)i - 1.0f;
    for (int k = 0; k < NET_N_OUTPUTS; k++)
        targets[k] = (float)k;
    net_init(&model);
    for (int step = 0; step < 5; step++)
        net_learn(&model, inputs, targets, outputs);
    net_forward(&model, inputs, outputs);
    return !(net_loss(outputs, targets) >= 0.0f);
}
"""


@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 2), (3, 5, 4, 2), (2, 3, 6, 4, 5, 1)])
def test_nothing_is_read_or_written_out_of_bounds(tmp_path, sizes):
    hidden = ["silu", "gelu", "softplus", "tanh"][: len(sizes) - 2]
    net = nbp.Network(sizes, hidden_activation=hidden, output_activation="silu", dtype="float32")
    net.to_c(tmp_path / "net.h", training=True, update_rule="nesterov")
    (tmp_path / "main.c").write_text(WITHIN_BOUNDS)
    checked = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
    gcc(*FLAGS, *checked, tmp_path / "main.c", "-o", tmp_path / "main", "-lm")
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
