"""What one sample a call costs, by `Network.online` and by peers, and a step of `numbabp.jit` beside `fit`'s.

    python benchmarks/online.py [--rounds 21] [--calls 200] [--markdown FILE]

Every row is called some hundred times in a round, and the rows take turns; medians of the rounds' means, in
seconds on the processor. Calls that are not timed come first, and compile or load the kernels; the two loops
at the end take tens of ms in one call. All in float64, with the same rate; scikit-learn without momentum by
sgd, and by adam, its default.
"""

import argparse
import statistics
import sys
import time
import warnings
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers import machine

machine.on_one_thread()

import numba  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

import numbabp as nbp  # noqa: E402
from numbabp import jit  # noqa: E402

PASSES = {(10, 16, 1): 60, (64, 100, 10): 5}
"""Networks, and how often the loops of steps go through all samples in a call."""
N, RATE = 1000, 0.01
IN_LOOP, OF_FIT = "numbabp.jit.step, in a loop", "a step of Network.fit"


@numba.njit(cache=True)
def learn(learner, X, y, n_passes):
    for _ in range(n_passes):
        for i in range(len(X)):
            jit.step(learner, X[i], y[i])


def network(sizes):
    loss = "binary_cross_entropy" if sizes[-1] == 1 else "categorical_cross_entropy"
    return nbp.Network(sizes, hidden_activation="relu", loss=loss, random_state=0)


def rows(sizes):
    """Functions that are called in a round with a number, by name; those of a loop with any."""
    draw = np.random.default_rng(0)
    X, y = draw.standard_normal((N, sizes[0])), draw.integers(max(2, sizes[-1]), size=N)
    arrays, lists, targets, one = (
        list(X),
        X.tolist(),
        y.tolist(),
        [(X[i : i + 1], y[i : i + 1]) for i in range(N)],
    )
    rows_of_targets = y if sizes[-1] == 1 else np.eye(sizes[-1])[y]
    learner, of_lists, looks = (network(sizes).online(learning_rate=RATE) for _ in range(3))
    in_place = network(sizes).online(learning_rate=RATE)
    by_rows, fitted, compiled = network(sizes), network(sizes), network(sizes).compiled(learning_rate=RATE)
    of = {"hidden_layer_sizes": sizes[1:-1], "random_state": 0, "learning_rate_init": RATE}
    ours = nbp.MLPClassifier(**of)
    theirs, adam = MLPClassifier(solver="sgd", momentum=0, **of), MLPClassifier(**of)
    for model in (ours, theirs, adam):
        model.partial_fit(X, y, classes=np.unique(y))

    def take_in_place(i):
        in_place.inputs[:] = arrays[i]
        in_place.targets[:] = rows_of_targets[i]
        in_place.learn()

    calls = {
        "Online.learn_one, of an array": lambda i: learner.learn_one(arrays[i], targets[i]),
        "Online.learn_one, of a list": lambda i: of_lists.learn_one(lists[i], targets[i]),
        "Online.learn, with an array put in place": take_in_place,
        "Online.predict_one, of an array": lambda i: looks.predict_one(arrays[i]),
        "Network.partial_fit, a row": lambda i: by_rows.partial_fit(*one[i], learning_rate=RATE),
        "numbabp.MLPClassifier.partial_fit, a row": lambda i: ours.partial_fit(*one[i]),
        "scikit-learn, sgd: partial_fit, a row": lambda i: theirs.partial_fit(*one[i]),
        "scikit-learn, adam: partial_fit, a row": lambda i: adam.partial_fit(*one[i]),
    }

    def repeated(call):
        def run(n):
            for i in range(n):
                call(i)

        return run

    n_passes = PASSES[sizes]
    options = {"epochs": n_passes, "shuffle": False, "kernel": "sequential", "learning_rate": RATE}
    return {
        **{name: repeated(call) for name, call in calls.items()},
        IN_LOOP: lambda n: learn(compiled, X, y, n_passes),
        OF_FIT: lambda n: fitted.fit(X, y, **options),
    }


def measure(sizes, n_rounds, n_calls):
    """Median seconds of a call, or of a step of the loops, by name."""
    found = rows(sizes)
    taken = {name: [] for name in found}
    for run in found.values():
        run(n_calls)
    for turn in range(n_rounds):
        for name in list(found)[:: 1 if turn % 2 else -1]:
            started = time.process_time()
            found[name](n_calls)
            n = N * PASSES[sizes] if name in (IN_LOOP, OF_FIT) else n_calls
            taken[name].append((time.process_time() - started) / n)
    return {name: statistics.median(each) for name, each in taken.items()}


def table(n_rounds, n_calls):
    """Lines of Markdown."""
    medians = [measure(sizes, n_rounds, n_calls) for sizes in PASSES]
    lines = ["| us | " + " | ".join("-".join(map(str, sizes)) for sizes in PASSES) + " |"]
    lines.append("|---" + "|--:" * len(PASSES) + "|")
    for name in medians[0]:
        cells = [
            f"{1e6 * of_sizes[name]:{'.0f' if of_sizes[name] > 1e-4 else '.2f'}}" for of_sizes in medians
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--calls", type=int, default=200, help="in a round, at most 1000")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = table(arguments.rounds, arguments.calls)
    print("\n".join(lines))
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
