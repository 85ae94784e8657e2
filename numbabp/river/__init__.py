"""River's interface: multi-layer perceptrons that learn from dicts, in which features and classes appear."""

try:
    import river.base as _  # noqa: F401
except ImportError as error:
    raise ImportError("numbabp.river needs River: pip install numbabp[river].") from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
