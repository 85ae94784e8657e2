"""The runs of benchmarks/fingerprint.py: products over kernels, rules, losses, options, dtypes and so on.

Every case is small, names its kernel, asks for one thread unless it is about threads, and goes through the
public interface alone. It returns what is digested: parameters, and what the history recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse

import numbabp as nbp

DTYPES = ("float32", "float64")
LOSSES = ("binary_cross_entropy", "categorical_cross_entropy", "squared_error", "absolute_error", "huber")
ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu")
INITIALIZERS = ("lecun_normal", "zeros", "glorot_uniform", "glorot_normal", "he_normal", "he_uniform")
RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
LINEAR_RULES = RULES[:3]
SCHEDULES = ("invscaling", "exponential", "step", "cosine", "adaptive")
SIZES = {
    "one layer": (7, 3),
    "two layers": (7, 6, 3),
    "three layers": (7, 6, 5, 3),
    "wide": (40, 72, 72, 3),  # hidden weights enough to be put off within a block
    "one output": (7, 6, 1),
}
KERNELS = {
    "sequential": {"kernel": "sequential"},
    "general": {"kernel": "general"},
    "blocked": {"kernel": "blocked", "block_length": 8},
    "blocked 32": {"kernel": "blocked", "block_length": 32},
    "shared": {"kernel": "shared", "block_length": 8},
}
STEPS = {  # options of a step that every kernel takes
    "L2": {"l2": 0.01},
    "shuffled": {"shuffle": True, "random_state": 3},
    "climbing": {"learning_rate": -0.02},
    "monitored": {"monitor": ("accuracy", *LOSSES[2:])},
    "weighted": {"sample_weight": True},
    "validated": {"validation_data": True},
    "stopped early": {
        "early_stopping": True,
        "patience": 1,
        "tol": 1e-2,
        "validation_data": True,
        "epochs": 9,
    },
    **{name: {"schedule": name, "epochs": 5} for name in SCHEDULES},
    "called back": {"callback": lambda epoch, metrics: epoch == 1, "epochs": 4},
}
OF_GENERAL = {
    "L1": {"l1": 0.01},
    "clipped values": {"clip_value": 0.1},
    "clipped norm": {"clip_norm": 0.5},
    "mini-batches": {"batch_size": 5},
    "mini-batches, weighted, L1, L2, clipped": {
        "batch_size": 4,
        "sample_weight": True,
        "l1": 0.01,
        "l2": 0.02,
        "clip_norm": 0.5,
        "clip_value": 0.2,
    },
}
OF_POPULATION = {
    "one rate": {},
    "own rates": {"learning_rate": np.linspace(0.02, 0.3, 21)},
    "own penalties": {"l2": np.linspace(0.0, 0.05, 21)},
    "weighted": {"sample_weight": True},
    "own weights": {"sample_weight": "own"},
    "shuffled": {"shuffle": True, "random_state": 3},
    "monitored": {"monitor": ("accuracy",)},
    "without change": {"n_iter_no_change": 1, "tol": 0.01, "epochs": 8},
    "mini-batches": {"batch_size": 11},
    "in turns": {"chunk_size": 5},
    "two threads": {"n_threads": 2},
    "cosine": {"schedule": "cosine", "epochs": 4},
}
OF_EACH = {
    "own orders": {"own_order": True, "shuffle": True, "random_state": 3},
    "adam": {"update_rule": "adam", "learning_rate": 0.01},
    "mini-batches": {"batch_size": 4},
    "updated": {"propagate": "updated"},
    "sparse": {"sparse": True},
}
N_NETWORKS, N_SAMPLES = 21, 26
"""Of neither whole vectors nor whole blocks."""


@dataclass(frozen=True)
class Case:
    """A run; `run` gives arrays by name."""

    name: str
    run: Callable[[], dict[str, np.ndarray]]


def samples(sizes, loss, dtype="float64", n=N_SAMPLES, sparse=False, seed=0):
    """Inputs and targets."""
    draw = np.random.RandomState(seed)
    X = draw.standard_normal((n, sizes[0])).astype(dtype)
    if sparse:
        X = scipy.sparse.csr_matrix(X * (draw.random_sample(X.shape) < 0.4))
    if loss == "binary_cross_entropy":
        y = draw.randint(2, size=(n, sizes[-1]))
    elif loss == "categorical_cross_entropy":
        y = draw.randint(sizes[-1], size=n)
    else:
        y = draw.standard_normal((n, sizes[-1]))
    return X, y


def weights_of(shape):
    """Sample weights, some of them 0."""
    return np.random.RandomState(5).choice([0.0, 0.5, 1.0, 2.0], size=shape)


def train(sizes, dtype, loss="squared_error", sparse=False, network=None, twice=False, **options):
    """A network's fit: its parameters and history."""
    network = nbp.Network(sizes, loss=loss, dtype=dtype, random_state=1, **(network or {}))
    X, y = samples(sizes, loss, dtype, sparse=sparse)
    given = {"learning_rate": 0.05, "epochs": 2, "shuffle": False, "device": "cpu", "n_threads": 1, **options}
    if given.get("sample_weight"):
        given["sample_weight"] = weights_of(len(y))
    if given.get("validation_data"):
        given["validation_data"] = samples(sizes, loss, dtype, n=9, sparse=sparse, seed=4)
    for _ in range(1 + twice):
        try:
            network.fit(X, y, progress=False, **given)
        except nbp.DivergenceError as error:
            return {"parameters": network.parameters, "stopped at": np.array([error.epoch, error.sample])}
    return {"parameters": network.parameters, **network.history, "rates": network.history.learning_rate}


def train_population(sizes, dtype, loss="squared_error", n=N_NETWORKS, n_samples=N_SAMPLES, sparse=False,
    network=None, twice=False, **options,
):  # fmt: skip
    """A population's fit: its parameters and history."""
    population = nbp.Population(sizes, n, loss=loss, dtype=dtype, random_state=1, **(network or {}))
    X, y = samples(sizes, loss, dtype, n_samples, sparse)
    given = {"learning_rate": 0.05, "epochs": 2, "shuffle": False, "device": "cpu", "n_threads": 1, **options}
    if given.get("sample_weight"):
        given["sample_weight"] = weights_of((n, len(y)) if given["sample_weight"] == "own" else len(y))
    for _ in range(1 + twice):
        population.fit(X, y, progress=False, **given)
    history = population.history
    diverged = np.array(sorted(history.diverged), int)
    return {"parameters": population.parameters, **history, "diverged": diverged, "epochs": history.n_epochs}


def cases():
    """All that run on the CPU."""
    return [
        *_of_kernels(),
        *_of_rules(),
        *_of_options(),
        *_of_sparse(),
        *_of_tiny(),
        *_of_populations(),
        *_of_predictions(),
        *_of_estimators(),
        *_of_searches(),
    ]


def _network(name, dtype, sizes, **options):
    return Case(f"network: {name}, {dtype}", partial(train, SIZES.get(sizes, sizes), dtype, **options))


def _population(name, dtype, sizes, **options):
    run = partial(train_population, SIZES.get(sizes, sizes), dtype, **options)
    return Case(f"population: {name}, {dtype}", run)


def _of_kernels():
    """Depths, losses and activations."""
    for dtype, (kernel, how) in product(DTYPES, KERNELS.items()):
        for sizes in SIZES:
            yield _network(f"{kernel}, {sizes}", dtype, sizes, **how)
        for loss in LOSSES:
            yield _network(f"{kernel}, {loss}", dtype, "two layers", loss=loss, **how)
        if kernel == "blocked 32":
            continue
        for name in ACTIVATIONS:
            hidden = {"hidden_activation": name}
            yield _network(f"{kernel}, {name}", dtype, "two layers", network=hidden, **how)
    for dtype, name in product(DTYPES, (*ACTIVATIONS, "softmax")):
        output = {"output_activation": name, "hidden_activation": ["tanh", "relu"]}
        how = {"network": output, **KERNELS["sequential"]}
        yield _network(f"sequential, output {name}", dtype, "three layers", **how)
    for dtype, name in product(DTYPES, INITIALIZERS):
        how = {"network": {"init": name}, **KERNELS["sequential"]}
        yield _network(f"sequential, init {name}", dtype, "two layers", **how)


def _of_rules():
    """Update rules, which go on in a second call."""
    for dtype, rule in product(DTYPES, RULES):
        how = {"update_rule": rule, "learning_rate": 0.01, "twice": True}
        yield _network(f"general, {rule}", dtype, "two layers", l2=0.01, **KERNELS["general"], **how)
        for kernel in ("general", "minibatch"):
            named = f"{kernel}, {rule}, mini-batches"
            yield _network(named, dtype, "three layers", batch_size=4, kernel=kernel, **how)
    for dtype, rule, length in product(DTYPES, LINEAR_RULES, ("blocked", "blocked 32")):
        how = {"update_rule": rule, "twice": True, "loss": "categorical_cross_entropy"}
        for sizes in ("two layers", "wide"):
            yield _network(f"{length}, {rule}, L2, {sizes}", dtype, sizes, l2=0.01, **KERNELS[length], **how)
    for dtype, l2 in product(DTYPES, (0.0, 0.01)):
        yield _network(f"shared, L2 {l2}, wide", dtype, "wide", l2=l2, twice=True, **KERNELS["shared"])


def _of_options():
    for dtype, kernel, (option, given) in product(DTYPES, tuple(KERNELS)[:3], STEPS.items()):
        yield _network(f"{kernel}, {option}", dtype, "two layers", **{**KERNELS[kernel], **given})
    for dtype, (option, given) in product(DTYPES, OF_GENERAL.items()):
        yield _network(f"general, {option}", dtype, "three layers", **KERNELS["general"], **given)
    for dtype, kernel, sizes in product(DTYPES, ("sequential", "blocked"), ("two layers", "three layers")):
        how = {**KERNELS[kernel], "propagate": "updated"}
        yield _network(f"{kernel}, updated, {sizes}", dtype, sizes, **how)
    for dtype, kernel in product(DTYPES, tuple(KERNELS)[:3]):
        how = {
            **KERNELS[kernel],
            "learning_rate": 50.0,
            "epochs": 50,
            "network": {"hidden_activation": "relu"},
        }
        yield _network(f"{kernel}, diverges", dtype, "two layers", **how)


def _of_sparse():
    for dtype, rule, sizes in product(DTYPES, LINEAR_RULES, ("one layer", "two layers", "three layers")):
        how = {"update_rule": rule, "sparse": True, "l2": 0.01, "twice": True}
        yield _network(f"sparse, {rule}, {sizes}", dtype, sizes, **how)
    for dtype, loss in product(DTYPES, LOSSES):
        yield _network(f"sparse, {loss}", dtype, "two layers", sparse=True, loss=loss)
    for dtype, option in product(DTYPES, ("weighted", "shuffled", "monitored", "validated", "cosine")):
        yield _network(f"sparse, {option}", dtype, "two layers", sparse=True, **STEPS[option])


def _of_tiny():
    """Each width, and outputs alone, together and by loops."""
    how = {"kernel": "tiny", "epochs": 5}
    tanh, gelu = {"hidden_activation": "tanh"}, {"hidden_activation": "gelu"}
    for dtype in DTYPES:
        yield _network("tiny, 2-10-1", dtype, (2, 10, 1), loss="binary_cross_entropy", **how)
        yield _network("tiny, L2, 3-5-1", dtype, (3, 5, 1), l2=0.01, network=tanh, sample_weight=True, **how)
        yield _network("tiny, 5-32-3", dtype, (5, 32, 3), loss="categorical_cross_entropy", **how)
        yield _network("tiny, 3-6-2", dtype, (3, 6, 2), loss="huber", network=gelu, **how)
    yield _network("tiny, updated", "float64", (2, 10, 1), loss="squared_error", propagate="updated", **how)


def _of_populations():
    for dtype, loss in product(DTYPES, LOSSES):
        yield _population(f"lanes, {loss}", dtype, "two layers", loss=loss, kernel="lanes")
    for dtype, name in product(DTYPES, ACTIVATIONS):
        network = {"hidden_activation": name}
        yield _population(f"lanes, {name}", dtype, "two layers", network=network, kernel="lanes")
    for dtype, rule, sizes in product(DTYPES, LINEAR_RULES, ("one layer", "three layers", "wide")):
        how = {"update_rule": rule, "l2": 0.01, "twice": True, "kernel": "lanes"}
        yield _population(f"lanes, {rule}, {sizes}", dtype, sizes, **how)
    for dtype, (option, given) in product(DTYPES, OF_POPULATION.items()):
        how = {"loss": "binary_cross_entropy", "kernel": "lanes", **given}
        yield _population(f"lanes, {option}", dtype, "two layers", **how)
    for dtype, (option, given) in product(DTYPES, OF_EACH.items()):
        yield _population(f"each, {option}", dtype, "two layers", n=3, kernel="each", **given)
    for dtype in DTYPES:
        rates = {"learning_rate": np.geomspace(0.01, 1e6, N_NETWORKS), "epochs": 30}
        relu = {"hidden_activation": "relu"}
        yield _population("lanes, some diverge", dtype, "two layers", network=relu, kernel="lanes", **rates)


def _of_predictions():
    def predict(sizes, dtype, loss, sparse):
        network = nbp.Network(sizes, loss=loss, dtype=dtype, random_state=1)
        X, y = samples(sizes, loss, dtype, sparse=sparse)
        population = nbp.Population(sizes, 5, loss=loss, dtype=dtype, random_state=1)
        found = {**network.evaluate(X, y, monitor=("huber",)), "of all": population.evaluate(X, y)["loss"]}
        arrays = {name: np.asarray(value) for name, value in found.items()}
        return {**arrays, "outputs": network.forward(X), "all outputs": population.forward(X)}

    for dtype, loss, sparse in product(DTYPES, LOSSES, (False, True)):
        kind = "sparse" if sparse else "dense"
        run = partial(predict, SIZES["three layers"], dtype, loss, sparse)
        yield Case(f"predictions: {kind}, {loss}, {dtype}", run)


def _labelled(kind, sparse=False, dtype="float64"):
    """Samples for estimators: two classes, three, several labels, one value or two."""
    draw = np.random.RandomState(2)
    X = draw.standard_normal((40, 6)).astype(dtype)
    scores = X @ draw.standard_normal((6, 3))
    y = {
        "two classes": np.where(scores[:, 0] > 0, "yes", "no"),
        "three classes": scores.argmax(axis=1),
        "labels": (scores > 0).astype(int),
        "value": scores[:, 0],
        "values": scores[:, :2],
    }[kind]
    return (scipy.sparse.csr_matrix(X * (X > 0)) if sparse else X), y


def _members(estimator):
    """Parameters of an estimator and its losses."""
    arrays = {f"coefs {i}": array for i, array in enumerate(estimator.coefs_)}
    arrays |= {f"intercepts {i}": array for i, array in enumerate(estimator.intercepts_)}
    return {**arrays, "losses": np.array(estimator.loss_curve_)}


ESTIMATORS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "adam, batches of 8": {"solver": "adam", "batch_size": 8},
    "adamw": {"solver": "adamw"},
    "momentum": {"momentum": 0.8, "nesterovs_momentum": False},
    "two layers, tanh": {"hidden_layer_sizes": (7, 5), "activation": "tanh"},
    "invscaling": {"learning_rate": "invscaling"},
    "adaptive": {"learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2},
    "sparse": {},
    "float32": {},
    "partial_fit": {},
}


def _fit_estimator(kind, name):
    is_classifier = kind in ("two classes", "three classes", "labels")
    make = nbp.MLPClassifier if is_classifier else nbp.MLPRegressor
    given = {
        "hidden_layer_sizes": (8,),
        "max_iter": 4,
        "random_state": 0,
        "device": "cpu",
        **ESTIMATORS[name],
    }
    estimator = make(**given)
    X, y = _labelled(kind, name == "sparse", "float32" if name == "float32" else "float64")
    if name != "partial_fit":
        return _members(estimator.fit(X, y))
    classes = {"classes": np.unique(y)} if is_classifier and y.ndim == 1 else {}
    for part in (slice(0, 15), slice(15, 40)):
        estimator.partial_fit(X[part], y[part], **classes)
    return _members(estimator)


def _fit_ensemble(kind, bootstrap):
    make = nbp.MLPEnsembleRegressor if kind == "value" else nbp.MLPEnsembleClassifier
    ensemble = make(
        hidden_layer_sizes=(8,),
        max_iter=4,
        random_state=0,
        n_estimators=4,
        bootstrap=bootstrap,
        n_threads=1,
        device="cpu",
    )
    X, y = _labelled(kind)
    return {"parameters": ensemble.fit(X, y).population_.parameters, "predictions": ensemble.predict(X)}


def _of_estimators():
    for kind in ("two classes", "three classes", "labels", "value", "values"):
        for name in ESTIMATORS:
            yield Case(f"estimator: {kind}, {name}", partial(_fit_estimator, kind, name))
    for kind, bootstrap in product(("two classes", "three classes", "value"), (False, True)):
        how = "bootstrap" if bootstrap else "all samples"
        yield Case(f"ensemble: {kind}, {how}", partial(_fit_ensemble, kind, bootstrap))


def _search(kind, n_threads, **how):
    make = nbp.MLPRegressor if kind == "value" else nbp.MLPClassifier
    model = make(hidden_layer_sizes=(8,), max_iter=4, random_state=0, device="cpu")
    options = {"learning_rate_init": [0.01, 0.05, 0.2], "alpha": [1e-4, 1e-2]}
    grid = (
        {"param_distributions": options, "n_iter": 3}
        if how.pop("randomized", False)
        else {"param_grid": options}
    )
    search = nbp.PopulationSearchCV(model, **grid, cv=3, random_state=0, n_threads=n_threads, **how)
    search.fit(*_labelled(kind))
    scores = {f"split {i}": search.cv_results_[f"split{i}_test_score"] for i in range(3)}
    return {**scores, **_members(search.best_estimator_)}


SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {},
    "randomized": {"randomized": True},
    "halving": {"halving": 2},
}


def _of_searches():
    for kind, (name, how), n_threads in product(("three classes", "value"), SEARCHES.items(), (1, 2)):
        threads = f"{n_threads} thread{'s' * (n_threads > 1)}"
        yield Case(f"search: {name}, {kind}, {threads}", partial(_search, kind, n_threads, **how))


ON_GPU = {"thread": 3, "warp": 1, "block": 2}
"""Kernels of populations, and how many networks the simulator trains in reasonable time."""


def simulated_cases():
    """All that need a GPU, or Numba's simulator of one."""
    how = {"device": "cuda", "n_samples": 4, "epochs": 1}
    sizes = {"binary_cross_entropy": (2, 3, 1), "categorical_cross_entropy": (3, 4, 3)}
    for (kernel, n), dtype, loss in product(ON_GPU.items(), DTYPES, sizes):
        run = partial(train_population, sizes[loss], dtype, loss, n, kernel=kernel, **how)
        yield Case(f"GPU population: {kernel}, {loss}, {dtype}", run)
    for (kernel, n), rule in product(ON_GPU.items(), ("momentum", "nesterov", "adam")):
        run = partial(train_population, (2, 3, 1), "float32", n=n, kernel=kernel, update_rule=rule, **how)
        yield Case(f"GPU population: {kernel}, {rule}, float32", run)
    for dtype, rule in product(DTYPES, LINEAR_RULES):
        of_gpu = {"device": "cuda", "epochs": 1, "update_rule": rule, "l2": 0.01}
        run = partial(train, (4, 3, 2), dtype, kernel="blocked", block_length=4, **of_gpu)
        yield Case(f"GPU network: blocked, {rule}, {dtype}", run)
        run = partial(train, (3, 4, 3), dtype, "categorical_cross_entropy", kernel="persistent", **of_gpu)
        yield Case(f"GPU network: persistent, {rule}, {dtype}", run)
