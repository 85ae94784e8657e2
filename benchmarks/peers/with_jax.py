"""JAX: the epochs in one jitted call, lax.scan over the samples, the parameters carried."""

import numpy as np
from peer import BOTH_LOSSES, Peer, Unavailable, flat
from problems import BETA_1, BETA_2, EPSILON


class Jax(Peer):
    """The gradient from jax.value_and_grad, lax.scan as it comes."""

    name = "JAX"
    losses = BOTH_LOSSES
    unroll = 1
    has_adam = True

    @classmethod
    def check(cls, problem):
        super().check(problem)
        try:
            import jax
        except ImportError:
            raise Unavailable("not installed (pip install jax)") from None
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", True)

    def __init__(self, problem):
        super().__init__(problem)
        import jax

        self.jax, self.jitted = jax, jax.jit(self.run)
        self.X, self.Y = jax.device_put((problem.X, problem.Y))

    def prepare(self):
        super().prepare()
        numpy = self.jax.numpy
        pairs = zip(self.net.weights, self.net.biases, strict=True)
        self.own = [(numpy.array(W), numpy.array(b)) for W, b in pairs]  # copies
        zeros = [] if self.problem.plain else self.jax.tree.map(numpy.zeros_like, self.own)
        # adam's are both moments, and how many steps have been taken
        self.velocity = (zeros, self.jax.tree.map(numpy.copy, zeros), 0) if self.problem.adam else zeros
        self.jax.block_until_ready((self.own, self.velocity))

    def train(self, n, epochs):
        rate = np.dtype(self.problem.dtype).type(self.rate)
        X, Y = (self.X, self.Y) if n == len(self.X) else (self.X[:n], self.Y[:n])
        result = self.jitted(self.own, self.velocity, X, Y, rate, epochs)
        self.own, self.velocity, _ = self.jax.block_until_ready(result)

    def parameters(self):
        return flat(*zip(*self.own, strict=True))

    def run(self, parameters, velocity, X, Y, rate, epochs):
        """Parameters and velocity after the epochs, and the last one's prequential loss."""
        lax = self.jax.lax

        def step(carry, sample):
            parameters, velocity, total = carry
            loss, gradients = self.gradients(parameters, *sample)
            parameters, velocity = self.update(parameters, velocity, gradients, rate)
            return (parameters, velocity, total + loss), None

        def epoch(_, carry):
            start = (*carry[:2], self.jax.numpy.zeros((), X.dtype))
            return lax.scan(step, start, (X, Y), unroll=self.unroll)[0]

        start = (parameters, velocity, self.jax.numpy.zeros((), X.dtype))
        return lax.fori_loop(0, epochs, epoch, start)

    def gradients(self, parameters, x, y):
        return self.jax.value_and_grad(self.sample_loss)(parameters, x, y)

    def sample_loss(self, parameters, x, y):
        *hidden, (W, b) = parameters
        for V, c in hidden:
            x = self.jax.nn.sigmoid(x @ V + c)
        return self.loss_of_outputs(x @ W + b, y)

    def loss_of_outputs(self, z, y):
        numpy = self.jax.numpy
        if self.problem.loss == "squared_error":
            return numpy.sum((self.jax.nn.sigmoid(z) - y) ** 2) / 2
        return numpy.sum(numpy.maximum(z, 0) - z * y + numpy.log1p(numpy.exp(-numpy.abs(z))))

    def update(self, parameters, velocity, gradients, rate):
        tree = self.jax.tree
        if self.problem.adam:
            return self.adam(parameters, velocity, gradients, rate)
        if not self.problem.plain:
            mu, l2 = (rate.dtype.type(number) for number in (self.problem.momentum, self.problem.l2))
            gradients = [(dW + l2 * W, db) for (W, _), (dW, db) in zip(parameters, gradients, strict=True)]
            gradients = velocity = tree.map(lambda v, g: mu * v + g, velocity, gradients)
        return tree.map(lambda p, g: p - rate * g, parameters, gradients), velocity

    def adam(self, parameters, moments, gradients, rate):
        numpy, tree = self.jax.numpy, self.jax.tree
        first, second, t = moments
        t = t + 1
        b1, b2, epsilon = (rate.dtype.type(number) for number in (BETA_1, BETA_2, EPSILON))
        first = tree.map(lambda m, g: b1 * m + (1 - b1) * g, first, gradients)
        second = tree.map(lambda s, g: b2 * s + (1 - b2) * g * g, second, gradients)
        eta, correction = rate / (1 - b1**t), 1 / (1 - b2**t)
        new = tree.map(
            lambda p, m, s: p - eta * m / (numpy.sqrt(s * correction) + epsilon), parameters, first, second
        )
        return new, (first, second, t)


class UnrolledJax(Jax):
    """Four samples in a turn of scan: up to a fifth faster."""

    name = "JAX unrolled"
    unroll = 4


class WrittenJax(UnrolledJax):
    """The gradient written out."""

    name = "JAX manual"

    def gradients(self, parameters, x, y):
        numpy, sigmoid = self.jax.numpy, self.jax.nn.sigmoid
        *hidden, (W, b) = parameters
        inputs = [x]
        for V, c in hidden:
            inputs.append(sigmoid(inputs[-1] @ V + c))
        z = inputs[-1] @ W + b
        outputs, gradients = sigmoid(z), []
        delta = outputs - y
        if self.problem.loss == "squared_error":
            delta = delta * outputs * (1 - outputs)
        for (W, _), a in zip(parameters[::-1], inputs[::-1], strict=True):
            gradients.append((numpy.outer(a, delta), delta))
            delta = (W @ delta) * a * (1 - a)
        return self.loss_of_outputs(z, y), gradients[::-1]
