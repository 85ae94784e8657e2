"""What tells one search or ensemble from another, as JSON takes it: samples, parameters, functions."""

import functools
import hashlib
import types
from collections.abc import Iterable, Mapping
from typing import Any

import joblib
import numpy as np
from scipy import sparse

from ...training.checkpoints.files import Identity
from ...training.checkpoints.identities import digest_of, plain

NOT_TOLD_APART = ("verbose", "checkpoint", "n_jobs", "n_threads", "memory")
"""Parameters of estimators that change nothing in what comes out."""
DEEPEST = 6
"""Functions that others hold are told apart so far."""


def of_estimator(estimator: Any) -> Identity:
    """Class and parameters, by name; those of a pipeline's steps, too."""
    found = {"estimator": _name(type(estimator))}
    for name, value in sorted(estimator.get_params(deep=True).items()):
        if name.rpartition("__")[2] not in NOT_TOLD_APART:
            found[name] = _without_parameters(value)
    return found


def of_data(**data: Any) -> Identity:
    """Samples, and what else `fit` is given, each by its digest."""
    return {f"the values of {name}": digest(value) for name, value in data.items()}


def digest(value: Any) -> str | None:
    """SHA-256, or another digest, of whatever comes as samples, weights and the like; None of None."""
    if value is None:
        return None
    if sparse.issparse(value):
        rows = value.tocsr()
        return digest_of(rows.data, rows.indices, rows.indptr, np.array(rows.shape))
    if hasattr(value, "iloc") and hasattr(value, "columns"):  # a table
        columns = (digest(np.asarray(value.iloc[:, i])) for i in range(value.shape[1]))
        return joined([str(list(value.columns)), *columns])
    if isinstance(value, Mapping):
        return joined(text for name in sorted(value) for text in (name, digest(value[name])))
    array = np.asarray(value)
    return digest_of(array) if array.dtype.kind in "biufcU" else str(joblib.hash(array.tolist()))


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
    if isinstance(value, types.FunctionType) and depth <= DEEPEST:
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        return [_name(value), _code(value.__code__), deeper([held, value.__defaults__, value.__kwdefaults__])]
    if isinstance(value, functools.partial):
        return deeper([value.func, value.args, value.keywords])
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return _name(value)
    # scikit-learn's scorers, say
    if callable(value) and hasattr(value, "__dict__"):
        return [_name(type(value)), deeper(vars(value))]
    return _held(value, deeper)


def _held(value: Any, deeper: Any) -> Any:
    """Of an object such as an estimator or an array; what holds a lambda can't be hashed in one."""
    try:
        return str(joblib.hash(value))
    except Exception:
        return [_name(type(value)), deeper(dict(getattr(value, "__dict__", {})))]


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
