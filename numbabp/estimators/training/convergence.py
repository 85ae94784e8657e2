"""scikit-learn's record of training, and when that is over."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator

from ...training.checkpoints.standing import Standing
from ...training.stopping import Patience
from .supervision import warn_of_fit

LEAST_ADAPTED_RATE = 1e-6
"""scikit-learn's: with learning_rate="adaptive" training ends at a rate that is no more than this,"""
ADAPTED_BY = 5
"""and otherwise goes on with one so many times lower."""
FEW_EPOCHS = 10
"""Nobody who asks for no more than these expects a trained network."""


@dataclass
class Pace:
    """What decides when training ends, beside the record; calls of `partial_fit` hand it on."""

    rate: float
    """With learning_rate="adaptive" the present one."""
    waited: int = 0
    """Epochs in a row without improvement."""


class Watch:
    """Keeps an estimator's record and says when training ends; called after every epoch.

    Parameters
    ----------
    model
        Has the parameters and the record: n_iter_, t_, loss_, loss_curve_, best_loss_, validation_scores_,
        best_validation_score_, should_stop_, max_iter_.
    pace
        Kept up to date.
    n_samples
        Steps of an epoch.
    score
        Accuracy or R^2 on validation samples, of the present parameters; None to watch the loss.
    ends_by_itself
        Whether the rate falls to zero in max_iter_ epochs, with which training is over
        whatever the loss does.
    """

    def __init__(
        self,
        model: BaseEstimator,
        pace: Pace,
        n_samples: int,
        score: Callable[[], float] | None = None,
        ends_by_itself: bool = False,
    ) -> None:
        self._model = model
        self._pace = pace
        self._n_samples = n_samples
        self._score = score
        self._ends_by_itself = ends_by_itself and score is None
        self._patience = Patience(model.n_iter_no_change, model.tol, waited=pace.waited)
        if score is None and model.best_loss_ is not None:
            self._patience.best = model.best_loss_
        if score is not None and model.best_validation_score_ is not None:
            self._patience.best = -model.best_validation_score_
        self.best_parameters: np.ndarray | None = None
        self._begun = 0, pace.rate

    def __call__(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Record an epoch; True if the epochs under way should end, for good or for a lower learning rate."""
        model, pace = self._model, self._pace
        model.n_iter_ += 1
        model.t_ += self._n_samples
        model.loss_ = metrics["loss"]
        model.loss_curve_.append(model.loss_)
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        is_over = self._loss_is_over() if self._score is None else self._score_is_over(self._score())
        if self._ends_by_itself:
            model.should_stop_ = model.n_iter_ >= model.max_iter_ > FEW_EPOCHS
            return False
        pace.waited = self._patience.waited
        model.should_stop_ = is_over and (
            model.learning_rate != "adaptive" or pace.rate <= LEAST_ADAPTED_RATE
        )
        if not is_over:
            return False
        # a lower rate gets as many epochs as the last one
        if not model.should_stop_:
            self._patience.wait_anew()
            pace.waited = 0
            pace.rate /= ADAPTED_BY
        what = "Training loss" if self._score is None else "Validation score"
        message = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} epochs."
        self._say(message + (" Stopping." if model.should_stop_ else f" Learning rate {pace.rate:g}."))
        return True

    def _loss_is_over(self) -> bool:
        is_over = self._patience.is_over(self._model.loss_)
        self._model.best_loss_ = self._patience.best
        return is_over

    def _score_is_over(self, score: float) -> bool:
        model = self._model
        if model.validation_scores_ is None:
            model.validation_scores_ = []
        model.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        is_best = -score < self._patience.best
        is_over = self._patience.is_over(-score)
        if is_best:
            self._take_for_best(score)
        return is_over

    def take_present_for_best(self) -> None:
        """Take the parameters that training goes on from for the best, if there are validation samples."""
        if self._score is not None:
            score = self._score()
            self._patience.best = -score
            self._take_for_best(score)

    def _take_for_best(self, score: float) -> None:
        self._model.best_validation_score_ = score
        self.best_parameters = self._model.inner_network_.parameters.copy()

    def begin(self, first: int) -> None:
        """Note where a run of epochs begins."""
        self._begun = first, self._pace.rate

    def kept(self) -> Standing:
        """What `go_on` needs: the record, and what decides when training ends; see `Remembering`."""
        model, pace, patience = self._model, self._pace, self._patience
        first, rate = self._begun
        facts = {
            "first": first,
            "n_iter": model.n_iter_,
            "t": model.t_,
            "should_stop": bool(model.should_stop_),
            "waited": [pace.waited, patience.waited],
        }
        bests = model.best_loss_, model.best_validation_score_
        numbers = [rate, pace.rate, patience.best, *(np.nan if best is None else best for best in bests)]
        arrays = {"numbers": np.array(numbers, float), "losses": np.array(model.loss_curve_, float)}
        if model.validation_scores_ is not None:
            arrays["scores"] = np.array(model.validation_scores_, float)
        if self.best_parameters is not None:
            arrays["best"] = self.best_parameters
        return Standing(facts, arrays)

    def go_on(self, kept: Standing) -> None:
        """See `Remembering`."""
        model, pace, patience = self._model, self._pace, self._patience
        facts, arrays = kept.facts, kept.arrays
        model.n_iter_, model.t_, model.should_stop_ = facts["n_iter"], facts["t"], facts["should_stop"]
        pace.waited, patience.waited = facts["waited"]
        rate, pace.rate, patience.best, *bests = arrays["numbers"].tolist()
        self._begun = facts["first"], rate
        model.best_loss_, model.best_validation_score_ = (None if np.isnan(best) else best for best in bests)
        model.loss_curve_ = arrays["losses"].tolist()
        model.loss_ = model.loss_curve_[-1] if model.loss_curve_ else np.nan
        model.validation_scores_ = arrays["scores"].tolist() if "scores" in arrays else None
        self.best_parameters = arrays.get("best")

    def go_back(self) -> int:
        """To the learning rate with which the epochs under way began; the first of them."""
        first, self._pace.rate = self._begun
        return first

    def _say(self, message: str) -> None:
        if self._model.verbose:
            print(message)


def warn_unless_converged(model: BaseEstimator, reason: str = "") -> None:
    """scikit-learn's warning after max_iter epochs, at the line that called the caller.

    `reason` is why L-BFGS ended, if not by its own rule.
    """
    if model.should_stop_:
        return
    message = (
        f"Stochastic Optimizer: Maximum iterations ({model.max_iter_}) reached and the "
        "optimization hasn't converged yet."
    )
    if reason:
        message = (
            f"solver='lbfgs' ended after {model.n_iter_} iterations, before the gradient fell to "
            f"tol={model.tol:g} ({reason}): max_iter={model.max_iter_}, max_fun={model.max_fun}."
        )
    warn_of_fit(message, stacklevel=3)
