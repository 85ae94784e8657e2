"""
Was it luck? A thousand seeds
=============================

One curve shows one seed. A population trains a network for each of 1,000 seeds at once: the median of their
losses with what lies between quantiles, and how many of them solve exclusive or by which epoch, with two to
five hidden units.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbabp as nbp

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])
histories = {}
for n_units in (2, 3, 4, 5):
    population = nbp.Population(
        (2, n_units, 1), 1000, loss="binary_cross_entropy", dtype="float32", random_state=0
    )
    histories[n_units] = population.fit(X, y, learning_rate=1.0, epochs=1500, random_state=0)

# %%
# With three units: half of the networks are between the edges of the dark band, four fifths within the
# light one.

histories[3].plot(quantiles=(0.1, 0.25, 0.5, 0.75, 0.9))

# %%
# More units, more luck.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for n_units, history in histories.items():
    share = (history.accuracy == 1).mean(axis=0)
    ax.plot(share, label=f"{n_units} hidden units: {share[-1]:.0%}")
ax.set(xlabel="epoch", ylabel="share of networks that get all four right", ylim=(0, 1.02))
ax.legend()
plt.show()
