"""
A band, not a line: quantiles
=============================

Where the spread of the targets depends on the input, a mean says little. Networks with the quantile loss
tell between which bounds a target lies four times out of five.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbabp as nbp

draw = np.random.default_rng(0)
x = np.sort(draw.uniform(0, 4, 1500))
y = np.sin(2 * x) + draw.standard_normal(1500) * (0.1 + 0.25 * x)
curves = {}
for level in (0.1, 0.5, 0.9):
    model = nbp.MLPRegressor("quantile", (30,), "tanh", quantile=level, random_state=0)
    curves[level] = model.fit(x[:, None], y).predict(x[:, None])
within = np.mean((curves[0.1] <= y) & (y <= curves[0.9]))
print(f"{within:.0%} of the targets lie within the band")

# %%

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(x, y, ".", color="0.75", ms=3)
ax.fill_between(x, curves[0.1], curves[0.9], alpha=0.3, label="between quantiles 0.1 and 0.9")
ax.plot(x, curves[0.5], label="median")
ax.set(xlabel="x", ylabel="y")
ax.legend(loc="lower left")
plt.show()
