"""Checked samples: what a network or a population is trained or measured on."""

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .architecture import Architecture
from .checks import host_samples as host
from .checks.arguments import check_integer
from .devices import memory
from .devices.placement import gpu_of, is_on_device


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs, targets and weights of one dtype T, all in the host's memory or all on one GPU.

    Attributes
    ----------
    inputs : array or CSR matrix T (n, n_inputs)
        An array on a GPU may be CuPy's or any with the CUDA array interface.
    targets : array T (n, n_outputs)
    weights : array T
        Of one network (n,), or (0,) where every sample weighs 1; of a population (1, n) for all networks,
        (n_networks, n) for each, or (0, 0).
    validation : Samples or None
        Of a population: what its networks are measured on after every epoch.
    """

    inputs: Any
    targets: Any
    weights: Any
    validation: "Samples | None" = None

    @classmethod
    def checked(
        cls, architecture: Architecture, X: Any, y: Any, sample_weight: Any = None, prefix: str = ""
    ) -> "Samples":
        """Samples as users give them; on a GPU if X lies there, else in the host's memory.

        Parameters
        ----------
        architecture
            Of the networks that they are for.
        X, y, sample_weight
            As for `Network.fit`.
        prefix
            Of the names X and y in messages.

        Raises
        ------
        ValueError, TypeError
            For what is not allowed, naming the argument.
        """
        gpu_of({prefix + "X": X, prefix + "y": y, "sample_weight": sample_weight})
        if is_on_device(X):
            from .checks.device_samples import check_samples

            sizes = architecture.n_inputs, architecture.n_outputs
            checked = check_samples(
                X, y, sample_weight, *sizes, architecture.loss, architecture.dtype, prefix
            )
            return cls(*checked)
        inputs = check_inputs(architecture, prefix + "X", X)
        n = inputs.shape[0]
        targets = host.check_targets(
            prefix + "y", y, n, architecture.n_outputs, architecture.loss, architecture.dtype
        )
        return cls(inputs, targets, host.check_sample_weight(sample_weight, n, architecture.dtype))

    @property
    def n(self) -> int:
        """How many."""
        return self.inputs.shape[0]

    @property
    def is_on_device(self) -> bool:
        """Whether they lie on a GPU."""
        return is_on_device(self.inputs)

    @property
    def n_nonzeros(self) -> float | None:
        """Mean of the inputs; None where they are dense."""
        return mean_nonzeros(self.inputs)

    def on_host(self) -> "Samples":
        """Copies in the host's memory of what lies on a GPU."""
        return self.converted(lambda array: memory.to_host(array) if is_on_device(array) else array)

    def converted(self, convert: Callable[[Any], Any]) -> "Samples":
        """The same with each array converted."""
        validation = None if self.validation is None else self.validation.converted(convert)
        return Samples(convert(self.inputs), convert(self.targets), convert(self.weights), validation)

    @property
    def nbytes(self) -> int:
        """Of all of them."""
        of_inputs = 12 * self.inputs.nnz if hasattr(self.inputs, "nnz") else self.inputs.nbytes
        of_validation = 0 if self.validation is None else self.validation.nbytes
        return of_inputs + self.targets.nbytes + self.weights.nbytes + of_validation


def check_validation(architecture: Architecture, X: Any, given: Any) -> Samples | None:
    """The checked samples of `validation_data`, a tuple (X, y); None where there is none.

    Raises
    ------
    TypeError, ValueError
        For anything else, and for samples that lie on another device than X.
    """
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise TypeError("validation_data must be a tuple (X, y).")
    X_validation, y_validation = given
    gpu_of({"X": X, "validation_data X": X_validation, "validation_data y": y_validation})
    return Samples.checked(architecture, X_validation, y_validation, None, "validation_data ")


def check_inputs(architecture: Architecture, name: str, X: Any) -> Any:
    """Checked inputs: an array, on a GPU if X lies there, or a CSR matrix where X is sparse."""
    if is_on_device(X):
        from .checks.device_samples import check_inputs as check_on_device

        return check_on_device(name, X, architecture.n_inputs, architecture.dtype)
    check = host.check_sparse_inputs if hasattr(X, "tocsr") else host.check_inputs
    return check(name, X, architecture.n_inputs, architecture.dtype)


def how_many(architecture: Architecture, X: Any) -> tuple[int, float | None]:
    """How many samples X has, or is if a number; and the mean of their non-zeros, None for dense ones."""
    if isinstance(X, numbers.Integral):
        return check_integer("X", X, minimum=1), None
    inputs = check_inputs(architecture, "X", X)
    return inputs.shape[0], mean_nonzeros(inputs)


def mean_nonzeros(inputs: Any) -> float | None:
    """Of checked inputs; None where they are dense."""
    return inputs.nnz / inputs.shape[0] if hasattr(inputs, "nnz") else None
