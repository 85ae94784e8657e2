"""scikit-learn's multi-layer perceptrons, and their twins in `numbabp.sklearn`, as networks."""

from typing import Any

from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .stacks import IDENTITY, Parts, Stack

OF_SKLEARN = {
    "identity": IDENTITY,
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "softmax": "softmax",
    "exp": "exp",
}
"""Activations by scikit-learn's names."""


def of_estimator(estimator: Any) -> Parts:
    """What a fitted estimator's network computes, with the loss that it was trained with.

    Raises
    ------
    TypeError
        If it is no such estimator.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if not isinstance(estimator, MLPClassifier | MLPRegressor):
        raise TypeError(
            "estimator must be an MLPClassifier or MLPRegressor of sklearn.neural_network or of "
            f"numbabp.sklearn, got {_told(estimator)}."
        )
    check_is_fitted(estimator)
    stack = Stack()
    hidden = [estimator.activation] * (len(estimator.coefs_) - 1)
    for layer, activation in enumerate([*hidden, estimator.out_activation_]):
        stack.dense(f"coefs_[{layer}]", estimator.coefs_[layer], estimator.intercepts_[layer])
        stack.activation(activation, OF_SKLEARN[activation])
    # each of scikit-learn's losses has an output activation of its own, by which it is known here, too
    return stack.parts("estimator", None)


def _told(estimator: Any) -> str:
    if isinstance(estimator, Pipeline):
        return "a Pipeline; its last step, pipeline[-1], makes a network for what the steps before it put out"
    if hasattr(type(estimator), "network_"):
        return f"numbabp's own {type(estimator).__name__}, whose network_ is one"
    return f"{estimator!r} of type {type(estimator).__name__}"
