"""Runs with numerics="strict", each of which must end with the same digest on every machine.

Samples are made of `RandomState.random_sample` and `randint` alone, which are integers' arithmetic, so that
they have the same bits everywhere, too.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

import numbabp as nbp

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
ACTIVATIONS = ("identity", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu")
LOSSES = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "binary_cross_entropy")
DTYPES = ("float32", "float64")


class Case(NamedTuple):
    """A network and how it is trained."""

    sizes: tuple[int, ...] = (20, 18, 17, 5)
    dtype: str = "float64"
    network: dict[str, Any] = {}  # noqa: RUF012  # not changed
    """Arguments of `Network`,"""
    fit: dict[str, Any] = {}  # noqa: RUF012
    """and of `fit`."""
    n_samples: int = 60
    is_sparse: bool = False
    weighted: bool = False
    validated: bool = False

    @property
    def loss(self) -> str:
        """Of the network."""
        return self.network.get("loss", "categorical_cross_entropy")

    @property
    def is_for_many(self) -> bool:
        """Whether a population trains so."""
        return not (self.validated or "schedule" in self.fit)


def cases() -> dict[str, Case]:
    """By name."""
    found = {}
    for dtype in DTYPES:
        found |= {f"{rule} {dtype}": Case(dtype=dtype, fit=_of_rule(rule)) for rule in RULES}
        for name in ACTIVATIONS:
            found[f"{name} {dtype}"] = Case(dtype=dtype, network={"hidden_activation": name})
        found[f"2-10-1 {dtype}"] = Case((2, 10, 1), dtype, {"loss": "binary_cross_entropy"}, {"epochs": 20})
        found[f"784-128-10 {dtype}"] = Case((784, 128, 10), dtype, n_samples=20)
        found[f"sparse {dtype}"] = Case((200, 24, 5), dtype, is_sparse=True)
        found[f"l2 and weights {dtype}"] = Case(dtype=dtype, fit={"l2": 1e-3}, weighted=True)
    found |= {loss: Case((20, 9, 1), network={"loss": loss}) for loss in LOSSES}
    by_momentum = {"update_rule": "momentum", "learning_rate": 0.02}
    found |= {
        "sparse momentum": Case((200, 24, 5), fit={**by_momentum, "l2": 1e-4}, is_sparse=True),
        "mini-batches": Case(dtype="float32", fit={**_of_rule("adam"), "batch_size": 7}),
        "whole batches by rprop": Case(fit={"update_rule": "rprop", "batch_size": 60}),
        "l1 and clipping": Case(fit={**by_momentum, "l1": 1e-4, "clip_norm": 1.0, "clip_value": 0.5}),
        "updated": Case(fit={"propagate": "updated"}),
        "cosine": Case(network={"init": "glorot_uniform"}, fit={"schedule": "cosine"}),
        "invscaling": Case(
            fit={"schedule": "invscaling", "schedule_options": {"power": 0.3}, "shuffle": False}
        ),
        "early stopping": Case(fit={"early_stopping": True, "patience": 2, "epochs": 12}, validated=True),
    }
    return found


def _of_rule(rule: str) -> dict[str, Any]:
    return {"update_rule": rule, "learning_rate": 0.1 if rule == "sgd" else 0.01}


def samples(case: Case, seed: int = 0) -> tuple[Any, np.ndarray]:
    """X and y of a case."""
    drawn = np.random.RandomState(seed)
    n, n_outputs = case.n_samples, case.sizes[-1]
    X = 2 * drawn.random_sample((n, case.sizes[0])) - 1
    if case.is_sparse:
        X = sparse.csr_matrix(np.where(drawn.random_sample(X.shape) < 0.1, X, 0))
    if case.loss == "categorical_cross_entropy":
        return X, drawn.randint(0, n_outputs, n)
    if case.loss == "binary_cross_entropy":
        return X, drawn.randint(0, 2, n)
    return X, drawn.random_sample(n)


def digest(case: Case, numerics: str = "strict") -> str:
    """That a network trained alone ends with; of a fast one that of its parameters."""
    network = nbp.Network(case.sizes, **{**_network(case), "numerics": numerics}, random_state=0)
    X, y = samples(case)
    history = network.fit(X, y, **_fit(case, len(y)))
    return history.digest or hashlib.sha256(network.parameters.tobytes()).hexdigest()


def digest_in_population(case: Case, n_networks: int = 3, **options: Any) -> str:
    """That the last network of a population ends with."""
    seeds = [*range(1, n_networks), 0]
    population = nbp.Population(case.sizes, n_networks, **_network(case), random_state=seeds)
    X, y = samples(case)
    history = population.fit(X, y, **_fit(case, len(y)), **options)
    assert history.digests is not None
    return history.digests[-1]


def _network(case: Case) -> dict[str, Any]:
    named: dict[str, Any] = {"loss": case.loss, "dtype": case.dtype, "numerics": "strict"}
    return {**named, **case.network, **({"quantile": 0.3} if case.loss == "quantile" else {})}


def _fit(case: Case, n: int) -> dict[str, Any]:
    named: dict[str, Any] = {"epochs": 5, "learning_rate": 0.1, "random_state": 3, **case.fit}
    if case.weighted:
        named["sample_weight"] = np.random.RandomState(1).random_sample(n)
    if case.validated:
        named["validation_data"] = samples(case, 1)
    return named
