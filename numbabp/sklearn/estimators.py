"""The two estimators: scikit-learn's classes, which the compiled training is put before."""

import inspect
import re
from importlib import metadata
from typing import Any

from sklearn import neural_network

from .training import CompiledTraining


def documentation_link() -> str:
    """Where the project's metadata say that its documentation is, or else its home page; "" if nowhere."""
    try:
        lines = metadata.metadata("numbabp").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # used from its sources
        return ""
    urls = {label.strip().lower(): url.strip() for label, _, url in (line.partition(",") for line in lines)}
    return next((urls[label] for label in ("documentation", "homepage") if label in urls), "")


def described(cls: type) -> type:
    """Give a class its own summary and what scikit-learn says of parameters and attributes, as installed."""
    theirs = inspect.cleandoc(
        next(base for base in cls.__mro__ if base.__module__[:8] == "sklearn.").__doc__ or ""
    )
    parts = re.split(r"^(?=\S.*\n-{3,}$)", theirs, flags=re.MULTILINE)
    kept = [part for part in parts if part.startswith(("Parameters\n", "Attributes\n"))]
    cls.__doc__ = "\n\n".join([inspect.cleandoc(cls.__doc__ or ""), *(part.strip() for part in kept)])
    return cls


class _Linked:
    """Mixin for the documentation link in a notebook, which would be scikit-learn's."""

    _doc_link_module = "numbabp"
    _doc_link_template: Any = documentation_link()


@described
class MLPClassifier(_Linked, CompiledTraining, neural_network.MLPClassifier):
    """scikit-learn's `MLPClassifier`, trained by compiled loops.

    Parameters, attributes, methods, errors and results are those of `sklearn.neural_network.MLPClassifier`,
    which this is a subclass of: fits from the same random_state agree to rounding. docs/sklearn.md says what
    differs.
    """


@described
class MLPRegressor(_Linked, CompiledTraining, neural_network.MLPRegressor):
    """scikit-learn's `MLPRegressor`, trained by compiled loops.

    Parameters, attributes, methods, errors and results are those of `sklearn.neural_network.MLPRegressor`,
    which this is a subclass of: fits from the same random_state agree to rounding. docs/sklearn.md says what
    differs.
    """
