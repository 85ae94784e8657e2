"""What is killed and started again: a row for each kind of run, and the digest of all that it ends with.

Each trains for a second or less, in slices of a few milliseconds, and writes a checkpoint after almost every
one. A case's `run` takes the path of its checkpoint, or None; what it is a digest of does not depend on it.
"""

import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

import numbabp as nbp
from numbabp.tensor_files import LENGTH_BYTES
from numbabp.training import slicing
from numbabp.training.checkpoints import keeper, kept_run

SLICE_SECONDS = 0.003
CHECKPOINT_SECONDS = 0.01
N = 300


class Case(NamedTuple):
    """A kind of run."""

    run: Callable[[Path | None], str]
    """Trains to the end, and returns a digest of all that comes out but seconds; the path may be a folder."""
    leaves: tuple[str, ...] = ()
    """Names of files that it writes beside its checkpoint."""


class Often(keeper.Keeper):
    """Checkpoints all the time."""

    def __init__(self, checkpoint, *arguments):
        super().__init__(checkpoint._replace(every=CHECKPOINT_SECONDS), *arguments)


def kept_often():
    """Let all runs of this process be sliced thin, and kept after almost every slice."""
    slicing.SLICE_SECONDS = SLICE_SECONDS
    kept_run.Keeper = Often


def samples(n_inputs, sparse=False):
    """Inputs, and classes 0 and 1 that no linear model tells apart."""
    draw = np.random.RandomState(1)
    X = draw.standard_normal((N, n_inputs))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    if sparse:
        X[draw.uniform(size=X.shape) < 0.7] = 0
        X = scipy.sparse.csr_matrix(X)
    return X, y


def digest(*found):
    """SHA-256 of arrays, of bytes and of what has a telling representation."""
    result = hashlib.sha256()
    for each in found:
        is_raw = isinstance(each, bytes | np.ndarray)
        result.update(np.ascontiguousarray(each).tobytes() if is_raw else repr(each).encode())
    return result.hexdigest()


def saved(model):
    """What its file holds: parameters, moments, steps and the random state, of a network its history, too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save(path)
        return content_of(path)


def content_of(path):
    """Header and data of a model's file, apart from the order of names, which the library leaves open."""
    content = path.read_bytes()
    end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    return json.dumps(json.loads(content[LENGTH_BYTES:end]), sort_keys=True), content[end:]


def of_network(network):
    network.history.seconds = 0.0  # which differs
    return digest(*saved(network))


def of_population(population, history):
    diverged = sorted((i, str(error)) for i, error in history.diverged.items())
    reasons = [history[i].stop_reason for i in range(len(population))]
    return digest(*saved(population), *history.values(), history.n_epochs, diverged, reasons)


def network(sizes, epochs, sparse=False, validated=False, weighted=False, dtype="float64", **options):
    """A case of `Network.fit`."""

    def run(path):
        X, y = samples(sizes[0], sparse)
        given = {"learning_rate": 0.01, **options}
        if validated:
            given["validation_data"] = X[:50], y[:50]
        if weighted:
            given["sample_weight"] = np.random.RandomState(2).randint(3, size=N)
        net = nbp.Network(sizes, loss="binary_cross_entropy", dtype=dtype, random_state=0)
        net.fit(X, y, epochs=epochs, checkpoint=path, **given)
        return of_network(net)

    return Case(run)


def population(n, epochs, weighted=False, **options):
    """A case of `Population.fit`."""

    def run(path):
        X, y = samples(20)
        given = {"learning_rate": 0.01, **options}
        if weighted:
            given["sample_weight"] = np.random.RandomState(2).randint(3, size=(n, N))
        many = nbp.Population((20, 16, 1), n, loss="binary_cross_entropy", random_state=0)
        history = many.fit(X, y, epochs=epochs, checkpoint=path, **given)
        return of_population(many, history)

    return Case(run)


def estimator(kind, **options):
    """A case of a model's `fit`."""

    def run(path):
        X, y = samples(20)
        model = kind(hidden_layer_sizes=(16,), random_state=0, checkpoint=path, **options)
        ignoring_convergence(model.fit, X, y)
        found = model.loss_curve_, model.validation_scores_, model.n_iter_, model.t_, model.predict(X)
        return digest(of_network(model.inner_network_), *found)

    return Case(run)


def search(**options):
    """A case of `PopulationSearchCV`, whose checkpoint is a folder."""

    def run(path):
        X, y = samples(20)
        model = nbp.MLPClassifier((16,), random_state=0, max_iter=600)
        grid = {"learning_rate_init": [0.002, 0.01], "alpha": [1e-4, 1e-2]}
        grid |= {"activation": ["tanh", "relu"]} if not options else {}
        found = nbp.PopulationSearchCV(model, grid, cv=2, checkpoint=path, **options)
        ignoring_convergence(found.fit, X, y)
        results = found.cv_results_
        names = [name for name in sorted(results) if "time" not in name and name != "params"]
        best = found.best_estimator_.inner_network_
        return digest(
            of_network(best), found.best_index_, *(np.asarray(results[name], str) for name in names)
        )

    return Case(run)


def ensemble(**options):
    """A case of an ensemble, whose checkpoint is a folder."""

    def run(path):
        X, y = samples(20)
        model = nbp.MLPEnsembleClassifier(
            (16,),
            random_state=0,
            n_estimators=4,
            max_iter=2500,
            n_iter_no_change=3000,
            checkpoint=path,
            **options,
        )
        ignoring_convergence(model.fit, X, y)
        return digest(*(member.inner_network_.parameters for member in model.estimators_), model.n_iter_)

    return Case(run)


def ignoring_convergence(fit, X, y):
    """Fit a model whose epochs may be too few."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        fit(X, y)


def exit_well(main, *arguments):
    """A command line's `main` with these arguments; a RuntimeError if it ends with another status than 0."""
    sys.argv = ["numbabp", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"exit status {end.code}") from end


def command(name, option, file, content, *arguments):
    """A case of a command with --checkpoint, of which the `content` of the `file` counts that it writes."""

    def run(path):
        from numbabp.cli import main

        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, file) if path is None else path.with_name(file)
            told = [str(table(Path(folder))), "--target", "y", option, str(output), "--json"]
            told += [] if path is None else ["--checkpoint", str(path)]
            exit_well(main, name, *told, *arguments)
            return digest(*content(output))

    return Case(run, (file,))


def train(*arguments):
    """A case of `numbabp train --checkpoint`, of which the model that is saved counts."""
    return command("train", "--output", "model", content_of, *arguments)


def sweep(*arguments):
    """A case of `numbabp sweep --checkpoint`, of which the table of all networks counts."""
    return command("sweep", "--networks", "networks.csv", lambda path: [path.read_bytes()], *arguments)


def table(folder):
    """A CSV file of the samples."""
    X, y = samples(6)
    path = folder / "table.csv"
    rows = [",".join([*(f"{x:.4f}" for x in row), str(label)]) for row, label in zip(X, y, strict=True)]
    path.write_text("\n".join(["a,b,c,d,e,f,y", *rows]) + "\n")
    return path


SMALL, WIDE = (4, 6, 1), (20, 16, 1)
UNEVEN: Any = np.where(np.arange(40) % 7 == 3, 1e200, 0.01)
"""Learning rates of which some make networks diverge."""
CASES: dict[str, Case] = {
    "sequential": network(WIDE, 4500),
    "sequential, fixed order": network(WIDE, 4500, shuffle=False, l2=0.01),
    "sequential, updated": network((20, 10, 8, 1), 4500, propagate="updated"),
    "sequential, weights": network(WIDE, 4500, weighted=True, dtype="float32"),
    "tiny": network(SMALL, 18000, kernel="tiny"),
    "momentum": network(WIDE, 3000, kernel="general", update_rule="momentum"),
    "nesterov, clipped": network(WIDE, 1800, kernel="general", update_rule="nesterov", clip_norm=1.0),
    "adagrad, l1": network(WIDE, 1800, update_rule="adagrad", l1=1e-4),
    "rmsprop": network(WIDE, 1800, update_rule="rmsprop", learning_rate=1e-3),
    "adam": network(WIDE, 1800, update_rule="adam", learning_rate=1e-3),
    "adam, float32": network(WIDE, 3000, update_rule="adam", learning_rate=1e-3, dtype="float32"),
    "adamw": network(WIDE, 1800, update_rule="adamw", l2=0.01, learning_rate=1e-3),
    "rprop": network(WIDE, 3000, update_rule="rprop", batch_size=N),
    "general, batches": network(WIDE, 2400, kernel="general", update_rule="adam", batch_size=32),
    "minibatch": network(WIDE, 6000, kernel="minibatch", update_rule="adam", batch_size=32),
    "minibatch, clipped": network(WIDE, 6000, kernel="minibatch", batch_size=32, clip_norm=0.5),
    "blocked": network(WIDE, 3000, kernel="blocked", block_length=16),
    "blocked, momentum": network((20, 16, 16, 1), 1800, block_length=16, update_rule="momentum"),
    "blocked, nesterov": network(WIDE, 2400, block_length=32, update_rule="nesterov"),
    "sparse": network(WIDE, 3600, sparse=True),
    "sparse, momentum": network(WIDE, 2400, sparse=True, update_rule="momentum", l2=0.01),
    "sparse, adam, batches": network(WIDE, 2400, sparse=True, update_rule="adam", batch_size=7),
    "cosine": network(WIDE, 4500, schedule="cosine"),
    "adaptive": network(WIDE, 4500, schedule="adaptive", tol=1e-4, schedule_options={"patience": 5}),
    "early stopping": network(
        WIDE, 1000, validated=True, early_stopping=True, patience=800, update_rule="adam", learning_rate=1e-3
    ),
    "many metrics": network(WIDE, 1500, validated=True, random_state=5, monitor=("squared_error",)),
    "lanes": population(40, 100, kernel="lanes", n_threads=2),
    "lanes, momentum": population(40, 100, kernel="lanes", update_rule="momentum", l2=0.01),
    "lanes, weights": population(40, 100, kernel="lanes", weighted=True),
    "lanes, some diverge": population(40, 100, kernel="lanes", learning_rate=UNEVEN),
    "lanes, in turns": population(40, 100, kernel="lanes", chunk_size=15, n_threads=2),
    "lanes, some end": population(40, 100, kernel="lanes", tol=1e-2, n_iter_no_change=5),
    "each": population(6, 1000, kernel="each", own_order=True, n_threads=2),
    "each, adam": population(6, 1000, update_rule="adam", schedule="cosine", batch_size=16, n_threads=2),
    "each, some diverge": population(6, 1000, kernel="each", learning_rate=UNEVEN[:6]),
    "classifier": estimator(nbp.MLPClassifier, max_iter=1500, n_iter_no_change=2000),
    "classifier, early stopping": estimator(
        nbp.MLPClassifier, max_iter=800, early_stopping=True, n_iter_no_change=700
    ),
    "regressor": estimator(
        nbp.MLPRegressor, max_iter=1500, n_iter_no_change=2000, solver="adam", batch_size=16
    ),
    "search": search(),
    "search, halving": search(halving=2),
    "ensemble": ensemble(),
    "ensemble, bootstrap": ensemble(bootstrap=True),
    "sweep": sweep(
        "--hidden", "16,8x4", "--grid", "learning_rate=0.01,0.05", "--seeds", "5", "--epochs", "1200"
    ),
    "train": train("--epochs", "2000", "--hidden", "16", "--no-baselines"),
    "train, adam": train("--epochs", "2000", "--hidden", "16", "--update-rule", "adam", "--early-stopping"),
}
"""All of them. Those with machine code of their own for the sizes, or slow to compile, are few."""
COLD = ("sequential", "adam", "minibatch", "train")
"""Those that are also killed while nothing is compiled yet."""
QUICK = ("sequential", "train")
"""Those for a first look."""
