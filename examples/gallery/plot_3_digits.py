"""
What hidden units see in digits
===============================

A hidden unit of the first layer has a weight for each pixel: its weights are a picture of what it looks
for. Here are those of 16 units of a 64-16-10 network, which has learnt scikit-learn's handwritten digits,
and below them some digits that it gets wrong.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from numbabp import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
model = MLPClassifier((16,), standardize=False, learning_rate_init=0.01, max_iter=40, random_state=0)
model.fit(X_train / 16, y_train)
print(f"{model.score(X_test / 16, y_test):.1%} of {len(y_test)} digits are right")

# %%
# Vermilion pixels speak for the unit, blue ones against it.

weights = model.coefs_[0]
figure, axes = plt.subplots(2, 8, figsize=(9, 2.6), layout="constrained")
for ax, of_unit in zip(axes.flat, weights.T, strict=True):
    most = abs(of_unit).max()
    ax.imshow(of_unit.reshape(8, 8), cmap="RdBu_r", vmin=-most, vmax=most)
    ax.axis("off")

# %%
# What it gets wrong, with what it takes it for.

predicted = model.predict(X_test / 16)
wrong = (predicted != y_test).nonzero()[0][:8]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.7), layout="constrained")
for ax, i in zip(axes, wrong, strict=False):
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{y_test[i]}, not {predicted[i]}", fontsize=9)
for ax in axes:
    ax.axis("off")
plt.show()
