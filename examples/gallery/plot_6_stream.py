"""
A stream that changes
=====================

A network that takes each sample once, as it comes, follows a world that changes: after 4,000 samples the
curve that it has learnt turns upside down. Every prediction is made before the sample is learnt from.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbabp as nbp

draw = np.random.default_rng(0)
x = draw.uniform(-3, 3, 8000)
y = np.where(np.arange(8000) < 4000, 1, -1) * np.sin(x) + draw.normal(0, 0.1, 8000)
errors, pictures, grid = {}, {}, np.linspace(-3, 3, 200)[:, None]
for rule, rate in (("sgd", 0.05), ("adagrad", 0.05)):
    net = nbp.Network((1, 20, 1), hidden_activation="tanh", random_state=0)
    learner = net.online(learning_rate=rate, update_rule=rule)
    of_rule = np.zeros(8000)
    for t in range(8000):
        of_rule[t] = learner.learn_one([x[t]], y[t])[0] - y[t]
        if rule == "sgd" and t + 1 in (200, 4000, 4200, 8000):
            pictures[t + 1] = net.predict(grid)
    errors[rule] = of_rule**2

# %%
# Mean squared errors of the latest 200 predictions. Steps of sgd stay long, so that it is soon there again;
# adagrad's have become short.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for rule, of_rule in errors.items():
    ax.semilogy(np.arange(199, 8000), np.convolve(of_rule, np.full(200, 1 / 200), "valid"), label=rule)
ax.set(xlabel="samples", ylabel="squared error of 200 predictions")
ax.legend()

# %%
# What sgd's network makes of the inputs at four moments.

figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharey=True, layout="constrained")
for ax, (n, curve) in zip(axes, pictures.items(), strict=True):
    seen = slice(max(0, n - 200), n)
    ax.plot(x[seen], y[seen], ".", color="0.7", ms=3)
    ax.plot(grid, curve, color="C3")
    ax.set_title(f"after {n:,} samples", fontsize=10)
plt.show()
