"""NumPy as notebooks write it: a sample at a time, products of vectors and matrices."""

import numpy as np
from peer import Peer


class NumPy(Peer):
    name = "NumPy"

    def prepare(self):
        super().prepare()
        self.V = [np.zeros_like(W) for W in self.net.weights]
        self.v = [np.zeros_like(b) for b in self.net.biases]

    def train(self, n, epochs):
        weights, biases = self.net.weights, self.net.biases
        X, Y = self.problem.X, self.problem.Y
        last = len(weights) - 1
        for _ in range(epochs):
            loss = 0.0
            for s in range(n):
                y, a = Y[s], [X[s]]
                for W, b in zip(weights, biases, strict=True):
                    a.append(1 / (1 + np.exp(-(np.dot(a[-1], W) + b))))
                loss -= np.sum(y * np.log(a[-1]) + (1 - y) * np.log(1 - a[-1]))
                delta = a[-1] - y
                for layer in range(last, -1, -1):
                    W, b, x = weights[layer], biases[layer], a[layer]
                    below = np.dot(W, delta) * x * (1 - x) if layer else None
                    if not self.problem.plain:
                        mu, V, v = self.problem.momentum, self.V[layer], self.v[layer]
                        V *= mu
                        V += np.outer(x, delta) + self.problem.l2 * W
                        v *= mu
                        v += delta
                        W -= self.rate * V
                        b -= self.rate * v
                    else:
                        W -= self.rate * np.outer(x, delta)
                        b -= self.rate * delta
                    delta = below
