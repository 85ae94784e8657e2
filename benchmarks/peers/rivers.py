"""Streams of dicts: numbabp.river beside River's own models and deep-river's nets.

    python benchmarks/peers/rivers.py [--rounds 15] [--seeds 5] [--only speed|accuracy] [--markdown FILE]

Speed: `learn_one` with a dict of ten features, in turns, medians over the rounds; each sample is some
thousands of rows, fewer of what is slow. Accuracy: prequential, one pass over the streams that River brings
along, with defaults of numbabp.river for all of them. River's LogisticRegression (one against the rest where
there are more classes than two) and deep-river's nets get a StandardScaler, and the best of the rates named
here; networks trained by `Network.fit`, one pass in the same order and of the same sizes, get the inputs as
standardised by numbabp.river, and the best of the update rules and rates in OF_FIT. deep-river, which needs
torch, is left out where it isn't installed. The exit status is 1 if a target is missed.
"""

import argparse
import copy
import random
import statistics
import sys
import time
import types
from pathlib import Path

import machine
import numpy as np
import river
from river import anomaly, base, datasets, linear_model, multiclass, optim, preprocessing, tree

import numbabp as nbp
from numbabp.river import MLPClassifier, MLPRegressor

try:
    # deep-river 0.3 is made for River 0.25, which had this in another place, and no Shuttle
    river_anomaly = types.ModuleType("river.anomaly.base")
    river_anomaly.AnomalyDetector = base.AnomalyDetector
    sys.modules["river.anomaly.base"] = anomaly.base = river_anomaly
    import torch
    from deep_river.classification.zoo import MultiLayerPerceptron
except ImportError:
    torch = None

SIZES = (32,)
STREAMS = {
    "Phishing": datasets.Phishing,
    "Bananas": datasets.Bananas,
    "ImageSegments": datasets.ImageSegments,
    "Shuttle": datasets.Shuttle,
}
LARGE = 10_000
"""Rows of a stream, from which on slow models get one rate."""
OF_FIT = [("sgd", rate) for rate in (0.01, 0.03, 0.1, 0.3)]
OF_FIT += [("adagrad", rate) for rate in (0.05, 0.1, 0.2, 0.3, 0.5)]
OF_FIT += [("adam", rate) for rate in (0.001, 0.003, 0.01)]
OWN, LOGISTIC, TREE, NETS, FIT = "numbabp.river", "LogisticRegression", "HoeffdingTree", "deep-river", "fit"
FASTER_THAN_NETS, BELOW_FIT = 20.0, 0.5


def deep(n_features, width, n_classes, **options):
    return MultiLayerPerceptron(
        n_features=n_features, n_width=width, n_layers=1, n_init_classes=n_classes, **options
    )


def learners():
    """Models that take ten features, by what they are, and rows of a sample."""
    small = {"hidden_layer_sizes": (16,), "dtype": "float32", "seed": 0}
    found = {
        "River LogisticRegression": (linear_model.LogisticRegression(), 2000),
        "numbabp MLPClassifier 10-16-2 float32, sgd": (MLPClassifier(solver="sgd", **small), 2000),
        "numbabp MLPClassifier 10-16-2 float32": (MLPClassifier(**small), 2000),
        "numbabp MLPClassifier, defaults": (MLPClassifier(seed=0), 2000),
        "numbabp MLPRegressor 10-16-1 float32, sgd": (MLPRegressor(solver="sgd", **small), 2000),
    }
    if torch is not None:
        torch.set_num_threads(1)
        found["deep-river MLP 10-16-2 float32, sgd"] = (deep(10, 16, 2), 50)
    return found


def speed(rounds):
    """Microseconds a row, by model, a list of rounds each."""
    generator = random.Random(0)
    names = [f"feature {i}" for i in range(10)]
    rows = [({name: generator.gauss(0, 1) for name in names}, generator.random() < 0.5) for _ in range(2000)]
    models = learners()
    took = {name: [] for name in models}
    for turn in range(rounds + 1):
        for name, (model, n) in models.items():
            learn = model.learn_one
            started = time.perf_counter()
            for x, y in rows[:n]:
                learn(x, y)
            if turn:  # the first compiles
                took[name].append(1e6 * (time.perf_counter() - started) / n)
    return took


def accuracy(model, rows):
    """Prequential, in percent."""
    right = 0
    for x, y in rows:
        right += model.predict_one(x) == y
        model.learn_one(x, y)
    return 100 * right / len(rows)


def inputs_of(rows):
    """What the networks of numbabp.river get of these rows, and numbers of the classes."""
    model = MLPClassifier((1,), solver="sgd", learning_rate=1e-9, seed=0)
    X, labels = [], [y for _, y in rows]
    for x, y in rows:
        model.learn_one(x, y)
        X.append(model._stream.into.copy())
    classes = sorted(set(labels))
    return np.array(X), np.array([classes.index(y) for y in labels])


def best_of_fit(rows, seeds):
    """The best mean accuracy over the seeds, and what had it."""
    X, y = inputs_of(rows)
    n_classes = int(y.max()) + 1
    found = {}
    for rule, rate in OF_FIT:
        each = []
        for seed in range(seeds):
            network = nbp.Network(
                (X.shape[1], *SIZES, n_classes),
                hidden_activation="relu",
                loss="categorical_cross_entropy",
                init="he_normal",
                random_state=seed,
            )
            options = {"update_rule": rule, "learning_rate": rate, "epochs": 1, "shuffle": False}
            try:
                each.append(100 * network.fit(X, y, progress=False, **options).accuracy[0])
            except nbp.DivergenceError:
                each.append(0.0)
        found[f"{rule} {rate}"] = statistics.mean(each)
    best = max(found, key=found.get)
    return found[best], best


def peers_of(rows):
    """Fresh models of others by kind, several where the best of some rates is taken."""
    n_classes, n_features = len({y for _, y in rows}), len(rows[0][0])
    large = len(rows) > LARGE

    def scaled(model):
        return preprocessing.StandardScaler() | model

    linear = [linear_model.LogisticRegression(optim.SGD(rate)) for rate in (0.01, 0.03, 0.1)]
    if n_classes > 2:
        linear = [multiclass.OneVsRestClassifier(model) for model in linear]
    yield LOGISTIC, [scaled(model) for model in linear]
    yield TREE, [tree.HoeffdingTreeClassifier()]
    if torch is not None:
        settings = [("adam", 0.003), ("adam", 0.01), ("sgd", 0.01), ("sgd", 0.1)][: 1 if large else None]
        yield (
            NETS,
            [
                scaled(deep(n_features, *SIZES, n_classes, optimizer_fn=rule, lr=rate))
                for rule, rate in settings
            ],
        )


def accuracies(name, seeds):
    """Of all models on one stream."""
    rows = list(STREAMS[name]())
    each = [accuracy(MLPClassifier(SIZES, seed=seed), rows) for seed in range(seeds)]
    found = {OWN: statistics.mean(each), "least": min(each), "most": max(each)}
    for kind, models in peers_of(rows):
        found[kind] = max(accuracy(copy.deepcopy(model), rows) for model in models)
    found[FIT], found["settings of fit"] = best_of_fit(rows, seeds)
    print(name, found, flush=True)
    return found


def report_speed(took):
    """Lines of a table, and what missed its target."""
    medians = {name: statistics.median(each) for name, each in took.items()}
    logistic = medians["River LogisticRegression"]
    lines = ["| `learn_one` of a dict of ten features | us | least | times LogisticRegression's |"]
    lines.append("|---|---:|---:|---:|")
    for name, median in medians.items():
        lines.append(f"| {name} | {median:.2f} | {min(took[name]):.2f} | {median / logistic:.2f} |")
    own = medians["numbabp MLPClassifier 10-16-2 float32, sgd"]
    missed = [f"slower than LogisticRegression: {own / logistic:.2f}"] if own > logistic else []
    nets = [median for name, median in medians.items() if name.startswith(NETS)]
    if nets and nets[0] < FASTER_THAN_NETS * own:
        missed.append(f"only {nets[0] / own:.1f} times as fast as deep-river")
    return lines, missed


def report_accuracies(found):
    """Lines of a table, and what missed its target."""
    lines = [
        f"| stream | {OWN}, least to most | {LOGISTIC} | {TREE} | {NETS} | best of `fit` |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    missed = []
    for name, of in found.items():
        nets = f"{of[NETS]:.2f}" if NETS in of else "-"
        lines.append(
            f"| {name} | {of[OWN]:.2f}, {of['least']:.2f} to {of['most']:.2f} | {of[LOGISTIC]:.2f} | "
            f"{of[TREE]:.2f} | {nets} | {of[FIT]:.2f} ({of['settings of fit']}) |"
        )
        for kind in (LOGISTIC, TREE, NETS):
            if of[OWN] < of.get(kind, 0.0):
                missed.append(f"{name}: below {kind} by {of[kind] - of[OWN]:.2f}")
        if of[OWN] < of[FIT] - BELOW_FIT:
            missed.append(f"{name}: below the best of fit by {of[FIT] - of[OWN]:.2f}")
    return lines, missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=["speed", "accuracy"])
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    lines, missed = [f"{machine.processor()}; River {river.__version__}", ""], []
    if arguments.only != "accuracy":
        table, failed = report_speed(speed(arguments.rounds))
        lines, missed = lines + table + [""], missed + failed
    if arguments.only != "speed":
        table, failed = report_accuracies({name: accuracies(name, arguments.seeds) for name in STREAMS})
        lines, missed = lines + table, missed + failed
    text = "\n".join([*lines, "", *(f"Missed: {each}." for each in missed)])
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    machine.on_one_thread()
    raise SystemExit(main())
