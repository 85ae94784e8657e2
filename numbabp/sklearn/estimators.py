"""The two estimators."""

from sklearn import neural_network

from .training import CompiledTraining


class MLPClassifier(CompiledTraining, neural_network.MLPClassifier):
    """Classifier."""


class MLPRegressor(CompiledTraining, neural_network.MLPRegressor):
    """Regressor."""
