"""What tells one search or ensemble from another, as JSON takes it: samples, parameters, functions."""

import functools
import hashlib
import types
from collections.abc import Iterable, Mapping
from typing import Any

import joblib
import numpy as np
from scipy import sparse

from ...devices.memory import as_array
from ...devices.placement import is_on_device
from ...training.checkpoints.files import Identity
from ...training.checkpoints.identities import digest_of, plain

NOT_TOLD_APART = ("verbose", "checkpoint", "n_jobs", "n_threads", "memory")
"""Parameters of estimators that change nothing in what comes out."""
DEEPEST = 8
"""What others hold is told apart so far."""


def of_estimator(estimator: Any, prefix: str = "") -> Identity:
    """Class and parameters, by name with a prefix; those of a pipeline's steps, too."""
    found = {"estimator": _name(type(estimator))}
    for name, value in sorted(estimator.get_params(deep=True).items()):
        if name.rpartition("__")[2] not in NOT_TOLD_APART:
            found[prefix + name] = _without_parameters(value)
    return found


def of_data(**data: Any) -> Identity:
    """Samples, and what else `fit` is given, each by its digest, wherever it lies."""
    return {f"the values of {name}": digest(value) for name, value in data.items()}


def digest(value: Any) -> str | None:
    """SHA-256, or another digest, of whatever comes as samples, weights and the like; None of None."""
    if value is None:
        return None
    if is_on_device(value):
        return digest_of(as_array(value))
    if sparse.issparse(value):
        rows = value.tocsr()
        return digest_of(rows.data, rows.indices, rows.indptr, np.array(rows.shape))
    if hasattr(value, "iloc") and hasattr(value, "columns"):  # a table
        columns = (digest(np.asarray(value.iloc[:, i])) for i in range(value.shape[1]))
        return joined([str(list(value.columns)), *columns])
    if isinstance(value, Mapping):
        return joined(text for name in sorted(value) for text in (name, digest(value[name])))
    # an array of texts takes as much for each as for the longest
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return joined([(len(value),), *value])
    array = np.asarray(value)
    if array.dtype.kind in "biufc":
        return digest_of(array)
    items = array.ravel().tolist()
    if all(isinstance(item, str) for item in items):
        return joined([array.shape, *items])
    return joined([array.shape, joblib.hash(items)])


def joined(texts: Iterable[Any]) -> str:
    """SHA-256 of what has these texts."""
    result = hashlib.sha256()
    for text in texts:
        result.update(str(text).encode() + b"\0")
    return result.hexdigest()


def told(value: Any, depth: int = 0) -> Any:
    """A parameter, equal for equal values in every process: as it is, or by the digest of what it holds.

    Functions are told apart by their names, their code and what they hold.
    """
    deeper = functools.partial(told, depth=depth + 1)
    if isinstance(value, np.generic | float | int | str | None):
        return plain(value)
    if isinstance(value, list | tuple):
        return [deeper(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): deeper(each) for name, each in value.items()}
    if depth > DEEPEST or isinstance(value, types.ModuleType):
        return _name(type(value))
    if isinstance(value, types.FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        return [_name(value), _code(value.__code__), deeper([held, value.__defaults__, value.__kwdefaults__])]
    if isinstance(value, functools.partial):
        return deeper([value.func, value.args, value.keywords])
    if isinstance(value, types.MethodType):
        return deeper([value.__func__, value.__self__])
    # compiled functions and those with a cache change as they are called
    if hasattr(value, "__wrapped__"):
        return deeper(value.__wrapped__)
    if isinstance(value, type | types.BuiltinFunctionType):
        return _name(value)
    # scikit-learn's scorers, say
    if callable(value) and hasattr(value, "__dict__"):
        return [_name(type(value)), deeper(vars(value))]
    try:
        return str(joblib.hash(value))
    except Exception:  # an estimator that holds a lambda, say, can't be hashed in one
        own = value.get_params(deep=False) if hasattr(value, "get_params") else None
        return [_name(type(value)), deeper(own)]


def _without_parameters(value: Any) -> Any:
    """A parameter of an estimator, which may be another: its own are told under other names."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        return _name(type(value))
    if isinstance(value, list | tuple):
        return [_without_parameters(each) for each in value]
    return told(value)


def _code(code: types.CodeType) -> str:
    """Digest of what a function does, whatever line it is in."""
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            constants.append(_code(constant))
        else:  # sets come in any order
            constants.append(
                str(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
            )
    return joined([code.co_code.hex(), *constants, *code.co_names])


def _name(named: Any) -> str:
    return f"{named.__module__}.{named.__qualname__}"
