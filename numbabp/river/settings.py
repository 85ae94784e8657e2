"""The parameters of River's estimators, checked, and what they mean to a network and its steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks.arguments import check_bool, check_choice, check_dtype, check_integer, check_real
from ..functions.activations import HIDDEN_ACTIVATIONS
from ..functions.initializers import draw_biases
from ..network import Network
from ..online import Online

BY_ROOT = {"adagrad": 0.6, "rmsprop": 0.02, "adam": 0.02, "adamw": 0.02}
BY_SQUARE = {"sgd": 0.5, "momentum": 0.05, "nesterov": 0.05}
SOLVERS = (*BY_ROOT, *BY_SQUARE)
"""Update rules, by what their rate is divided by with learning_rate="auto", and by what is divided."""
TEXTS = ("onehot", "hash")


@dataclass(frozen=True)
class Settings:
    """How networks are made and trained."""

    hidden_layer_sizes: tuple[int, ...]
    activation: str | Sequence[str]
    solver: str
    learning_rate: float | str
    l2: float
    dtype: np.dtype
    loss: str

    def rate(self, squares: float) -> float:
        """The learning rate where inputs, with the bias's 1, have this mean squared length.

        With "auto" that is the running scale of normalised online learning (Ross, Mineiro and Langford 2013,
        "Normalized Online Learning", UAI; arXiv 1305.6646): eta t/N for plain steps and eta sqrt(t/N) for
        those that are divided by the root of squared gradients, with N the sum of squared lengths over t
        rows; here both t and N forget (`kernels.running.rows`). Hidden units are inputs, too, of a mean
        square about 1. What squared errors give back grows with the square of their number, unlike what
        cross-entropy does: there the widest layer counts. For eta see docs/river.md.
        """
        if not isinstance(self.learning_rate, str):
            return self.learning_rate
        if self.loss == "squared_error":
            squares = max(squares, 1.0 + max(self.hidden_layer_sizes, default=0))
        if self.solver in BY_ROOT:
            return BY_ROOT[self.solver] / math.sqrt(squares)
        return BY_SQUARE[self.solver] / squares

    def new_network(self, n_inputs: int, n_outputs: int, random_state: np.random.RandomState) -> Network:
        """With initial weights for the activation, and biases so that not all kinks lie at the mean."""
        relu = self.activation == "relu"
        network = Network(
            (n_inputs, *self.hidden_layer_sizes, n_outputs),
            hidden_activation=self.activation,
            loss=self.loss,
            init="he_normal" if relu else "lecun_normal",
            dtype=self.dtype,
            random_state=random_state,
        )
        draw_biases(network.biases, network.weights, random_state)
        return network

    def learner(self, network: Network, squares: float) -> Online:
        """What trains it."""
        return network.online(learning_rate=self.rate(squares), update_rule=self.solver, l2=self.l2, window=0)


def check_settings(model: Any, loss: str) -> Settings:
    """Settings from the parameters of an estimator.

    Raises
    ------
    ValueError, TypeError
        For one that is not allowed, naming it and what is.
    """
    sizes = model.hidden_layer_sizes
    sizes = (sizes,) if not hasattr(sizes, "__iter__") else tuple(sizes)
    hidden = tuple(check_integer(f"hidden_layer_sizes[{i}]", size, minimum=1) for i, size in enumerate(sizes))
    allowed = (*HIDDEN_ACTIVATIONS, "logistic")
    activation = check_choice("activation", model.activation, allowed)
    rate = model.learning_rate
    if rate != "auto":
        rate = check_real("learning_rate", rate, minimum=0, open_minimum=True)
    check_choice("text", model.text, TEXTS)
    check_integer("n_hashed", model.n_hashed, minimum=1)
    check_bool("standardize", model.standardize)
    if model.seed is not None:
        check_integer("seed", model.seed, minimum=0)
    return Settings(
        hidden,
        "sigmoid" if activation == "logistic" else activation,
        check_choice("solver", model.solver, SOLVERS),
        rate,
        check_real("l2", model.l2, minimum=0),
        check_dtype(model.dtype),
        loss,
    )
