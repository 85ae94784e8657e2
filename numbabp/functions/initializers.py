"""Initial parameters: the network's starting point, drawn layer by layer in order; biases may stay zero."""

from collections.abc import Callable, Sequence

import numpy as np

from .portable import standard_normal, uniform


def zeros(fan_in: int, fan_out: int, random_state: np.random.RandomState) -> np.ndarray:
    """Every weight zero: the hidden units of a layer then never differ."""
    return np.zeros((fan_in, fan_out))


def lecun_normal(fan_in: int, fan_out: int, random_state: np.random.RandomState) -> np.ndarray:
    """Normal with variance 1 / fan_in (LeCun, Bottou, Orr and Müller 1998)."""
    return np.sqrt(1 / fan_in) * standard_normal(random_state, (fan_in, fan_out))


def glorot_uniform(fan_in: int, fan_out: int, random_state: np.random.RandomState) -> np.ndarray:
    """Uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    limit = np.sqrt(6 / (fan_in + fan_out))
    return uniform(random_state, limit, (fan_in, fan_out))


def glorot_normal(fan_in: int, fan_out: int, random_state: np.random.RandomState) -> np.ndarray:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return np.sqrt(2 / (fan_in + fan_out)) * standard_normal(random_state, (fan_in, fan_out))


def he_normal(fan_in: int, fan_out: int, random_state: np.random.RandomState) -> np.ndarray:
    """Normal with variance 2 / fan_in (He, Zhang, Ren and Sun 2015)."""
    return np.sqrt(2 / fan_in) * standard_normal(random_state, (fan_in, fan_out))


def he_uniform(fan_in: int, fan_out: int, random_state: np.random.RandomState) -> np.ndarray:
    """Uniform with variance 2 / fan_in (He, Zhang, Ren and Sun 2015)."""
    limit = np.sqrt(6 / fan_in)
    return uniform(random_state, limit, (fan_in, fan_out))


INITIALIZERS: dict[str, Callable[[int, int, np.random.RandomState], np.ndarray]] = {
    function.__name__: function
    for function in (zeros, lecun_normal, glorot_uniform, glorot_normal, he_normal, he_uniform)
}


def draw_weights(weights: Sequence[np.ndarray], init: str, random_state: np.random.RandomState) -> None:
    """Draw a network's initial weights into its arrays (fan_in, fan_out), layer by layer."""
    for of_layer in weights:
        fan_in, fan_out = of_layer.shape
        of_layer[...] = INITIALIZERS[init](fan_in, fan_out, random_state)


def draw_biases(
    biases: Sequence[np.ndarray], weights: Sequence[np.ndarray], random_state: np.random.RandomState
) -> None:
    """Draw initial biases as `glorot_uniform` draws weights, layer by layer, as scikit-learn's are drawn.

    With biases of zero all kinks of a layer lie on planes through the mean of what it gets.
    """
    for of_layer, matrix in zip(biases, weights, strict=True):
        limit = np.sqrt(6 / sum(matrix.shape))
        of_layer[...] = uniform(random_state, limit, of_layer.shape)
