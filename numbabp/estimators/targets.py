"""Between labels or numbers and the outputs of a network, in the host's memory or on a GPU.

Of labels on a GPU only the values that occur come to the host, not the labels.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..checks.arguments import check_choice
from ..devices import memory
from ..devices.placement import beside, is_on_device, module_of, on_host
from ..functions.activations import HIDDEN_ACTIVATIONS
from ..functions.losses import JOINT, OUTPUT_ACTIVATION
from .validation import naming
from .weights import root_mean_square

OF_CLASSES = ("binary_cross_entropy", "categorical_cross_entropy", "squared_error", "absolute_error", "huber")
OF_NUMBERS = ("squared_error", "absolute_error", "huber", "poisson", "quantile")
"""The losses of classifiers and of regressors."""


@dataclass(frozen=True)
class Labels:
    """Between class labels and network outputs."""

    classes: np.ndarray
    multilabel: bool
    n_outputs: int
    """One for two classes, unless the output is softmax; else one a class.

    For two classes it is about the second, for one, which is what is always predicted, about that one.
    """

    @classmethod
    def learn(cls, y: Any, classes: Any, loss: Any, output_activation: Any) -> "Labels":
        """What the labels are, of checked y and, if given, of `classes` as `partial_fit` takes them."""
        # several labels a sample are numbered, since a 0/1 matrix has no names for them
        if is_multilabel("y", y):
            if classes is not None and len(classes) != y.shape[1]:
                raise ValueError(
                    f"classes has {len(classes)} entries, but y has {y.shape[1]} labels a sample."
                )
            return cls(np.arange(y.shape[1]), True, y.shape[1])
        found = values_of(y) if classes is None else unique_labels(classes)
        if len(found) < 2:
            _say_that_there_is_one(found, classes is not None)
        one_each = cls(found, False, len(found))
        if len(found) == 2 and one_each.loss_and_output(loss, output_activation)[1] == "sigmoid":
            return replace(one_each, n_outputs=1)
        return one_each

    def loss_and_output(self, loss: Any, output_activation: Any) -> tuple[str, str]:
        """What the parameters of these names mean, each as the other and the labels have it."""
        loss = check_choice("loss", loss, ("auto", *OF_CLASSES))
        output = output_activation
        # the loss decides, if one is named that can; else the labels do
        if output is None:
            output = "softmax" if len(self.classes) > 2 and not self.multilabel else "sigmoid"
            if loss.endswith("cross_entropy"):
                output = OUTPUT_ACTIVATION[loss]
        check_choice("output_activation", output, ("sigmoid", "softmax"))
        if self.multilabel and output == "softmax":
            raise ValueError("softmax is for one label a sample, but y has several; use a sigmoid output.")
        if loss == "auto":
            loss = "categorical_cross_entropy" if output == "softmax" else "binary_cross_entropy"
        # kernels take the gradient of both together
        if loss in JOINT and output != OUTPUT_ACTIVATION[loss]:
            raise ValueError(_does_not_go(loss, output))
        return loss, output

    def encode(self, name: str, y: Any) -> Any:
        """Targets 0 or 1 of shape (n, n_outputs), where y lies."""
        if is_multilabel(name, y) != self.multilabel:
            kinds = ("one label a sample", "a 0/1 matrix of several labels a sample")
            raise ValueError(
                f"{name} has {kinds[not self.multilabel]}, but training began with {kinds[self.multilabel]}."
            )
        if self.multilabel:
            if y.shape[1] != len(self.classes):
                raise ValueError(
                    f"{name} has {y.shape[1]} labels, but training began with {len(self.classes)}."
                )
            return y.astype(float)
        # strings, which training began with, are never on a GPU
        if is_on_device(y) and not self.numeric:
            raise ValueError(f"{name} has numbers, but the classes of training are {self.classes.tolist()}.")
        xp, classes = module_of(y), beside(y, self.classes)
        index = xp.minimum(xp.searchsorted(classes, y), len(classes) - 1)
        unseen = classes[index] != y
        if unseen.any():
            raise ValueError(
                f"{name} has the labels {values_of(y[unseen]).tolist()}, which are not among the classes of "
                f"training: {self.classes.tolist()}."
            )
        if self.n_outputs == 1:
            return (index[:, None] + 2 - len(classes)).astype(float)  # where there is one class, 1
        return xp.eye(self.n_outputs)[index]

    def of_row(self, y: np.ndarray) -> np.ndarray | None:
        """`encode` of one label, y (1,); None for anything unusual."""
        if self.multilabel or y.ndim != 1 or y.dtype.kind not in "biufUO":
            return None
        label = y.item()
        return self._encoded.get(label) if isinstance(label, int | float | str) else None

    @cached_property
    def _encoded(self) -> dict[Any, np.ndarray]:
        """What `encode` makes of each label, of shape (1, n_outputs)."""
        encoded = self.encode("classes", self.classes)
        return {label: row[None] for label, row in zip(self.classes.tolist(), encoded, strict=True)}

    def decode(self, outputs: Any) -> Any:
        """Labels of shape (n,), or 0 and 1 of shape (n, n_labels); where the outputs lie, if numbers."""
        if self.multilabel:
            return (outputs > 0.5).astype(np.int64)
        binary = len(self.classes) == 2 and self.n_outputs == 1
        index = (outputs[:, 0] > 0.5).astype(np.int64) if binary else outputs.argmax(axis=1)
        return labels_at(self.classes, index)

    def probabilities(self, z: Any, outputs: Any, output_activation: str) -> Any:
        """Probabilities of shape (n, n_classes), where pre-activations and outputs lie."""
        if self.multilabel or output_activation == "softmax":
            return outputs
        if len(self.classes) == 1:
            return outputs * 0 + 1
        if self.n_outputs == 1:
            return beside(outputs, module_of(outputs).hstack([1 - outputs, outputs]))
        # one sigmoid a class, of which every one may be 0
        return module_of(z).exp(self.log_probabilities(z, output_activation))

    def log_probabilities(self, z: Any, output_activation: str) -> Any:
        """Logarithms of `probabilities`, from the outputs' pre-activations: finite wherever these are."""
        if output_activation == "softmax":
            return z - _log_sum_exp(z)
        own = log_sigmoid(z)
        if self.multilabel:
            return own
        if self.n_outputs == 1 and len(self.classes) == 2:
            return beside(z, module_of(z).hstack([log_sigmoid(-z), own]))
        return own - _log_sum_exp(own)  # one sigmoid a class

    def score(self, outputs: Any, Y: Any, sample_weight: Any) -> float:
        """Accuracy, for multi-label targets of whole rows."""
        if len(self.classes) == 1 and not self.multilabel:
            return 1.0
        if self.multilabel or self.n_outputs == 1:
            right = ((outputs > 0.5) == (Y > 0.5)).all(axis=1)
        else:
            right = outputs.argmax(axis=1) == Y.argmax(axis=1)
        # ties between epochs must not hang on how weighted sums happen to be rounded
        return round(float(module_of(right).average(right, weights=sample_weight)), 12)

    def class_factors(self, y: Any, class_weight: Any, partial: bool) -> Any:
        """Each sample's class_weight or None; `partial` says that y is not all of the labels."""
        if class_weight is None:
            return None
        if partial and class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not for partial_fit, which sees only a part of the samples; "
                "give a dict of weights."
            )
        labels = on_host(y)
        if self.multilabel:
            factors = compute_sample_weight(class_weight, labels)
        else:
            if isinstance(class_weight, dict):  # which may name classes of which no sample has any weight
                known = set(self.classes.tolist())
                class_weight = {label: w for label, w in class_weight.items() if label in known}
            by_class = compute_class_weight(class_weight, classes=self.classes, y=labels)
            factors = by_class[np.searchsorted(self.classes, labels)]
        if factors.min() < 0:
            raise ValueError(f"class_weight must not be negative, got {factors.min():g}.")
        return factors

    def strata(self, y: Any, n_held_out: int) -> Any:
        """Labels in whose proportions to set samples aside, or None where that is not possible."""
        if self.multilabel:
            return None
        y = on_host(y)
        counts = np.unique(y, return_counts=True)[1]
        possible = np.min(counts) >= 2 and len(counts) <= min(n_held_out, len(y) - n_held_out)
        return y if possible else None

    def largeness(self, loss: str, Y: Any, weights: Any) -> float:
        """By how much first rates are to be lower."""
        return 1.0

    @property
    def numeric(self) -> bool:
        """Whether labels are numbers, which a GPU's arrays can hold."""
        return _are_numbers(self.classes)


@dataclass(frozen=True)
class Numbers:
    """Between numbers to be predicted and network outputs."""

    n_outputs: int

    @classmethod
    def learn(cls, y: Any) -> "Numbers":
        """How many they are, of checked y."""
        return cls(1 if y.ndim == 1 else y.shape[1])

    def loss_and_output(self, loss: Any, output_activation: Any) -> tuple[str, str]:
        """What the parameters of these names mean."""
        loss = check_choice("loss", loss, OF_NUMBERS)
        output = OUTPUT_ACTIVATION[loss] if output_activation is None else output_activation
        check_choice("output_activation", output, (*HIDDEN_ACTIVATIONS, "exp"))
        if loss in JOINT and output != OUTPUT_ACTIVATION[loss]:
            raise ValueError(_does_not_go(loss, output))
        return loss, output

    def encode(self, name: str, y: Any) -> Any:
        """Targets of shape (n, n_outputs), where y lies."""
        Y = y.reshape(len(y), -1)
        if Y.shape[1] != self.n_outputs:
            raise ValueError(f"{name} has {Y.shape[1]} targets, but training began with {self.n_outputs}.")
        return Y

    def of_row(self, y: np.ndarray) -> np.ndarray | None:
        """`encode` of a row of numbers, y (1,) or (1, n_outputs); None for anything unusual."""
        usual = (1,) if self.n_outputs == 1 else (1, self.n_outputs)  # a column makes scikit-learn warn
        if y.shape != usual or y.dtype.kind not in "biuf":
            return None
        return y.reshape(1, -1).astype(float)

    def decode(self, outputs: Any) -> Any:
        """Numbers of shape (n,), or (n, n_outputs) for several."""
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def score(self, outputs: Any, Y: Any, sample_weight: Any) -> float:
        """R^2, the mean over the outputs; as in scikit-learn 1 or 0 where the targets are constant."""
        xp = module_of(Y)
        mean = xp.average(Y, axis=0, weights=sample_weight)
        total = xp.average((Y - mean) ** 2, axis=0, weights=sample_weight)
        with np.errstate(over="ignore"):
            residual = xp.average((Y - outputs) ** 2, axis=0, weights=sample_weight)
        r2 = xp.where(total > 0, 1 - residual / xp.where(total > 0, total, 1), residual == 0)
        return float(r2.mean())

    def class_factors(self, y: Any, class_weight: Any, partial: bool) -> Any:
        """None: numbers have no classes."""
        return None

    def strata(self, y: Any, n_held_out: int) -> Any:
        """None: samples are set aside at random."""
        return None

    def largeness(self, loss: str, Y: Any, weights: Any) -> float:
        """By how much first rates are to be lower: with some losses the slope is as large as the targets."""
        is_steep = loss in ("squared_error", "poisson")
        return max(1.0, root_mean_square(Y, weights)) if is_steep else 1.0


Targets = Labels | Numbers


def learn_targets(model: BaseEstimator, y: Any, classes: Sequence[Any] | None = None) -> Targets:
    """What an estimator's targets are, of checked y."""
    if isinstance(model, ClassifierMixin):
        return Labels.learn(y, classes, model.loss, model.output_activation)
    return Numbers.learn(y)


def is_multilabel(name: str, y: Any) -> bool:
    """Whether checked y is a 0/1 matrix of several labels a sample, and not one label each."""
    return _is_multilabel_on_device(name, y) if is_on_device(y) else _is_multilabel_on_host(name, y)


def _is_multilabel_on_host(name: str, y: np.ndarray) -> bool:
    kind = type_of_target(y, input_name=name)
    if kind not in ("binary", "multiclass", "multilabel-indicator", "multiclass-multioutput"):
        with naming(name):
            check_classification_targets(y)
    if kind == "multiclass-multioutput" or (kind == "multilabel-indicator" and not np.isin(y, (0, 1)).all()):
        raise _no_indicators(name, y)
    return kind == "multilabel-indicator"


def _is_multilabel_on_device(name: str, y: Any) -> bool:
    if y.ndim == 2:
        if not bool(((y == 0) | (y == 1)).all()):
            raise _no_indicators(name, y)
        return True
    if y.dtype.kind == "f" and bool((y != memory.array_module().floor(y)).any()):
        raise ValueError(
            f"Unknown label type: continuous. {name} has values that are not whole, but a classifier needs "
            "classes; MLPRegressor predicts numbers."
        )
    return False


def labels_at(classes: np.ndarray, index: Any) -> Any:
    """Labels by their numbers, where these lie, if labels are numbers."""
    if is_on_device(index) and _are_numbers(classes):
        return memory.to_device(classes)[index]
    return classes[on_host(index)]  # strings, which a GPU does not know


def _are_numbers(classes: np.ndarray) -> bool:
    return classes.dtype.kind in "biuf"


def _say_that_there_is_one(found: np.ndarray, whole: bool) -> None:
    """Raise or warn of a single class; `whole` says that it is all that will ever come."""
    if whole:
        raise ValueError(f"classes has only one class, {found.tolist()}; at least two are needed.")
    warnings.warn(
        f"y has only one class, {found.tolist()}, which is what will be predicted for every sample.",
        UserWarning,
        stacklevel=3,
    )


def _does_not_go(loss: str, output: str) -> str:
    return (
        f"output_activation={output!r} does not go with loss={loss!r}, which needs "
        f"{OUTPUT_ACTIVATION[loss]!r}."
    )


def log_sigmoid(z: Any) -> Any:
    """log(1 / (1 + exp(-z))), without overflow."""
    return -module_of(z).logaddexp(z * 0, -z)


def _log_sum_exp(z: Any) -> Any:
    """Of each row, of shape (n, 1), without overflow."""
    xp = module_of(z)
    largest = z.max(axis=1, keepdims=True)
    return largest + xp.log(xp.exp(z - largest).sum(axis=1, keepdims=True))


def _no_indicators(name: str, y: Any) -> ValueError:
    return ValueError(
        f"{name} of shape {y.shape} must be a matrix of 0 and 1 for several labels a sample, or one "
        "column of labels for one."
    )


def check_class_weight(class_weight: Any, labels: np.ndarray) -> None:
    """Raise for a class_weight by label that names others and leaves out some of these, as by mistake."""
    if isinstance(class_weight, dict):
        compute_class_weight(class_weight, classes=labels, y=labels)


def has_several_labels(y: Any) -> bool:
    """Whether y, as it was given, has a row of labels for each sample."""
    return len(y.shape) == 2 and y.shape[1] > 1 if is_on_device(y) else "multilabel" in type_of_target(y)


def values_of(y: Any) -> np.ndarray:
    """The labels that occur, sorted, in the host's memory."""
    return memory.to_host(memory.array_module().unique(y)) if is_on_device(y) else np.unique(y)
