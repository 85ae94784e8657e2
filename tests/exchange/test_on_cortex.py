"""Networks as C on processors of microcontrollers, under QEMU, where it is found."""

import numpy as np
import pytest
import reference
from c_programs import as_in_c, one_of_each_activation
from problems import draw_problem, network_of

from benchmarks.on_cortex import boards

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(boards.why_not() is not None, reason="needs ARM's gcc and QEMU"),
]

BEGINNING = """
#include <stdint.h>
void print_number(uint32_t number);
"""


@pytest.mark.parametrize("board", boards.BOARDS, ids=lambda board: board.processor)
def test_outputs_are_those_of_forward(tmp_path, board):
    X, networks = np.random.default_rng(0).standard_normal((20, 5)), one_of_each_activation()
    for name, network in networks.items():
        network.to_c(tmp_path / f"{name}.h", name=name, samples=X)
    included = "".join(f'#include "{name}.h"\n' for name in networks)
    checks = "".join(f"    print_number((uint32_t){name}_check());\n" for name in networks)
    source = tmp_path / "main.c"
    source.write_text(f"{BEGINNING}{included}int main(void)\n{{\n{checks}    return 0;\n}}\n")
    printed = boards.run(board, boards.build(board, source, tmp_path))
    assert printed == ["0"] * len(networks)


TRAINING = """
#include "net.h"
static const float X[50][5] = INPUTS, Y[50][3] = TARGETS;
static net_model model;

int main(void)
{
    float outputs[NET_N_OUTPUTS];
    net_init(&model);
    for (int step = 0; step < 300; step++)
        net_learn(&model, X[step % 50], Y[step % 50], outputs);
    for (int j = 0; j < NET_N_PARAMETERS; j++) {
        union { float number; uint32_t bits; } parameter = {model.parameters[j]};
        print_number(parameter.bits);
    }
    return 0;
}
"""


@pytest.mark.parametrize("board", boards.BOARDS, ids=lambda board: board.processor)
def test_300_steps_are_those_of_fit(tmp_path, board):
    problem = draw_problem(3, (5, 7, 3), ("tanh", "softmax"), "categorical_cross_entropy", n_samples=50)
    net = network_of(problem, "float32")
    options = {"learning_rate": 1 / 64, "update_rule": "momentum"}
    net.to_c(tmp_path / "net.h", training=True, **options)
    net.fit(problem.X, problem.Y, epochs=6, shuffle=False, kernel="general", **options)
    text = TRAINING.replace("INPUTS", as_in_c(problem.X)).replace("TARGETS", as_in_c(problem.Y))
    source = tmp_path / "main.c"
    source.write_text(BEGINNING + text)
    printed = boards.run(board, boards.build(board, source, tmp_path))
    found = np.array(printed, np.int64).astype(np.uint32).view(np.float32)
    rows = zip(net.weights, net.biases, strict=True)
    expected = np.concatenate([np.column_stack([b, W.T]).ravel() for W, b in rows])
    assert reference.largest_relative_error([found], [expected]) < 1e-6
