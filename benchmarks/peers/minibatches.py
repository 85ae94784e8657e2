"""Mini-batches beside scikit-learn's: some epochs of Network.fit and of MLPClassifier.fit, in turns.

    python benchmarks/peers/minibatches.py [--repeats 5] [--markdown FILE]

Both on one thread, with the same sizes, ReLU, batches, rule, penalty and rate, on random samples; scikit-
learn goes on by `warm_start`, four epochs a call. sgd is with scikit-learn's default, Nesterov's momentum
of 0.9. Seconds are those on the processor, medians of the repeats. Calls that are not timed come first
and compile, or load, the kernel. The share of products is what the matrix products of an epoch take by
themselves, through NumPy's BLAS and in the same sizes, of numbabp's epoch.

The last column is PyTorch's time, eager with fused update rules, over numbabp's, where it is installed. The
exit status is 1 if a target is missed.
"""

import argparse
import statistics
import time
import warnings
from itertools import pairwise
from pathlib import Path

import machine

machine.on_one_thread()

import numpy as np  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

import numbabp as nbp  # noqa: E402

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

CASES = [  # sizes, batch, rule, samples, targets in float32 and float64
    ((784, 512, 512, 10), 200, "adam", 2000, (2.0, 1.7)),
    ((784, 512, 512, 10), 32, "sgd", 960, (2.6, 2.4)),
    ((784, 100, 10), 200, "adam", 6000, (2.1, 1.6)),
    ((64, 100, 10), 200, "adam", 20000, (4.5, 3.2)),
    ((20, 100, 2), 200, "adam", 40000, (8.0, 5.5)),
]
DTYPES = ("float32", "float64")
ALPHA, RATE, EPOCHS = 1e-4, 1e-3, 4


def seconds(function):
    started = time.process_time()
    function()
    return time.process_time() - started


def epochs_of(sizes, batch_size, rule, n, dtype):
    """Functions that train for an epoch with numbabp and with scikit-learn, and take its products alone."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((n, sizes[0])).astype(dtype)
    y = generator.integers(sizes[-1], size=n)
    n_outputs = 1 if sizes[-1] == 2 else sizes[-1]
    net = nbp.Network(
        (*sizes[:-1], n_outputs),
        hidden_activation="relu",
        loss="binary_cross_entropy" if n_outputs == 1 else "categorical_cross_entropy",
        dtype=dtype,
        random_state=0,
    )
    how = {
        "batch_size": batch_size,
        "update_rule": "nesterov" if rule == "sgd" else rule,
        "learning_rate": RATE,
        "l2": ALPHA / batch_size,
        "kernel": "minibatch",
    }
    model = MLPClassifier(
        sizes[1:-1],
        batch_size=batch_size,
        solver=rule,
        learning_rate_init=RATE,
        alpha=ALPHA,
        warm_start=True,
        max_iter=EPOCHS,
        tol=0,
        n_iter_no_change=10**9,
        random_state=0,
    )
    units = [generator.standard_normal((batch_size, size)).astype(dtype) for size in net.layer_sizes]
    weights = [w.copy() for w in net.weights]
    assert [(len(a[0]), len(b[0])) for a, b in pairwise(units)] == [w.shape for w in weights]

    def products():
        for _ in range(n // batch_size):
            for layer, w in enumerate(weights):
                units[layer] @ w
            for layer in reversed(range(len(weights))):
                units[layer].T @ units[layer + 1]
                if layer:
                    units[layer + 1] @ weights[layer].T

    def in_torch():
        for _ in range(EPOCHS):
            order = torch.randperm(n)
            for start in range(0, n - n % batch_size, batch_size):
                rows = order[start : start + batch_size]
                optimizer.zero_grad(set_to_none=True)
                loss(layers(inputs[rows]), targets[rows]).backward()
                optimizer.step()

    epochs = {
        "numbabp": lambda: net.fit(X, y, epochs=EPOCHS, progress=False, device="cpu", **how),
        "scikit-learn": lambda: model.fit(X, y),
        "products": products,
    }
    if torch is not None:
        of = getattr(torch, dtype)
        parts = [
            part
            for a, b in pairwise(net.layer_sizes)
            for part in (torch.nn.Linear(a, b, dtype=of), torch.nn.ReLU())
        ]
        layers = torch.nn.Sequential(*parts[:-1])
        rest = {"lr": RATE, "weight_decay": ALPHA / batch_size, "fused": True}
        if rule == "adam":
            optimizer = torch.optim.Adam(layers.parameters(), **rest)
        else:
            optimizer = torch.optim.SGD(layers.parameters(), momentum=0.9, nesterov=True, **rest)
        inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
        loss = torch.nn.functional.cross_entropy
        if n_outputs == 1:
            targets, loss = targets.to(of)[:, None], torch.nn.functional.binary_cross_entropy_with_logits
        epochs["PyTorch"] = in_torch
    return epochs


def measure(case, dtype, repeats):
    """Median seconds of an epoch by name."""
    *of, _ = case
    epochs = epochs_of(*of, dtype)
    for epoch in epochs.values():
        epoch()
    taken = {name: [] for name in epochs}
    for _ in range(repeats):
        for name, epoch in epochs.items():
            taken[name].append(seconds(epoch))
    return {name: statistics.median(values) for name, values in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    arguments = parser.parse_args()
    lines = [
        "| network | batch | rule | dtype | numbabp, us a batch | scikit-learn | ratio | target | products "
        "| PyTorch |"
    ]
    lines.append("|---|--:|---|---|--:|--:|--:|--:|--:|--:|")
    missed = []
    print("\n".join(lines))
    for case in CASES:
        sizes, batch_size, rule, n, targets = case
        for dtype, target in zip(DTYPES, targets, strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # ConvergenceWarning, every call
                taken = measure(case, dtype, arguments.repeats)
            ratio = taken["scikit-learn"] / taken["numbabp"]
            name = "-".join(map(str, sizes))
            own, theirs = (
                1e6 * taken[who] * batch_size / (EPOCHS * n) for who in ("numbabp", "scikit-learn")
            )
            share = EPOCHS * taken["products"] / taken["numbabp"]
            eager = f"{taken['PyTorch'] / taken['numbabp']:.2f}" if torch is not None else ""
            lines.append(
                f"| {name} | {batch_size} | {rule} | {dtype} | {own:.0f} | {theirs:.0f} | {ratio:.2f} "
                f"| {target} | {100 * share:.0f} % | {eager} |"
            )
            print(lines[-1], flush=True)
            if torch is not None and taken["PyTorch"] < taken["numbabp"]:
                missed.append(f"{name} {batch_size} {dtype}: slower than PyTorch")
            if ratio < target:
                missed.append(f"{name} {batch_size} {dtype}: {ratio:.2f} of {target}")
    machine.check_threads()
    if arguments.markdown:
        text = ["# Mini-batches and their peer", "", *__doc__.split("\n\n", 2)[2].strip().splitlines(), ""]
        about = (f"- {key}: {value}" for key, value in machine.environment().items())
        text += [*lines, "", "Measured on", "", *about]
        arguments.markdown.write_text("\n".join(text) + "\n")
    if missed:
        raise SystemExit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
