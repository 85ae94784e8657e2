"""Networks as C beside emlearn's: code and memory, time, and how near the outputs are to scikit-learn's.

    pip install emlearn setuptools
    python -m benchmarks.c_source

scikit-learn trains; emlearn converts its network (in the form "loadable"; "inline" fails in release 0.23.2,
which takes names of activations for integers), and numbabp writes one of the same weights, also to be trained
further, which emlearn has nothing for. On this machine all take turns at the classes of the same samples, and
what counts are the medians of short runs. Where a compiler for Cortex-M processors and QEMU are found, whole
programs are built with and without the network, the difference told, and instructions counted.
"""

import argparse
import contextlib
import ctypes
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import numbabp as nbp
from benchmarks.on_cortex import boards

HOST = ("-std=gnu99", "-O2", "-ffunction-sections", "-fdata-sections")
ROUNDS, SECONDS = 41, 0.02
ACTIVATIONS = {"logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "softmax": "softmax"}

OURS = """
#include "ours.h"
#define CLASS(x) net_classify(x)
#define OUTPUTS(x, y) net_forward(x, y)
"""
EMLEARN = """
#include "emlearn.h"
#define CLASS(x) net_predict(x, N_INPUTS)
#define OUTPUTS(x, y) eml_net_regress(&net, x, N_INPUTS, y, N_OUTPUTS)
"""
LEARNING = """
#include "learning.h"
static net_model model;
static int learn(const float *x)
{
    float outputs[N_OUTPUTS];
    if (model.learning_rate == 0.0f)
        net_init(&model);
    net_learn_class(&model, x, 1, outputs);
    return outputs[0] > 0.5f;
}
#define CLASS(x) learn(x)
#define OUTPUTS(x, y) net_forward(&model, x, y)
"""
LEARNS = "numbabp, a step"
VARIANTS = {"numbabp": OURS, "emlearn": EMLEARN, LEARNS: LEARNING}
RATE = 1e-6
"""So small that steps without end change little."""

ON_HOST = """
int classes(const float *x, int n, int times)
{
    int sum = 0;
    for (int t = 0; t < times; t++)
        for (int i = 0; i < n; i++)
            sum += CLASS(x + i * N_INPUTS);
    return sum;
}
void outputs(const float *x, int n, float *y)
{
    for (int i = 0; i < n; i++)
        OUTPUTS(x + i * N_INPUTS, y + i * N_OUTPUTS);
}
"""
ON_BOARD = """
#include <stdint.h>
void print_number(uint32_t number);
void start_clock(void);
uint32_t ticks(void);
static const float samples[N_SAMPLES][N_INPUTS] = SAMPLES;
int main(void)
{
    start_clock();
    for (int i = 0; i < N_SAMPLES; i++)
        print_number((uint32_t)CLASS(samples[i]));
    uint32_t before = ticks();
    for (int i = 0; i < N_SAMPLES; i++)
        (void)*(volatile int *)&(int){CLASS(samples[i])};
    print_number(ticks() - before);
    return 0;
}
"""
NOTHING = "#define CLASS(x) ((int)(x)[0])\n"


@dataclass(frozen=True)
class Case:
    """A network that scikit-learn has trained, and samples for it."""

    name: str
    model: MLPClassifier
    X: np.ndarray

    @property
    def n_outputs(self):
        return self.model.n_outputs_

    def expected(self):
        """Outputs in float64, of the weights as they are."""
        with np.errstate(all="ignore"):  # emlearn has every error of NumPy's raised
            probabilities = self.model.predict_proba(self.X.astype(float))
        return probabilities[:, 1:] if self.n_outputs == 1 else probabilities

    def network(self):
        model = self.model
        net = nbp.Network(
            (model.n_features_in_, *model.hidden_layer_sizes, self.n_outputs),
            hidden_activation=ACTIVATIONS[model.activation],
            loss="binary_cross_entropy" if self.n_outputs == 1 else "categorical_cross_entropy",
            dtype="float32",
        )
        net.weights, net.biases = model.coefs_, model.intercepts_
        return net


def cases():
    """XOR, a classifier of three sensors' worth of inputs, and digits."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    plane = rng.uniform(-1, 1, (200, 2)).astype(np.float32)
    some = rng.standard_normal((200, 20)).astype(np.float32)
    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    for name, hidden, activation, X, y in (
        ("2-10-1", (10,), "logistic", plane, (plane[:, 0] > 0) != (plane[:, 1] > 0)),
        ("20-16-8-3", (16, 8), "tanh", some, np.argmax(some[:, :3], axis=1)),
        ("64-32-10", (32,), "relu", pixels, digits.target),
    ):
        model = MLPClassifier(hidden, activation=activation, random_state=0, max_iter=60)
        yield Case(name, model.fit(X, y), X[:40])


def write(case, folder, emlearn):
    """Sources of a network."""
    network = case.network()
    network.to_c(folder / "ours.h")
    network.to_c(folder / "learning.h", training=True, learning_rate=RATE)
    with contextlib.chdir(folder):  # where it compiles a program of its own
        converted = emlearn.convert(case.model, method="loadable")
    converted.save(file=str(folder / "emlearn.h"), name="net")


def macros(case):
    numbers = {"N_INPUTS": case.model.n_features_in_, "N_OUTPUTS": case.n_outputs}
    return "".join(f"#define {name} {number}\n" for name, number in numbers.items())


class OnHost:
    """A variant as a library here."""

    def __init__(self, case, folder, variant, include):
        self.case = case
        source, library = (folder / f"{variant}.{end}" for end in ("c", "so"))
        source.write_text(macros(case) + VARIANTS[variant] + ON_HOST)
        compile_ = ["gcc", *HOST, "-fPIC", f"-I{folder}", f"-I{include}"]
        subprocess.run([*compile_, source, "-shared", "-o", library, "-lm"], check=True)
        self._functions = ctypes.CDLL(str(library))
        self._x = np.ascontiguousarray(case.X, np.float32)
        self._times = 1
        while self.seconds() < SECONDS:
            self._times *= 2

    def seconds(self):
        x, n = self._x.ctypes.data_as(ctypes.c_void_p), len(self._x)
        before = time.process_time()
        self._functions.classes(x, n, self._times)
        return time.process_time() - before

    def nanoseconds(self):
        return self.seconds() / (self._times * len(self._x)) * 1e9

    def error(self):
        """The largest difference of an output from scikit-learn's."""
        y = np.empty((len(self._x), self.case.n_outputs), np.float32)
        x = self._x.ctypes.data_as(ctypes.c_void_p)
        self._functions.outputs(x, len(self._x), y.ctypes.data_as(ctypes.c_void_p))
        return np.abs(y - self.case.expected()).max()


def on_boards(case, folder, include):
    """By processor and variant: bytes of flash and RAM, and instructions a call."""
    rows = ", ".join("{" + ", ".join(f"{x!s}f" for x in row) + "}" for row in case.X)
    program = macros(case) + f"#define N_SAMPLES {len(case.X)}\n#define SAMPLES {{{rows}}}\n"
    found = {}
    for board in boards.BOARDS:
        size_of = {}
        for variant, beginning in {"nothing": NOTHING, **VARIANTS}.items():
            source = folder / f"{variant}_board.c"
            source.write_text(program + beginning + ON_BOARD)
            built = boards.build(board, source, folder, include)
            flash, ram = boards.sizes(built)
            size_of[variant] = flash, ram
            if variant == "nothing":
                continue
            *classes, ticks = map(int, boards.run(board, built))
            assert (
                variant == LEARNS or classes == case.model.predict(case.X.astype(float)).astype(int).tolist()
            )
            instructions = ticks * board.instructions_a_tick / len(case.X)
            without = size_of["nothing"]
            found[board.processor, variant] = flash - without[0], ram - without[1], instructions
    return found


def measure(case, emlearn, with_boards):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(case, folder, emlearn)
        variants = {variant: OnHost(case, folder, variant, emlearn.includedir) for variant in VARIANTS}
        timings = {variant: [] for variant in variants}
        for round_ in range(ROUNDS):
            order = list(variants) if round_ % 2 else list(variants)[::-1]
            for variant in order:
                timings[variant].append(variants[variant].nanoseconds())
        boarded = on_boards(case, folder, emlearn.includedir) if with_boards else {}
        for variant, host in variants.items():
            cells = [case.name, variant, "" if variant == LEARNS else f"{host.error():.0e}"]
            cells += [f"{statistics.median(timings[variant]):.0f}", f"{min(timings[variant]):.0f}"]
            for board in boards.BOARDS if with_boards else ():
                flash, ram, instructions = boarded[board.processor, variant]
                cells += [f"{flash:,}", f"{ram:,}", f"{instructions:,.0f}"]
            yield cells


def version_of(command):
    return subprocess.run([command, "--version"], capture_output=True, text=True).stdout.splitlines()[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    of_scikit_learn = list(cases())
    warnings.simplefilter("ignore")  # emlearn needs distutils
    import emlearn
    import sklearn

    why_not = boards.why_not()
    if why_not:
        print(f"no Cortex-M: {why_not}", file=sys.stderr)
    heads = ["network", "C of", "error", "ns, median", "ns, least"]
    for board in boards.BOARDS if why_not is None else ():
        heads += [f"{board.processor}: flash", "RAM", "instructions"]
    print("|", " | ".join(heads), "|")
    print("|", " | ".join(["---", "---", *["--:"] * (len(heads) - 2)]), "|")
    for case in of_scikit_learn:
        for cells in measure(case, emlearn, why_not is None):
            print("|", " | ".join(cells), "|", flush=True)
    used = [
        f"numbabp {nbp.__version__}",
        f"emlearn {emlearn.__version__}",
        f"scikit-learn {sklearn.__version__}",
    ]
    used += [version_of(command) for command in ("gcc", *(() if why_not else (boards.GCC, boards.QEMU)))]
    print(f"\n{'; '.join(used)}; {platform.machine()}")


if __name__ == "__main__":
    main()
