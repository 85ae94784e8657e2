"""A call of an estimator's fit or partial_fit that has begun: its epochs, and what is kept of it."""

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from ... import samples as network_samples
from ...checks.arguments import check_path
from ...devices.placement import where
from ...errors import DivergenceError
from ...network import Network, fit_until
from ...samples import Samples as Measured
from ...training.checkpoints.files import CheckpointError, prepare
from ...training.checkpoints.identities import of_random_state, of_samples, plain
from ...training.checkpoints.keeper import Checkpoint
from ...training.lbfgs import Objective, minimise
from ...training.loop import OF_CALLBACK
from ..parameters import Scale, rate_falls_to_zero, rates, run_options
from ..standardizing import Standardization
from ..targets import Targets
from ..validation import Samples
from ..weights import MeanWeight
from .convergence import Pace, Watch

DECIDING = ("learning_rate", "tol", "n_iter_no_change", "early_stopping", "max_iter_", "standardize")
"""Parameters on which depends what becomes of a run, beside what its network is asked for."""
ADVICE = "Name another file, or delete this one to begin anew."
"""What errors of checkpoints say: estimators have no `resume`."""
EPOCHS_A_CALL = 10_000
"""Epochs that one call of `Network.fit` is given at most: what it records of them is allocated beforehand."""


class Fitted(NamedTuple):
    """What an estimator keeps from one call to the next, beside the attributes that scikit-learn's have."""

    targets: Targets
    pace: Pace
    mean_weight: MeanWeight
    """Of the rows that it was trained with, as of a stream."""
    standardization: Standardization
    scale: Scale
    """Of what it was trained with, as of a stream."""

    def before_and_after_activation(self, network: Network, X: Any) -> tuple[Any, Any]:
        """Pre-activations of the output layer, and outputs in units of the targets, for checked X."""
        # a sparse X can't be centred
        if sparse.issparse(X):
            return self.standardization.folded(network).before_and_after_activation(X)
        z, outputs = network.before_and_after_activation(self.standardization.of_inputs(X))
        return z, self.standardization.of_outputs(outputs)


@dataclass(frozen=True)
class Fitting:
    """A call that has begun: the model has its network, and the samples are checked and encoded."""

    model: BaseEstimator
    samples: Samples
    """Standardised, if the model's are."""
    fitted: Fitted
    penalty: float
    """L2 of a step."""
    in_parts: bool = False
    """Whether other calls bring other samples."""

    def watch(self) -> Watch:
        """What keeps the model's record of this call."""
        score = None if self.samples.validation is None else self._validation_score
        ends_by_itself = not self.in_parts and rate_falls_to_zero(self.model)
        return Watch(self.model, self.fitted.pace, len(self.samples.Y), score, ends_by_itself)

    def found(self, watch: Watch) -> int | None:
        """Number of the epoch with which the run in the model's checkpoint begins; None where there is none.

        `watch` is then what it was, but for the learning rate, with which that run began.

        Raises
        ------
        CheckpointError
            If the file is none of an estimator's checkpoints, or can't be written.
        """
        kept_at = self._kept_at
        found = None if kept_at is None else prepare(kept_at.path, resume=True, advice=kept_at.advice)
        if kept_at is None or found is None:
            return None
        if "callback" not in found.standing.facts:
            raise CheckpointError(f"checkpoint {kept_at.path} is of another run: of no estimator.")
        watch.go_on(found.standing.part(OF_CALLBACK, found.standing.facts["callback"]))
        return watch.go_back()

    @property
    def _kept_at(self) -> Checkpoint | None:
        """Where the run is kept, if it is: by who supervises the model, or by its own parameter."""
        model = self.model
        if model.supervision is not None:
            return model.supervision.checkpoint
        if model.checkpoint is None or self.in_parts:
            return None
        return Checkpoint(check_path("checkpoint", model.checkpoint), advice=ADVICE)

    def _checkpoint(self, first: int, resume: bool) -> Checkpoint | None:
        model, validation, kept_at = self.model, self.samples.validation, self._kept_at
        if kept_at is None:
            return None
        held_out = None
        if validation is not None:
            of_one, targets, weights = validation
            held_out = Measured(of_one, targets, np.empty(0) if weights is None else weights)
        beside = {
            "the first of the epochs": first,
            **of_random_state(model.random_state),
            **of_samples("samples held out", held_out),
            **{name: plain(getattr(model, name)) for name in DECIDING},
        }
        return kept_at._replace(resume=resume, beside={**kept_at.beside, **beside})

    @property
    def _stop(self) -> threading.Event | None:
        """What ends the run from another thread."""
        supervision = self.model.supervision
        return None if supervision is None else supervision.stop

    def run(self, first: int, epochs: int, watch: Watch, resume: bool = False) -> None:
        """Train for some of `epochs` epochs, of which the first has this number.

        They are `EPOCHS_A_CALL` at most, and end when `watch` says so. With `resume` the model's checkpoint
        is gone on with, which else is replaced.
        """
        watch.begin(first)
        model, samples = self.model, self.samples
        n, epochs = len(samples.Y), min(epochs, EPOCHS_A_CALL)
        of_epochs = rates(model, first, epochs, n, self.fitted.pace.rate, self.in_parts)
        with where(samples.X):
            fit_until(
                self._stop,
                model.inner_network_,
                samples.X,
                samples.Y,
                sample_weight=samples.weights,
                epochs=epochs,
                learning_rate=model.learning_rate_init_,
                schedule=lambda epoch: float(of_epochs[epoch]),
                callback=watch,
                progress=False,
                checkpoint=self._checkpoint(first, resume),
                **run_options(model, n, self.penalty),
            )

    def minimise(self) -> str:
        """Train with all samples at once, by L-BFGS; why it ended before its time, or "".

        Raises
        ------
        ValueError
            If the loss is not finite to begin with.
        """
        model, network, n = self.model, self.model.inner_network_, len(self.samples.Y)
        of = network.architecture.with_dtype(np.float64)
        given = (self.samples.X, self.samples.Y, self.samples.weights)
        objective = Objective(of, network_samples.Samples.checked(of, *given), self.penalty)
        start = network.parameters.astype(np.float64)
        if not np.isfinite(objective(start)[0]):
            raise ValueError(
                f"the loss of row {int(self.samples.rows[objective.sample])} of X is not finite before the "
                "first iteration: y, or X where standardize=False, is too large."
            )

        def keep(parameters: np.ndarray, loss: float) -> None:
            network.parameters[:] = parameters
            model.n_iter_ += 1
            model.t_ += n
            model.loss_ = loss - objective.penalty(parameters)
            model.loss_curve_.append(model.loss_)
            model.best_loss_ = min(model.loss_curve_)
            if self._stop is not None and self._stop.is_set():
                raise KeyboardInterrupt
            if model.verbose:
                print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")

        limits = {"max_iter": model.max_iter_, "max_fun": model.max_fun, "tol": model.tol}
        reason = minimise(objective, start, **limits, callback=keep)
        model.should_stop_ = not reason
        return reason

    def located(self, epoch: int, error: DivergenceError) -> DivergenceError:
        """The error as an estimator's users know things: with the row of their X, and their settings."""
        row = int(self.samples.rows[error.sample])
        advice = "a smaller learning_rate_init"
        if not self.model.standardize:
            advice += ", or standardize=True"
        return DivergenceError(epoch, row, error.learning_rate, advice)

    def record(self, losses: np.ndarray) -> None:
        """Take over the losses of epochs that were trained elsewhere, as `run` would have recorded them."""
        watch = self.watch()
        for epoch, loss in enumerate(losses):
            watch(epoch, {"loss": float(loss)})

    def _validation_score(self) -> float:
        assert self.samples.validation is not None
        X, Y, sample_weight = self.samples.validation
        with where(X):
            return self.fitted.targets.score(self.model.inner_network_.forward(X), Y, sample_weight)
