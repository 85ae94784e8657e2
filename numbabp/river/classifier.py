"""River's classifier."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

from river.base import MiniBatchClassifier

from ..checks.arguments import check_real
from ..kernels.running.rows import DONE, WEIGHT, standardise
from .inputs import NOT_NUMBERS
from .parameters import OfStreams, documented, rows_of
from .stream import VALUES_AT

RAREST = 0.01
"""Least probability that a new class begins with."""


@documented
class MLPClassifier(OfStreams, MiniBatchClassifier):
    """Multi-layer perceptron for streams, with River's interface.

    Notes
    -----
    Each class has a sigmoid output of its own, trained with binary cross-entropy against all others. Softmax
    would take a new class's probability from the known ones; so none of them changes. `predict_proba_one`
    divides by the sum over the classes seen. A new class begins with weights of 0 and the log odds of
    1 / (n + 2) after n rows, but no less than 0.01; new features as docs/river.md tells.

    Examples
    --------
    >>> from numbabp.river import MLPClassifier
    >>> model = MLPClassifier(seed=0)
    >>> for _ in range(100):
    ...     model.learn_one({"size": 1.0, "colour": "red"}, "apple")
    ...     model.learn_one({"size": 9.0}, "melon")
    >>> model.predict_one({"size": 8.5, "colour": None})
    'melon'
    """

    _loss = "binary_cross_entropy"

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: Mapping[Hashable, Any], y: Hashable, w: float = 1.0) -> None:
        """Learn from one row.

        Parameters
        ----------
        x : dict
            Numbers and texts by feature.
        y : hashable
            Label.
        w : float
            Weight >= 0; with 0 it is as if there were no row.

        Raises
        ------
        ValueError, TypeError
            For what is not allowed; nothing is changed.
        numbabp.DivergenceError
            If parameters stop being finite, or grow beyond any use.
        """
        stream = self._stream
        inputs = stream.inputs
        if w != 1.0 and check_real("w", w, minimum=0) == 0:
            return
        try:
            k = stream.classes[y]
            if len(x) != inputs.n_names:
                raise KeyError
            inputs.pack(inputs.memory, VALUES_AT, *inputs.get(x))
        except NOT_NUMBERS:
            k = self._take(x, y)
        inputs.view[WEIGHT] = w
        status = standardise(inputs.memory, stream.into)
        if status != DONE:
            stream.see_to(status)
        target = stream.target
        target[stream.latest_class] = 0.0
        target[k] = 1.0
        stream.latest_class = k
        if w == 1.0:
            stream.learn()
        else:
            stream.learn_weighted(w)

    def _take(self, x: Mapping[Hashable, Any], y: Hashable) -> int:
        """Output of a class, with a row in memory, any of which may be new."""
        stream = self._stream
        classes = stream.classes
        k = classes.get(y) if isinstance(y, Hashable) else None
        if k is not None:
            stream.take(x, k + 1)
            return k
        if not isinstance(y, Hashable) or y is None or y != y:
            raise TypeError(f"y must be a label, got {y!r} of type {type(y).__name__}.")
        k = len(classes)
        stream.take(x, k + 1)
        classes[y] = k
        probability = max(1 / (stream.inputs.weight + 2), RAREST)
        stream.begin_output(k, math.log(probability / (1 - probability)))
        return k

    def predict_proba_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, float]:
        """Probabilities of the classes seen so far; new features are passed over.

        Parameters
        ----------
        x : dict
            As for `learn_one`.

        Returns
        -------
        dict
            By label; empty before the first row.
        """
        stream = self._stream
        if not stream.look(x):
            return {}
        outputs = stream.output[: len(stream.classes)].tolist()
        total = sum(outputs)
        if total == 0:
            return dict.fromkeys(stream.classes, 1 / len(outputs))
        return {label: output / total for label, output in zip(stream.classes, outputs, strict=True)}

    def predict_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> Any:
        """The most probable label; None before the first row."""
        stream = self._stream
        if not stream.look(x):
            return None
        outputs = stream.output[: len(stream.classes)].tolist()
        return list(stream.classes)[outputs.index(max(outputs))]

    def predict_proba_many(self, X: Any) -> Any:
        """What `predict_proba_one` gives for each row of a DataFrame: a column a class."""
        import pandas as pd

        rows = [self.predict_proba_one(x) for x in rows_of(X)]
        return pd.DataFrame(rows, index=X.index, columns=list(self._stream.classes))
