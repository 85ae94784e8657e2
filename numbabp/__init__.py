"""Exact per-sample training of dense neural networks, compiled with Numba."""

from importlib import import_module
from sys import modules
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_MODULES = {
    "Network": "network",
    "History": "history",
    "DivergenceError": "errors",
    "gradient_check": "gradients",
    "Population": "population",
    "sweep": "sweeps.sweep",
    "load": "data.table_model",
    "from_keras": "loading",
    "from_sklearn": "loading",
    "from_torch": "loading",
    "register_with_skl2onnx": "estimators.converters",
    "MLPClassifier": "estimators.classifier",
    "MLPRegressor": "estimators.regressor",
    "PopulationSearchCV": "estimators.many.search",
    "MLPEnsembleClassifier": "estimators.many.ensembles",
    "MLPEnsembleRegressor": "estimators.many.ensembles",
}
"""The public names and the modules that they come from, imported when first used."""

__all__ = ["__version__", *_MODULES]

if TYPE_CHECKING:
    from .data.table_model import load
    from .errors import DivergenceError
    from .estimators.classifier import MLPClassifier
    from .estimators.converters import register_with_skl2onnx
    from .estimators.many.ensembles import MLPEnsembleClassifier, MLPEnsembleRegressor
    from .estimators.many.search import PopulationSearchCV
    from .estimators.regressor import MLPRegressor
    from .gradients import gradient_check
    from .history import History
    from .loading import from_keras, from_sklearn, from_torch
    from .network import Network
    from .population import Population
    from .sweeps.sweep import sweep


def __getattr__(name: str) -> Any:
    if name in ("jit", "loggers", "plotting", "river", "sklearn"):  # packages; two have the names of others
        return import_module(f".{name}", __name__)
    if name not in _MODULES:
        # with both, Python asks what may have been meant
        raise AttributeError(f"module 'numbabp' has no attribute {name!r}", name=name, obj=modules[__name__])
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
