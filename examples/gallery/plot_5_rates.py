"""
Learning rates that fall
========================

Per-sample steps with a constant rate never come to rest: each goes towards its own sample. A rate that
falls gets closer. Five schedules on the same regression, from the same weights and in the same orders.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbabp as nbp

draw = np.random.default_rng(0)
X = draw.uniform(-3, 3, (400, 1))
y = np.sin(2 * X[:, 0]) + draw.normal(0, 0.2, 400)
schedules = {
    "constant": {},
    "invscaling": {"power": 0.5},
    "exponential": {"gamma": 0.97},
    "step": {"every": 40, "gamma": 0.3},
    "cosine": {"warmup": 0.1},
}

figure, (above, below) = plt.subplots(2, 1, figsize=(7, 7), sharex=True, layout="constrained")
for name, options in schedules.items():
    net = nbp.Network((1, 30, 1), hidden_activation="tanh", random_state=0)
    history = net.fit(
        X, y, learning_rate=0.1, epochs=150, schedule=name, schedule_options=options, random_state=0
    )
    above.plot(history.learning_rate, label=name)
    below.semilogy(history.loss)
above.set(ylabel="learning rate")
above.legend()
below.set(xlabel="epoch", ylabel="loss")
below.axhline(0.02, color="0.5", ls=":")
below.text(0, 0.0205, "the noise alone", color="0.4", fontsize=9, va="bottom")
plt.show()
