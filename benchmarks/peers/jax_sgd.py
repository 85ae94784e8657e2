"""Per-sample SGD in JAX, of networks of sigmoid layers: what both of the benchmarks of populations time."""


def make_train(jax, rate, softmax=False):
    """train(layers, X, Y, epochs) of one network, to be jitted, perhaps after vmap over its layers.

    Parameters
    ----------
    jax
        The module.
    rate
        The learning rate; a NumPy scalar keeps its dtype.
    softmax
        Softmax with categorical cross-entropy, instead of sigmoid with the binary one.

    Returns
    -------
    function
        Of [(W, b), ...], samples and targets in order; gives the layers after the epochs, and the last
        epoch's prequential loss.
    """
    numpy = jax.numpy

    def loss_of(layers, x, y):
        *hidden, (W, b) = layers
        for V, c in hidden:
            x = jax.nn.sigmoid(x @ V + c)
        z = x @ W + b
        if softmax:
            return -numpy.sum(y * jax.nn.log_softmax(z))
        return numpy.sum(numpy.logaddexp(z, 0) - z * y)  # max(z, 0) and |z| would have no gradient at z = 0

    def step(carry, sample):
        layers, total = carry
        loss, gradients = jax.value_and_grad(loss_of)(layers, *sample)
        return (jax.tree.map(lambda p, g: p - rate * g, layers, gradients), total + loss), None

    def train(layers, X, Y, epochs):
        def epoch(_, carry):
            return jax.lax.scan(step, (carry[0], numpy.zeros((), X.dtype)), (X, Y))[0]

        return jax.lax.fori_loop(0, epochs, epoch, (layers, numpy.zeros((), X.dtype)))

    return train
