"""
Exclusive or: what three hidden units do
========================================

No line separates the points of exclusive or. Each hidden unit of a 2-3-1 network draws a line of its own,
and the output puts the three together.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbabp as nbp

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])
net = nbp.Network((2, 3, 1), loss="binary_cross_entropy", random_state=1)
history = net.fit(X, y, learning_rate=1.0, epochs=1500, random_state=0)

# %%
# Loss and accuracy, each measured just before the network learns from the sample.

history.plot()

# %%
# What comes out over the plane, and the decision boundary where it is a half.

nbp.plotting.decision_boundary(net, X, y)

# %%
# What each hidden unit puts out.

nbp.plotting.hidden_units(net, X, y)

# %%
# The network with its weights: vermilion ones are positive, blue ones negative.

nbp.plotting.network_diagram(net)
plt.show()
