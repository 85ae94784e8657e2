"""What tests of streams share."""

import numpy as np

import numbabp as nbp


def samples(n=700, n_inputs=5, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, n_inputs))
    return X, (X[:, 0] * X[:, 1] > 0).astype(float), generator.random(n)


def network(n_inputs=5, **arguments):
    sizes = (n_inputs, 7, 1)
    return nbp.Network(sizes, loss="binary_cross_entropy", random_state=0, **arguments)


def cut(*arrays, seed=1, most=100):
    """Batches of all lengths, some of them empty."""
    generator, start = np.random.default_rng(seed), 0
    while start < len(arrays[0]):
        stop = start + int(generator.integers(0, most))
        yield tuple(array[start:stop] for array in arrays)
        start = stop
