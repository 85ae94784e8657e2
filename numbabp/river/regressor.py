"""River's regressor."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

from river.base import MiniBatchRegressor

from ..checks.arguments import check_real
from ..kernels.running.rows import (
    DONE,
    STANDARD_TARGET,
    TARGET,
    TARGET_MEAN,
    TARGET_VARIANCE,
    WEIGHT,
    standardise,
)
from .inputs import NOT_NUMBERS, number_of, of_size
from .parameters import OfStreams, documented
from .stream import VALUES_AT


@documented
class MLPRegressor(OfStreams, MiniBatchRegressor):
    """Multi-layer perceptron for streams, with River's interface.

    Notes
    -----
    Targets may have any scale: the network learns them less their mean and divided by their standard
    deviation, both of the rows so far, of which the t-th counts as t^3, and its output is scaled back. The
    loss is half the squared error. New features begin as docs/river.md tells.

    Examples
    --------
    >>> from numbabp.river import MLPRegressor
    >>> model = MLPRegressor(seed=0)
    >>> for t in range(2000):
    ...     x = t % 10
    ...     model.learn_one({"x": x}, 1e6 * x)
    >>> abs(model.predict_one({"x": 3}) - 3e6) < 3e5
    True
    """

    _loss = "squared_error"

    def learn_one(self, x: Mapping[Hashable, Any], y: float, w: float = 1.0) -> None:
        """Learn from one row.

        Parameters
        ----------
        x : dict
            Numbers and texts by feature.
        y : float
            Target.
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
            inputs.view[TARGET] = y
            if len(x) != inputs.n_names:
                raise KeyError
            inputs.pack(inputs.memory, VALUES_AT, *inputs.get(x))
        except NOT_NUMBERS:
            self._take(x, y)
        view = inputs.view
        view[WEIGHT] = w
        status = standardise(inputs.memory, stream.into)
        if status != DONE:
            stream.see_to(status)
        stream.target[0] = view[STANDARD_TARGET]
        if w == 1.0:
            stream.learn()
        else:
            stream.learn_weighted(w)

    def _take(self, x: Mapping[Hashable, Any], y: float) -> None:
        """Put a row into memory that may have new features."""
        target = number_of(None, y)
        if target != target:
            raise of_size(None, target)
        stream = self._stream
        if stream.take(x, 1):
            stream.begin_output(0, 0.0)
        stream.inputs.view[TARGET] = target

    def predict_one(self, x: Mapping[Hashable, Any]) -> float:
        """Prediction in units of the targets; new features are passed over, and 0 comes before any row."""
        stream = self._stream
        if not stream.look(x):
            return 0.0
        view = stream.inputs.view
        return view[TARGET_MEAN] + math.sqrt(view[TARGET_VARIANCE]) * stream.output[0]
