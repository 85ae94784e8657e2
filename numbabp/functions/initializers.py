"""Initial parameters: the network's starting point, drawn layer by layer in order; biases may stay zero."""

from collections.abc import Callable, Sequence

import numpy as np

from .portable import BLOCK, standard_normal, standard_normal_of_seeds, uniform


def lecun_normal(fan_in: int, fan_out: int) -> float:
    """Standard deviation for a variance of 1 / fan_in (LeCun, Bottou, Orr and Müller 1998)."""
    return np.sqrt(1 / fan_in)


def glorot_normal(fan_in: int, fan_out: int) -> float:
    """Standard deviation for a variance of 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return np.sqrt(2 / (fan_in + fan_out))


def he_normal(fan_in: int, fan_out: int) -> float:
    """Standard deviation for a variance of 2 / fan_in (He, Zhang, Ren and Sun 2015)."""
    return np.sqrt(2 / fan_in)


def zeros(fan_in: int, fan_out: int) -> float:
    """Every weight zero: the hidden units of a layer then never differ."""
    return 0.0


def glorot_uniform(fan_in: int, fan_out: int) -> float:
    """Limit for a variance of 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return np.sqrt(6 / (fan_in + fan_out))


def he_uniform(fan_in: int, fan_out: int) -> float:
    """Limit for a variance of 2 / fan_in (He, Zhang, Ren and Sun 2015)."""
    return np.sqrt(6 / fan_in)


NORMAL = (lecun_normal, glorot_normal, he_normal)
INITIALIZERS: dict[str, Callable[[int, int], float]] = {
    function.__name__: function
    for function in (zeros, lecun_normal, glorot_uniform, glorot_normal, he_normal, he_uniform)
}
"""How far weights spread: the standard deviation of the `NORMAL`, else the limit of uniform ones."""


def draw_weights(weights: Sequence[np.ndarray], init: str, random_state: np.random.RandomState) -> None:
    """Draw a network's initial weights into its arrays (fan_in, fan_out), layer by layer."""
    spread = INITIALIZERS[init]
    if spread in NORMAL:
        n = sum(of_layer.size for of_layer in weights)
        _fill(weights, spread, standard_normal(random_state, (n,)))
        return
    for of_layer in weights:
        if spread is zeros:
            of_layer[...] = 0
        else:
            of_layer[...] = uniform(random_state, spread(*of_layer.shape), of_layer.shape)


def draw_weights_of_seeds(networks: Sequence[Sequence[np.ndarray]], init: str, seeds: Sequence[int]) -> None:
    """Draw the initial weights of each network from a random state of its seed, as `draw_weights` does."""
    spread = INITIALIZERS[init]
    if spread in NORMAL:
        n = sum(of_layer.size for of_layer in networks[0])
        at_once = max(1, 2 * BLOCK // n)
        for first in range(0, len(seeds), at_once):
            some = slice(first, first + at_once)
            numbers = standard_normal_of_seeds(seeds[some], n)
            for weights, of_network in zip(networks[some], numbers, strict=True):
                _fill(weights, spread, of_network)
        return
    own = np.random.RandomState()
    for weights, seed in zip(networks, seeds, strict=True):
        own.seed(seed)
        draw_weights(weights, init, own)


def _fill(weights: Sequence[np.ndarray], spread: Callable[[int, int], float], numbers: np.ndarray) -> None:
    """Put normal numbers into the layers, one after the other."""
    end = 0
    for of_layer in weights:
        begin, end = end, end + of_layer.size
        of_layer[...] = spread(*of_layer.shape) * numbers[begin:end].reshape(of_layer.shape)


def draw_biases(
    biases: Sequence[np.ndarray], weights: Sequence[np.ndarray], random_state: np.random.RandomState
) -> None:
    """Draw initial biases as `glorot_uniform` draws weights, layer by layer, as scikit-learn's are drawn.

    With biases of zero all kinks of a layer lie on planes through the mean of what it gets.
    """
    for of_layer, matrix in zip(biases, weights, strict=True):
        limit = np.sqrt(6 / sum(matrix.shape))
        of_layer[...] = uniform(random_state, limit, of_layer.shape)
