"""Seconds of training until a test accuracy is reached, on one thread.

    python benchmarks/peers/time_to_accuracy.py [--only digits,generated] [--repeats N]
                                                [--json FILE] [--markdown FILE] [--publish]

The systems take an epoch each in turn; evaluation between epochs is not counted, and neither is what a system
costs once: that is measured apart, in processes of their own. Every repeat has another seed for initial
weights and orders, on the digits also for the split.

digits: scikit-learn's 1797 images of 8 x 8, divided by 16; 75 % for training, 25 % for testing, stratified.

generated: 60,000 samples for training, 10,000 for testing, 784 features, 10 classes. A class is 30 points of
a standard normal in 16 dimensions; a sample is one of its class's points plus normal noise (0.35), sent
through a random network 16-256-784 of tanh units, plus normal noise (0.7) on each feature, and divided by the
standard deviation of all. Seeded with 0, it is the same everywhere up to rounding. A linear model stays near
51 %.

Rates and lengths of the schedules were chosen by hand, with a look at the first seed's test accuracy.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import machine

if __name__ == "__main__":
    machine.on_one_thread()

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import numbabp as nbp

try:
    import torch
except ImportError:
    torch = None

ROOT = Path(__file__).parents[2]
PUBLISHED = {"json": "docs/time_to_accuracy.json", "markdown": "docs/time_to_accuracy.md"}
HIDDEN = 100


@dataclass
class Task:
    name: str
    target: float
    max_epochs: int
    repeats: int
    train: np.ndarray
    y_train: np.ndarray
    test: np.ndarray
    y_test: np.ndarray


def digits(seed):
    images, y = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    train, test, y_train, y_test = train_test_split(images, y, test_size=0.25, random_state=seed, stratify=y)
    return Task("digits", 0.975, 200, 10, train, y_train, test, y_test)


def generated(seed):
    """One problem, whatever the seed."""
    X, y = generate()
    return Task("generated", 0.96, 30, 3, X[:60_000], y[:60_000], X[60_000:], y[60_000:])


LATENT, UNITS, POINTS, SPREAD, NOISE = 16, 256, 30, 0.35, 0.7


@cache
def generate():
    generator = np.random.default_rng(0)
    points = generator.standard_normal((10, POINTS, LATENT))
    first = generator.standard_normal((LATENT, UNITS)) * (2 / math.sqrt(LATENT))
    second = generator.standard_normal((UNITS, 784)) * (2 / math.sqrt(UNITS))
    X, y = np.empty((70_000, 784), np.float32), generator.integers(0, 10, 70_000)
    for start in range(0, len(X), 10_000):
        part = slice(start, start + 10_000)
        latent = points[y[part], generator.integers(0, POINTS, 10_000)]
        latent = latent + SPREAD * generator.standard_normal(latent.shape)
        X[part] = np.tanh(np.tanh(latent @ first) @ second)
        X[part] += NOISE * generator.standard_normal((10_000, 784), dtype=np.float32)
    X /= X.std()
    return X, y


class Numbabp:
    """Per-sample SGD; the rate falls to 0 along a cosine over `epochs`."""

    name = "numbabp"

    def __init__(self, task, seed, rate, epochs, l2):
        self.task, self.rate, self.epochs, self.l2 = task, rate, epochs, l2
        self.net = nbp.Network(
            (task.train.shape[1], HIDDEN, 10),
            hidden_activation="relu",
            loss="categorical_cross_entropy",
            init="he_normal",
            dtype="float32",
            random_state=seed,
        )
        self.settings = f"per-sample SGD, rate {rate:g} along a cosine over {epochs} epochs, L2 {l2:g}"

    def epoch(self, number):
        rate = self.rate / 2 * (1 + math.cos(math.pi * min(number / self.epochs, 1 - 1e-3)))
        self.net.partial_fit(self.task.train, self.task.y_train, learning_rate=rate, l2=self.l2)

    def predict(self, X):
        return self.net.predict(X)


class ScikitLearn:
    """MLPClassifier's defaults, by partial_fit: fit with warm_start would begin Adam anew every epoch."""

    name = "scikit-learn"
    settings = "MLPClassifier's defaults: Adam, rate 0.001, batches of 200, alpha 0.0001"

    def __init__(self, task, seed):
        self.task = task
        self.model = MLPClassifier(random_state=np.random.RandomState(seed))

    def epoch(self, number):
        self.model.partial_fit(self.task.train, self.task.y_train, classes=range(10))

    def predict(self, X):
        return self.model.predict(X)


class Torch:
    name = "PyTorch"

    def __init__(self, task, seed, optimizer, batch, **options):
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.name = f"PyTorch {optimizer}"
        self.settings = f"{optimizer} {options}, batches of {batch}".replace("'", "")
        self.X, self.y = torch.from_numpy(task.train), torch.from_numpy(task.y_train).long()
        self.batch = batch
        nn = torch.nn
        self.model = nn.Sequential(nn.Linear(task.train.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
        self.optimizer = getattr(torch.optim, optimizer)(self.model.parameters(), **options)
        self.loss = nn.CrossEntropyLoss()

    def epoch(self, number):
        for indices in torch.randperm(len(self.X)).split(self.batch):
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(self.model(self.X[indices]), self.y[indices]).backward()
            self.optimizer.step()

    def predict(self, X):
        with torch.inference_mode():
            return self.model(torch.from_numpy(X)).argmax(1).numpy()


def learners(task, seed):
    if task.name == "digits":
        return [Numbabp(task, seed, 0.05, 30, 0.001), ScikitLearn(task, seed)]
    found = [Numbabp(task, seed, 0.003, 5, 1e-4), ScikitLearn(task, seed)]
    if torch is not None:
        found.append(Torch(task, seed, "Adam", 128, lr=0.001))
        found.append(Torch(task, seed, "SGD", 64, lr=0.01, momentum=0.9))
    return found


def race(task, seed):
    """Seconds, epochs and accuracies of each system until the target, an epoch each in turn."""
    results = {}
    running = learners(task, seed)
    for learner in running:
        results[learner.name] = {"settings": learner.settings, "seconds": 0.0, "accuracies": []}
    for number in range(task.max_epochs):
        for learner in list(running):
            result = results[learner.name]
            started = time.perf_counter()
            learner.epoch(number)
            result["seconds"] += time.perf_counter() - started
            result["accuracies"].append(float(np.mean(learner.predict(task.test) == task.y_test)))
            if result["accuracies"][-1] >= task.target:
                running.remove(learner)
    for result in results.values():
        result["epochs"] = len(result["accuracies"])
        result["reached"] = result["accuracies"][-1] >= task.target
    return results


START = {  # import, first step
    "numbabp": (
        "import numbabp",
        "numbabp.Network((64, 100, 10), hidden_activation='relu', loss='categorical_cross_entropy', "
        "dtype='float32').partial_fit([[0.5] * 64] * 2, [0, 1])",
    ),
    "scikit-learn": (
        "from sklearn.neural_network import MLPClassifier",
        "MLPClassifier().partial_fit([[0.5] * 64] * 2, [0, 1], classes=range(10))",
    ),
    "PyTorch": ("import torch", "torch.nn.Linear(64, 10)(torch.zeros(2, 64)).sum().backward()"),
}


def start_costs():
    """Seconds of the import and of the first step, in new processes; numbabp's also without its cache."""
    costs = {}
    with tempfile.TemporaryDirectory() as empty:
        runs = [("numbabp, nothing cached", "numbabp", empty), ("numbabp", "numbabp", empty)]
        runs += [("scikit-learn", "scikit-learn", None)] + [("PyTorch", "PyTorch", None)] * (
            torch is not None
        )
        for label, name, folder in runs:
            importing, first = START[name]
            code = "import time; a = time.perf_counter()\n" + importing + "\nb = time.perf_counter()\n"
            code += first + "\nprint(b - a, time.perf_counter() - b)"
            own = os.environ | ({"NUMBA_CACHE_DIR": folder} if folder else {})
            done = subprocess.run(
                [sys.executable, "-c", code], env=own, check=True, capture_output=True, text=True
            )
            costs[label] = dict(zip(("import", "first step"), map(float, done.stdout.split()), strict=True))
    return costs


def summary(task, runs):
    """One row a system: medians over the repeats; a repeat that did not get there has no time."""
    rows = []
    for name in runs[0]:
        own = [run[name] for run in runs]
        reached = [run["seconds"] for run in own if run["reached"]]
        rows.append(
            {
                "task": task.name,
                "target": task.target,
                "system": name,
                "settings": own[0]["settings"],
                "runs": len(own),
                "reached": len(reached),
                "seconds": float(np.median(reached)) if reached else None,
                "least": min(reached, default=None),
                "most": max(reached, default=None),
                "epochs": float(np.median([run["epochs"] for run in own])),
                "seconds_per_epoch": float(np.median([run["seconds"] / run["epochs"] for run in own])),
                "best_accuracy": float(np.median([max(run["accuracies"]) for run in own])),
                "accuracies": [run["accuracies"] for run in own],
            }
        )
    return rows


COLUMNS = "| task | system | reached | seconds | least to most | epochs | s/epoch | settings |"


def markdown_row(row):
    times = ["never", ""]
    if row["reached"]:
        times = [f"{row['seconds']:.3g}", f"{row['least']:.3g} to {row['most']:.3g}"]
    cells = [
        f"{row['task']}, {row['target']:.1%}",
        row["system"],
        f"{row['reached']} of {row['runs']}",
        *times,
    ]
    cells += [f"{row['epochs']:g}", f"{row['seconds_per_epoch']:.3g}", row["settings"]]
    return "| " + " | ".join(cells) + " |"


def markdown(rows, costs, about):
    """The whole report."""
    lines = ["# Time to accuracy", "", *__doc__.split("\n\n", 2)[2].strip().splitlines(), ""]
    lines += [
        "Written by `python benchmarks/peers/time_to_accuracy.py`. Medians over the runs that got there;"
    ]
    lines += [f"one hidden layer of {HIDDEN} relu units, softmax, float32, one thread.", ""]
    lines += [COLUMNS, "|---|---|---:|---:|---:|---:|---:|---|", *map(markdown_row, rows), ""]
    lines += ["What a process pays once, in seconds, not counted above:", ""]
    lines += ["| system | import | first step |", "|---|---:|---:|"]
    lines += [f"| {name} | {cost['import']:.2f} | {cost['first step']:.2f} |" for name, cost in costs.items()]
    lines += ["", "Measured on", "", *(f"- {name}: {value}" for name, value in about.items())]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TASK,...", default="digits,generated")
    parser.add_argument("--repeats", type=int, help="runs of each task (default 10 and 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it there")
    parser.add_argument("--publish", action="store_true", help=f"write {', '.join(PUBLISHED.values())}")
    arguments = parser.parse_args()
    files = {name: getattr(arguments, name) for name in PUBLISHED}
    if arguments.publish:
        files = {name: files[name] or ROOT / default for name, default in PUBLISHED.items()}
    about, costs, rows = machine.environment(), start_costs(), []
    print(COLUMNS, flush=True)
    for make in (digits, generated):
        if make.__name__ not in arguments.only.split(","):
            continue
        task = make(0)
        for learner in learners(task, 0):
            learner.epoch(0)  # compiles what is not cached
        repeats = arguments.repeats or task.repeats
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runs = [race(make(seed), seed) for seed in range(repeats)]
        for row in summary(task, runs):
            rows.append(row)
            print(markdown_row(row), flush=True)
    print(json.dumps(costs, indent=1))
    machine.check_threads()
    content = {"environment": about, "once": costs, "rows": rows}
    if files["json"]:
        files["json"].parent.mkdir(parents=True, exist_ok=True)
        files["json"].write_text(json.dumps(content, indent=1) + "\n")
    if files["markdown"]:
        files["markdown"].parent.mkdir(parents=True, exist_ok=True)
        files["markdown"].write_text(markdown(rows, costs, about))


if __name__ == "__main__":
    main()
