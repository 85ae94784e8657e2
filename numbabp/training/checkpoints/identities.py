"""What tells one run from another: the samples, by their digest, the architecture and the options."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

import numpy as np

from ...architecture import Architecture
from ...compiler.arithmetic.numerics import FAST
from ...devices.memory import is_on_device, to_host
from ...options import Options
from ...samples import Samples
from ...tensor_files import bytes_of
from ..shard import Shard

COUNTS = ("batch_size", "patience", "block_length", "n_threads")
"""Options that are whole numbers."""
NOT_TOLD_APART = ("progress",)
"""Options that change nothing in what comes out."""
PART_BYTES = 1 << 26
"""Of an array on a GPU that are copied to the host at a time."""


def of_run(
    architecture: Architecture, options: Options, samples: Samples, validation: Samples | None
) -> dict[str, Any]:
    """Of one network's run, by name, as JSON takes it."""
    return {
        **of_architecture(architecture),
        **of_options(options),
        **of_samples("samples", samples),
        **of_samples("validation samples", validation),
    }


def of_population(shard: Shard, samples: Samples, options: Options, run: Any) -> dict[str, Any]:
    """Of a population's run: n_threads may be another, and what networks differ in is told by its digest."""
    own = {
        "weights of networks": shard.weights,
        "learning rates": shard.rates,
        "rates of networks": shard.rate_of,
    }
    numbers = {f"the {name}": digest_of(array) for name, array in {**own, **shard.numbers}.items()}
    left_out = (*NOT_TOLD_APART, *shard.numbers, "n_threads")
    of_run = {
        name: plain(getattr(run, name)) for name in ("own_order", "tol", "n_iter_no_change", "chunk_size")
    }
    return {
        "number of networks": len(shard),
        "epochs": shard.epochs,
        **of_architecture(shard.architecture),
        **of_options(options, left_out),
        **of_run,
        **({"callback": True} if run.callback is not None else {}),
        **of_random_state(run.random_state),
        **numbers,
        **of_samples("samples", samples),
        **({} if samples.validation is None else of_samples("validation samples", samples.validation)),
    }


def of_architecture(architecture: Architecture) -> dict[str, Any]:
    """By name, as JSON takes it."""
    return {
        "layer_sizes": list(architecture.layer_sizes),
        "activations": list(architecture.activations),
        "loss": architecture.loss,
        "dtype": architecture.dtype.name,
        **({"numerics": architecture.numerics} if architecture.numerics != FAST else {}),
    }


def of_options(options: Options, left_out: tuple[str, ...] = NOT_TOLD_APART) -> dict[str, Any]:
    """Likewise. Of a schedule that is a function nothing is known but the rates that it has given."""
    named = {
        field.name: getattr(options, field.name) for field in fields(options) if field.name not in left_out
    }
    for name, value in named.items():
        # 1 is the number that 1.0 is
        if not isinstance(value, bool | np.bool_) and isinstance(value, Real) and name not in COUNTS:
            named[name] = float(value)
    return {name: plain(value) for name, value in named.items()}


def of_random_state(random_state: Any) -> dict[str, Any]:
    """Likewise, of an argument: a generator goes on from where the run has brought it."""
    if isinstance(random_state, Integral):
        return {"random_state": int(random_state)}
    return {"random_state": None if random_state is None else "a RandomState"}


def of_samples(what: str, samples: Samples | None) -> dict[str, Any]:
    """Likewise: their number, and the digest of all of their bytes.

    A GB takes half a second with a processor's own instructions for SHA-256, once a call. Samples on a GPU
    pass through the host's memory for it, and have the digest that they would have there.
    """
    if samples is None:
        return {f"the {what}": None}
    return {f"number of {what}": samples.n, f"the {what}": digest(samples)}


def digest(samples: Samples) -> str:
    """SHA-256 of inputs, targets and weights."""
    inputs = samples.inputs
    is_sparse = hasattr(inputs, "indptr")
    arrays = (inputs.data, inputs.indices, inputs.indptr) if is_sparse else (inputs,)
    return digest_of(*arrays, samples.targets, samples.weights)


def digest_of(*arrays: Any) -> str:
    """SHA-256 of arrays, which may lie on a GPU, with their dtypes and shapes."""
    result = hashlib.sha256()
    for array in arrays:
        # indices may come in 32 or 64 bits
        dtype = np.dtype(np.int64) if array.dtype.kind in "iu" else array.dtype
        result.update(f"{dtype.name} {array.shape}".encode())
        for part in _parts_on_host(array):
            result.update(bytes_of(part.astype(dtype, copy=False)))
    return result.hexdigest()


def _parts_on_host(array: Any) -> Iterator[np.ndarray]:
    """All of an array, in turn; of one on a GPU some rows at a time, as the host may lack room for all."""
    if not is_on_device(array) or not array.size:
        yield to_host(array) if is_on_device(array) else array
        return
    n_rows = max(1, len(array) * PART_BYTES // array.nbytes)
    for first in range(0, len(array), n_rows):
        yield to_host(array[first : first + n_rows])


def plain(value: Any) -> Any:
    """As JSON takes it and gives it back."""
    if callable(value):
        return "a function"
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    # which JSON has no numbers for
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
