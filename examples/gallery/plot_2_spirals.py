"""
Two spirals, epoch by epoch
===========================

194 points on two spirals (Lang and Witbrock 1988) were long a hard problem for backpropagation. A 2-32-32-1
network of relu units learns them in a second of per-sample steps; four pictures on the way.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbabp as nbp

radius, angle = 6.5 * (104 - np.arange(97)) / 104, np.arange(97) * np.pi / 16
spiral = np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]) / 2
X, y = np.vstack([spiral, -spiral]), np.repeat([1, 0], 97)

net = nbp.Network(
    (2, 32, 32, 1), hidden_activation="relu", loss="binary_cross_entropy", init="he_normal", random_state=0
)
figure, axes = plt.subplots(2, 2, figsize=(8, 8), layout="constrained")
trained = 0
for ax, epochs in zip(axes.flat, [10, 100, 300, 1000], strict=True):
    net.fit(X, y, learning_rate=0.01, epochs=epochs - trained, random_state=epochs)
    trained = epochs
    nbp.plotting.decision_boundary(net, X, y, ax=ax)
    share = net.evaluate(X, y)["accuracy"]
    ax.set(title=f"after {epochs} epochs: {share:.0%} right", aspect="equal")
plt.show()
