"""scikit-learn's multi-layer perceptrons with a compiled training loop: change the import, keep the results.

``from numbabp.sklearn import MLPClassifier, MLPRegressor`` takes the place of the same import from
``sklearn.neural_network``; docs/sklearn.md says what is the same and what differs.
"""

from .estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
