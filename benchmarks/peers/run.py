"""numbabp against its peers, in one process and in turn: medians, spread and ratios.

    python benchmarks/peers/run.py [--only NETWORK,...] [--peers SYSTEM,...] [--repeats 7] [--seconds 0.25]
                                   [--json FILE] [--markdown FILE] [--plot FILE] [--publish]

README.md beside this file tells what is measured and how to read it.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

import machine

if __name__ == "__main__":
    machine.on_one_thread()  # before anything loads a BLAS

import numpy as np
import plot
import timing
from in_c import ConstantTwin, Fann, TunedTwin, Twin
from problems import problems
from report import FLOPS_PER_WEIGHT, Report
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from with_jax import Jax, UnrolledJax, WrittenJax
from with_numba import Handwritten, Numbabp
from with_numpy import NumPy
from with_sklearn import ScikitLearn
from with_torch import Torch, WrittenTorch
from with_vw import VowpalWabbit

import numbabp as nbp

PEERS = [
    Numbabp,
    Twin,
    ConstantTwin,
    TunedTwin,
    Handwritten,
    Jax,
    UnrolledJax,
    WrittenJax,
    Fann,
    VowpalWabbit,
    NumPy,
    ScikitLearn,
    WrittenTorch,
    Torch,
]
ROOT = Path(__file__).parents[2]
PUBLISHED = {"json": "docs/peers.json", "markdown": "docs/peers.md", "plot": "docs/images/peers.png"}
PREDICTION = "predict"

INTRODUCTION = """
# numbabp and its peers

Nanoseconds that one step of per-sample stochastic gradient descent takes on one thread: same samples, same
initial weights, same order, all systems in turn in one run. `benchmarks/peers/README.md` tells how; the
command is `python benchmarks/peers/run.py --publish`. Time is the median, beside the least and the most; a
ratio is the median of the ratios within each repeat. MISS is a target that was not reached. numbabp takes the
kernel that a long run would be trained by.
"""


def train_rows(report, problem, kinds, repeats, least):
    """Measure one network and add a row for each system."""
    peers, refusals = timing.available(kinds, problem)
    times, rates = timing.time_training(peers, repeats, least)
    for peer, column in zip(peers, times.T, strict=True):
        share = None
        if problem.dtype == "float32" and not problem.nonzeros:
            share = FLOPS_PER_WEIGHT * problem.n_weights / column / rates
        report.add(
            problem.name,
            problem.dtype,
            peer.name,
            column,
            "ns/step",
            times[:, 0],
            share,
            peer.note,
            trajectory_difference=peer.difference,
        )
    for name, reason, failed in refusals:
        report.refuse(problem.name, problem.dtype, name, reason, failed)


def predict_rows(report, dtype, repeats):
    """Milliseconds of the two estimators' predict: 100,000 x 64 rows through 64-100-10."""
    generator = np.random.default_rng(0)
    X, y = generator.standard_normal((100_000, 64), dtype=dtype), generator.integers(0, 10, 1000)
    models = {"numbabp": nbp.MLPClassifier(max_iter=1), "scikit-learn": MLPClassifier(max_iter=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in models.values():
            model.fit(X[:1000], y).predict(X)
    times = 1e3 * np.array(
        [[timing.seconds(model.predict, X) for model in models.values()] for _ in range(repeats)]
    )
    for name, column in zip(models, times.T, strict=True):
        report.add(PREDICTION, dtype, name, column, "ms", times[:, 0])


def chosen(text, names, what):
    """The names in the text, separated by commas, in their own order; all without a text."""
    if text is None:
        return names
    asked = [name.strip().lower() for name in text.split(",")]
    if unknown := set(asked) - {name.lower() for name in names}:
        raise SystemExit(f"no {what} {', '.join(sorted(unknown))}; there are: {', '.join(names)}.")
    return [name for name in names if name.lower() in asked]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NETWORK,...", help="these networks")
    parser.add_argument("--peers", metavar="SYSTEM,...", help="numbabp and these systems")
    parser.add_argument("--repeats", type=int, default=7, help="timings of each system (default 7)")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of a timing (default 0.25)")
    for name in PUBLISHED:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help="write it there")
    what = f"write {', '.join(PUBLISHED.values())}; the options above replace these names"
    parser.add_argument("--publish", action="store_true", help=what)
    return parser.parse_args()


def main():
    arguments = parse()
    files = {name: getattr(arguments, name) for name in PUBLISHED}
    if arguments.publish:
        files = {name: files[name] or ROOT / default for name, default in PUBLISHED.items()}
    if files["plot"]:
        plot.check()
    rows = list(problems())
    names = dict.fromkeys([*(row.name for row in rows), PREDICTION])
    networks = chosen(arguments.only, list(names), "network")
    systems = chosen(arguments.peers, [kind.name for kind in PEERS], "system")
    kinds = [kind for kind in PEERS if kind is Numbabp or kind.name in systems]

    report = Report(machine.environment(), timing.sgemm_rates())
    for problem in rows:
        if problem.name in networks:
            train_rows(report, problem, kinds, arguments.repeats, arguments.seconds)
    if PREDICTION in networks:
        for dtype in ("float64", "float32"):
            predict_rows(report, dtype, arguments.repeats)
    machine.check_threads()
    if files["json"]:
        report.write_json(files["json"])
    if files["plot"]:
        plot.write(report, files["plot"])
    if files["markdown"]:
        picture = files["plot"] and os.path.relpath(files["plot"], files["markdown"].parent)
        report.write_markdown(files["markdown"], INTRODUCTION, picture)
    sys.exit(bool(report.missed))


if __name__ == "__main__":
    main()
