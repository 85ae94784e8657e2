"""
The way of each update rule
===========================

A network with two parameters, one weight and one bias, has a loss that can be drawn as a map. From the same
start, on the same samples in the same order: where six rules go, step by step.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbabp as nbp

draw = np.random.default_rng(0)
X = draw.normal(1.0, 1.0, (40, 1))
y = (draw.uniform(size=40) < 1 / (1 + np.exp(-(1.5 * X[:, 0] - 2)))).astype(int)
rates = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "adagrad": 0.5, "rmsprop": 0.1, "adam": 0.1}

paths = {}
for rule, rate in rates.items():
    net = nbp.Network((1, 1), loss="binary_cross_entropy", init="zeros")
    net.parameters[:] = [-1.5, 1.0]
    learner = net.online(learning_rate=rate, update_rule=rule)
    path = [net.parameters.copy()]
    for _ in range(8):
        for x, target in zip(X[:, 0], y, strict=True):
            learner.learn_one([x], target)
            path.append(net.parameters.copy())
    paths[rule] = np.array(path)

# %%
# The map is the mean loss over all 40 samples. Each step knows one of them only: so the paths wander.

weight, bias = np.meshgrid(np.linspace(-2, 3.5, 80), np.linspace(-3.5, 2, 80))
z = weight[..., None] * X[:, 0] + bias[..., None]
loss = (np.logaddexp(0, z) - y * z).mean(axis=-1)
figure, axes = plt.subplots(2, 3, figsize=(9, 6), sharex=True, sharey=True, layout="constrained")
for ax, (rule, path) in zip(axes.flat, paths.items(), strict=True):
    ax.contourf(weight, bias, loss, levels=20, cmap="Blues_r")
    ax.plot(*path.T, ".-", color="C1", ms=2, lw=0.7)
    ax.plot(*path[0], "o", color="black")
    ax.set_title(f"{rule}, rate {rates[rule]:g}", fontsize=10)
figure.supxlabel("weight")
figure.supylabel("bias")
plt.show()
