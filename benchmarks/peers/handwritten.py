"""One hidden layer written out by hand in Numba: what generic depth is measured against.

Sigmoid everywhere, binary cross-entropy or squared error, plain per-sample SGD, and nothing else: no layout,
no choice of activation or order, no metrics. The arithmetic and the tricks are those of `numbabp.kernels`,
for a fair comparison: its scalar functions, flat arrays with unsigned offsets, four rows of weights at a
time, and a single output apart.
"""

from functools import cache

import numpy as np
from numba import njit

from numbabp.compiler.compiling import OPTIONS
from numbabp.functions.activations import sigmoid
from numbabp.functions.losses import binary_cross_entropy

ZERO, ONE, TWO, THREE, FOUR = map(np.uint64, range(5))


@cache
def make_train(with_squared_error):
    """The loop for half the squared error, or for binary cross-entropy."""

    @njit(cache=True, **OPTIONS)
    def train(W1, b1, W2, b2, X, Y, epochs, rate, x, z1, h, z2, d1, d2, losses):
        """Weights flat, T; X T (n, n_inputs); Y T (n, n_outputs); losses (epochs,); x, z1, ... scratch."""
        n_inputs = np.uint64(x.size)
        n_hidden = np.uint64(h.size)
        n_outputs = np.uint64(z2.size)
        real = W1.dtype.type
        for epoch in range(epochs):
            for s in range(len(X)):
                for i in range(n_inputs):
                    x[i] = X[s, i]
                # forward
                for j in range(n_hidden):
                    z1[j] = b1[j]
                fours = n_inputs // FOUR
                for quarter in range(fours):
                    i = quarter * FOUR
                    x0, x1, x2, x3 = x[i], x[i + ONE], x[i + TWO], x[i + THREE]
                    w0 = i * n_hidden
                    w1 = w0 + n_hidden
                    w2 = w1 + n_hidden
                    w3 = w2 + n_hidden
                    for j in range(n_hidden):
                        z1[j] += (x0 * W1[w0 + j] + x1 * W1[w1 + j]) + (x2 * W1[w2 + j] + x3 * W1[w3 + j])
                for i in range(fours * FOUR, n_inputs):
                    row = i * n_hidden
                    for j in range(n_hidden):
                        z1[j] += x[i] * W1[row + j]
                for j in range(n_hidden):
                    h[j] = sigmoid(z1[j])
                if n_outputs == ONE:
                    total = b2[ZERO]
                    for j in range(n_hidden):
                        total += h[j] * W2[j]
                    z2[ZERO] = total
                else:
                    for k in range(n_outputs):
                        z2[k] = b2[k]
                    fours = n_hidden // FOUR
                    for quarter in range(fours):
                        j = quarter * FOUR
                        h0, h1, h2, h3 = h[j], h[j + ONE], h[j + TWO], h[j + THREE]
                        w0 = j * n_outputs
                        w1 = w0 + n_outputs
                        w2 = w1 + n_outputs
                        w3 = w2 + n_outputs
                        for k in range(n_outputs):
                            z2[k] += (h0 * W2[w0 + k] + h1 * W2[w1 + k]) + (h2 * W2[w2 + k] + h3 * W2[w3 + k])
                    for j in range(fours * FOUR, n_hidden):
                        row = j * n_outputs
                        for k in range(n_outputs):
                            z2[k] += h[j] * W2[row + k]
                loss = 0.0
                for k in range(n_outputs):
                    a = sigmoid(z2[k])
                    d2[k] = a - Y[s, k]
                    if with_squared_error:
                        loss += real(0.5) * d2[k] * d2[k]
                        d2[k] *= a * (real(1) - a)
                    else:
                        loss += binary_cross_entropy(z2[k], Y[s, k])
                if not np.isfinite(loss):
                    return
                losses[epoch] += loss
                # backward and update
                if n_outputs == ONE:
                    g = rate * d2[ZERO]
                    for j in range(n_hidden):
                        w = W2[j]
                        W2[j] = w - g * h[j]
                        d1[j] = d2[ZERO] * w
                else:
                    for j in range(n_hidden):
                        row = j * n_outputs
                        g = rate * h[j]
                        total = real(0)
                        for k in range(n_outputs):
                            total += W2[row + k] * d2[k]
                        for k in range(n_outputs):
                            W2[row + k] -= g * d2[k]
                        d1[j] = total
                for k in range(n_outputs):
                    b2[k] -= rate * d2[k]
                for j in range(n_hidden):
                    d1[j] *= h[j] * (real(1) - h[j])
                for i in range(n_inputs):
                    row = i * n_hidden
                    g = rate * x[i]
                    for j in range(n_hidden):
                        W1[row + j] -= g * d1[j]
                for j in range(n_hidden):
                    b1[j] -= rate * d1[j]

    return train
