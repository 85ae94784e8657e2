"""A network that learns from one sample at a time, from Python."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..checks import host_samples
from ..checks.arguments import check_integer, check_learning_rate, check_real
from ..compiler.compiling import strictly
from ..errors import OF_FIT, DivergenceError
from ..inference import predictions
from ..kernels.online.placed import DIVERGED, DUE, make_online
from ..kernels.state import FIRST_METRIC, LOSS, WEIGHT
from ..options import Options
from ..samples import check_inputs
from ..training.divergence import Snapshot, is_of_use
from ..training.exclusive import check_not_trained
from ..training.state import RuleState
from .workspace import Workspace, codes_of


class Online:
    """One sample at a time for a network; `Network.online` makes it.

    All that a step needs is checked and compiled once. Parameters, and what the update rule carries from step
    to step, are the network's own: it may be saved, copied, measured and trained otherwise between any two
    samples. Only one thread at a time may use it.

    Attributes
    ----------
    inputs : ndarray of shape (n_inputs,)
        For `learn` and `forward`: the next sample, to be filled in place; of the network's dtype.
    targets : ndarray of shape (n_outputs,)
        For `learn`: its targets, likewise.
    outputs : ndarray of shape (n_outputs,)
        Those of the last sample; the next one overwrites them.

    Examples
    --------
    >>> import numbabp as nbp
    >>> net = nbp.Network((2, 3, 1), loss="binary_cross_entropy", random_state=0)
    >>> learner = net.online(learning_rate=0.5)
    >>> for x, y in [((0, 1), 1), ((1, 1), 0)] * 2000:
    ...     outputs_before = learner.learn_one(x, y)
    >>> learner.predict_one((0, 1)), learner.metrics["accuracy"] > 0.9
    (1, True)
    """

    def __init__(
        self,
        network: Any,
        architecture: Architecture,
        parameters: np.ndarray,
        state: RuleState,
        options: Options,
        window: int,
    ) -> None:
        check_integer("window", window, minimum=0)
        self._network, self._architecture, self._options = network, architecture, options
        self._workspace = work = Workspace.of(architecture, parameters, state, options, window)
        self._places = work.places
        self.inputs, self.targets = work.inputs[0], work.targets[0]
        self.outputs: Any = work.outputs
        self._pack_inputs = struct.Struct(f"{architecture.n_inputs}{architecture.dtype.char}").pack_into
        # writing to these takes a third of NumPy's time
        self._input, self._target, self._output = _views(self.inputs, self.targets, self.outputs)
        learn, look = make_online(
            codes_of(architecture, options), options.propagate == "updated", architecture.dtype.name
        )
        if architecture.is_strict:
            learn, look = strictly(learn), strictly(look)
        self._learn, self._look = learn, look
        self._has_one_output = architecture.n_outputs == 1
        self._decides = architecture.loss == "binary_cross_entropy"
        self._takes_class = architecture.loss == "categorical_cross_entropy"
        self._names = ["loss", *architecture.metric_names(options.monitor)]
        self._last_good = Snapshot(self._changing)
        self._n_last_good = 0

    def __reduce__(self) -> Any:  # the addresses in its places are this process's, and this object's
        arguments = self._network, self._options, len(self._workspace.latest)
        going_on = self.learning_rate, self._workspace.totals, self._workspace.latest
        return _again, (*arguments, *going_on)

    def __repr__(self) -> str:
        return f"<Online of {self._network!r}, {self.n_samples} samples learnt>"

    def going_on(self, learning_rate: float, totals: np.ndarray, latest: np.ndarray) -> "Online":
        """Take over the rate and the records of another."""
        self.learning_rate = learning_rate
        self._workspace.totals[:], self._workspace.latest[:] = totals, latest
        self._n_last_good = self.n_samples
        return self

    def learn_one(self, x: Any, y: Any, sample_weight: float = 1.0) -> np.ndarray:
        """Take one step.

        Parameters
        ----------
        x : array-like of shape (n_inputs,)
            Finite numbers. An array of the network's dtype is the fastest.
        y : float, int or array-like of shape (n_outputs,)
            Target; with categorical cross-entropy it may be the index of a class.
        sample_weight : float
            Factor >= 0 of the gradient and of the loss; with 0 nothing is learnt or recorded.

        Returns
        -------
        ndarray of shape (n_outputs,)
            The outputs before the update.

        Raises
        ------
        ValueError, TypeError
            For what is not allowed; nothing is changed.
        DivergenceError
            If the loss stops being finite, or parameters grow beyond any use, which is looked for every 1024
            samples: the network is left with finite parameters, as of the sample that the message names.
        RuntimeError
            If another thread is training this network.
        """
        check_not_trained(self._network)
        self._put_inputs(x)
        try:
            if self._has_one_output:
                self._target[0] = y
            else:
                self._put_targets(y)
        except TypeError:
            self.targets[:] = self._checked_targets(y)
        if sample_weight != 1.0:
            return self._learn_weighted(x, y, sample_weight)
        status = self._learn(self._places)
        if status:
            self._see_to(status, x, y)
        return self.outputs.copy()

    def forward_one(self, x: Any) -> np.ndarray:
        """Outputs for one sample.

        Parameters
        ----------
        x : array-like of shape (n_inputs,)
            As for `learn_one`.

        Returns
        -------
        ndarray of shape (n_outputs,)
        """
        self._put_inputs(x)
        if self._look(self._places):
            self._checked_inputs(x)
        return self.outputs.copy()

    def predict_one(self, x: Any) -> Any:
        """Prediction for one sample: what `forward_one` gives, decided as by `Network.predict`.

        Returns
        -------
        int, float or ndarray of shape (n_outputs,)
            0 or 1, the index of a class, or the output; an array for several outputs that are not classes.
        """
        self._put_inputs(x)
        if self._look(self._places):
            self._checked_inputs(x)
        if self._has_one_output:
            output = self._output[0]
            return int(output > 0.5) if self._decides else output
        if self._takes_class:
            return int(self.outputs.argmax())
        return predictions.decide(self._architecture, self.outputs.copy())

    def learn(self) -> np.ndarray:
        """`learn_one` with what lies in `inputs` and `targets`; returns the view `outputs`, of before."""
        check_not_trained(self._network)
        status = self._learn(self._places)
        if status:
            self._see_to(status, self.inputs, self.targets)
        return self.outputs

    def forward(self) -> np.ndarray:
        """`forward_one` with what lies in `inputs`; returns the view `outputs`."""
        if self._look(self._places):
            self._checked_inputs(self.inputs)
        return self.outputs

    @property
    def learning_rate(self) -> float:
        """Rate of the next step, which may be assigned to."""
        return float(self._workspace.rates[0])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._workspace.rates[0] = check_learning_rate("learning_rate", value)

    @property
    def n_samples(self) -> int:
        """Samples learnt from so far."""
        return int(self._workspace.totals[0, 0])

    @property
    def sums(self) -> np.ndarray:
        """Of the last sample: weighted loss, weight and weighted metrics; a view."""
        return self._workspace.sums[0]

    @property
    def metrics(self) -> dict[str, float]:
        """Prequential loss, and metrics as `fit` records them: means over all samples, before their steps."""
        return self._means(self._workspace.totals[0, 1:])

    @property
    def window_metrics(self) -> dict[str, float]:
        """The same of the latest samples, as many as `window`."""
        return self._means(self._workspace.latest.sum(axis=0))

    def _means(self, sums: np.ndarray) -> dict[str, float]:
        parts = [sums[LOSS], *sums[FIRST_METRIC:]]
        with np.errstate(all="ignore"):  # none yet
            return {name: float(part / sums[WEIGHT]) for name, part in zip(self._names, parts, strict=True)}

    @property
    def _changing(self) -> tuple[np.ndarray, ...]:
        work = self._workspace
        return work.parameters, work.moments, work.position

    def _put_inputs(self, x: Any) -> None:
        """Put a sample where the kernels find it; whether it is finite is for them to see."""
        if type(x) is np.ndarray:
            try:
                self._input[:] = x  # which takes nothing but an array of this shape and dtype
                return
            except ValueError:
                pass
        else:
            try:
                self._pack_inputs(self.inputs, 0, *x)  # nothing but so many numbers
                return
            except (TypeError, struct.error, OverflowError):
                pass
        self.inputs[:] = self._checked_inputs(x)

    def _put_targets(self, y: Any) -> None:
        """Targets of several outputs, if they are usual ones."""
        is_whole = type(y) is int or isinstance(y, np.integer)
        if is_whole and self._takes_class and 0 <= y < len(self.targets):
            self.targets[:] = 0
            self._target[y] = 1.0
        elif type(y) is np.ndarray and y.shape == self.targets.shape and y.dtype.kind in "biuf":
            self.targets[:] = y
        else:
            raise TypeError

    def _learn_weighted(self, x: Any, y: Any, sample_weight: float) -> np.ndarray:
        """`learn_one` of what has been put in place."""
        weight = self._workspace.weights
        weight[0] = check_real("sample_weight", sample_weight, minimum=0)
        try:
            status = self._learn(self._places) if weight[0] else self._look(self._places)
        finally:
            weight[0] = 1
        if status:
            self._see_to(status, x, y)
        return self.outputs.copy()

    def _checked_inputs(self, x: Any) -> np.ndarray:
        """A sample; or an error as `fit` has it."""
        n = self._architecture.n_inputs
        if not hasattr(x, "tocsr") and np.ndim(x) != 1:
            raise ValueError(f"x must be one sample, of shape ({n},), got shape {np.shape(x)}.")
        return check_inputs(self._architecture, "x", [x])[0]

    def _checked_targets(self, y: Any) -> np.ndarray:
        of = self._architecture
        return host_samples.check_targets("y", [y], 1, of.n_outputs, of.loss, of.dtype)[0]

    def _see_to(self, status: int, x: Any, y: Any) -> None:
        """Whatever is not the usual end of a step."""
        if status == DUE:
            if self._is_of_use():
                self._last_good.take(self._changing)
                self._n_last_good = self.n_samples
                return
        elif status != DIVERGED:
            self._checked_inputs(x)
            self._checked_targets(y)
        at = "which that sample has not changed"
        if not self._is_of_use():
            self._last_good.put_back(self._changing)
            at = f"which are those after sample {self._n_last_good}"
        raise DivergenceError(0, self.n_samples, self.learning_rate, f"{OF_FIT}; of the parameters, {at}")

    def _is_of_use(self) -> bool:
        work = self._workspace
        return is_of_use(self._architecture, work.parameters, work.moments, work.sums[:, LOSS])


def _views(*arrays: Any) -> Iterator[Any]:
    """Their memory as Python has it."""
    return map(memoryview, arrays)


def _again(
    network: Any, options: Options, window: int, learning_rate: float, totals: np.ndarray, latest: np.ndarray
) -> Online:
    """A learner of a copied network, going on."""
    return network.online_with(options, window).going_on(learning_rate, totals, latest)
