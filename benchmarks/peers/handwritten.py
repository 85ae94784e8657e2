"""One hidden layer written out by hand in Numba: what generic depth is measured against.

Sigmoid everywhere, binary cross-entropy, plain per-sample SGD, with separate two-dimensional arrays and
numbabp's own scalar functions; no options at all.
"""

from numba import njit

from numbabp.activations import sigmoid
from numbabp.compiling import FASTMATH
from numbabp.losses import binary_cross_entropy


@njit(cache=True, fastmath=FASTMATH, error_model="numpy", _nrt=False)
def train(W1, b1, W2, b2, X, Y, order, epochs, rate, z1, h, z2, d1, d2, losses):
    for epoch in range(epochs):
        for t in range(len(X)):
            s = order[t]
            for j in range(h.size):
                z1[j] = b1[j]
            for i in range(X.shape[1]):
                x = X[s, i]
                for j in range(h.size):
                    z1[j] += x * W1[i, j]
            for j in range(h.size):
                h[j] = sigmoid(z1[j])
            for k in range(z2.size):
                z2[k] = b2[k]
            for j in range(h.size):
                for k in range(z2.size):
                    z2[k] += h[j] * W2[j, k]
            for k in range(z2.size):
                losses[epoch] += binary_cross_entropy(z2[k], Y[s, k])
                d2[k] = sigmoid(z2[k]) - Y[s, k]
            for j in range(h.size):
                total = d2[0] - d2[0]
                g = rate * h[j]
                for k in range(z2.size):
                    total += W2[j, k] * d2[k]
                    W2[j, k] -= g * d2[k]
                d1[j] = total * (h[j] - h[j] * h[j])
            for k in range(z2.size):
                b2[k] -= rate * d2[k]
            for i in range(X.shape[1]):
                g = rate * X[s, i]
                for j in range(h.size):
                    W1[i, j] -= g * d1[j]
            for j in range(h.size):
                b1[j] -= rate * d1[j]
