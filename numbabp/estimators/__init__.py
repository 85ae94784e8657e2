"""scikit-learn estimators: `MLPClassifier` and `MLPRegressor`, ensembles and the search."""

from .base import EXPECTED_FAILED_CHECKS
from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["EXPECTED_FAILED_CHECKS", "MLPClassifier", "MLPRegressor"]
