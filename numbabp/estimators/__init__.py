"""scikit-learn estimators: `MLPClassifier` and `MLPRegressor`, ensembles and the search."""

from .base import EXPECTED_FAILED_CHECKS, MLPClassifier, MLPRegressor

__all__ = ["EXPECTED_FAILED_CHECKS", "MLPClassifier", "MLPRegressor"]
