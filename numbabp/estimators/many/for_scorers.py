"""Estimators as scorers take them, which compute with NumPy: what is predicted on a GPU comes to the host."""

from functools import wraps
from typing import Any

from ...devices.placement import on_host

PREDICTING = ("predict", "predict_proba", "predict_log_proba", "decision_function")
"""Methods whose results lie where X does."""


class ForScorers:
    """A fitted estimator whose predictions come to the host; in all else the estimator itself."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._estimator, name)
        if name not in PREDICTING:
            return value

        @wraps(value)
        def predicted(X: Any) -> Any:
            return on_host(value(X))

        return predicted
