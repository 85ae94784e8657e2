"""Deep ensembles: estimators that differ in their seeds, trained together and averaged."""

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted

from ...checks.arguments import check_bool, check_integer, check_random_state
from ...devices.placement import gpu_of, module_of, on_host, where_X_lies
from ...errors import DivergenceError
from ...population import Population
from ..base import BaseMLP
from ..classifier import MLPClassifier
from ..documentation import ENSEMBLE, documented
from ..parameters import check_parameters
from ..regressor import MLPRegressor
from ..targets import labels_at, log_sigmoid
from .joint import begin, finish, train_together, why_alone
from .kept_ensemble import KeptEnsemble

OWN_PARAMETERS = {"n_estimators": 10, "bootstrap": False, "n_threads": None}
"""Parameters of an ensemble beside those of its members, with their defaults."""


def _init_with(member: type[BaseMLP]) -> Callable[..., None]:
    """An `__init__` with the parameters of `member` and an ensemble's own.

    It has a signature that scikit-learn, `help` and editors read, without a third copy of the list.
    """
    of_member = inspect.signature(member.__init__).parameters.values()
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in OWN_PARAMETERS.items()
    ]
    signature = inspect.Signature([*of_member, *own])

    def __init__(self: Any, *values: Any, **options: Any) -> None:
        bound = signature.bind(self, *values, **options)
        bound.apply_defaults()
        self.__dict__.update({name: value for name, value in bound.arguments.items() if name != "self"})

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__


class _MLPEnsemble(BaseEstimator):
    """What the two ensembles share; subclasses say what members are, and what of a member is averaged."""

    _member: type[BaseMLP]
    _averaged: str
    """The method of a member whose results are averaged."""
    estimators_: list[Any]
    population_: Population

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def n_features_in_(self) -> int:
        """Columns of X."""
        return self._of_members("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, where all are strings."""
        return self._of_members("feature_names_in_")

    @property
    def n_outputs_(self) -> int:
        """Outputs of a network."""
        return self._of_members("n_outputs_")

    @property
    def n_iter_(self) -> int:
        """Epochs of the member that took the most."""
        self._of_members("n_iter_")
        return max(model.n_iter_ for model in self.estimators_)

    def _of_members(self, name: str) -> Any:
        """An attribute that all members have in common."""
        if "estimators_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name} before it is fitted.")
        return getattr(self.estimators_[0], name)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train all members for at most `max_iter` epochs.

        Parameters
        ----------
        X, y, sample_weight
            As for the fit of a member.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a parameter or an argument that is not allowed, naming it.
        DivergenceError
            If all members diverge; if some do, a warning says so.
        """
        self._check_parameters()
        one = self._member(**self._of_member())
        check_parameters(one)
        reason = why_alone(one, X)
        if reason:
            raise ValueError(f"{reason}, but the networks of an ensemble are trained together.")
        kept = None
        if self.checkpoint is not None:
            kept = KeptEnsemble(self, X, y, sample_weight)
        generator = check_random_state(self.random_state) if kept is None else kept.generator
        models = self._new_members(generator)
        fittings = begin(models, X, y, sample_weight, generator if self.bootstrap else None)
        checkpoint = None if kept is None else kept.begin()
        self.population_ = train_together(fittings, self.n_threads, checkpoint=checkpoint)
        assert self.population_.history is not None
        diverged = self.population_.history.diverged
        self._keep_members(models, diverged)
        for i, fitting in enumerate(fittings):
            if i not in diverged:
                finish(fitting, None)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, **classes: Any) -> Any:
        """One epoch of each member, in an order of its own."""
        if self.bootstrap:
            raise ValueError("bootstrap=True draws from all samples, of which partial_fit sees only a part.")
        self._check_parameters()
        if "estimators_" in vars(self):
            models = self.estimators_
        else:
            models = self._new_members(check_random_state(self.random_state))
        diverged: dict[int, DivergenceError] = {}
        for i, model in enumerate(models):  # what is wrong with the arguments, the first one says
            try:
                model.partial_fit(X, y, sample_weight, **classes)
            except DivergenceError as error:
                diverged[i] = error
        self._keep_members(models, diverged)
        return self

    def _keep_members(self, models: list[Any], diverged: dict[int, DivergenceError]) -> None:
        """Those that have not diverged."""
        if len(diverged) == len(models):
            raise diverged[0]
        if diverged:
            warnings.warn(
                f"{len(diverged)} of {len(models)} members diverged and are left out; a smaller "
                "learning_rate_init may help.",
                stacklevel=3,
            )
        self.estimators_ = [model for i, model in enumerate(models) if i not in diverged]

    def _check_parameters(self) -> None:
        """Of an ensemble's own."""
        check_integer("n_estimators", self.n_estimators, minimum=1)
        check_bool("bootstrap", self.bootstrap)
        if self.n_threads is not None:
            check_integer("n_threads", self.n_threads, minimum=1)

    def _of_member(self) -> dict[str, Any]:
        """Parameters of a member, but its seed: what is kept is kept of all together."""
        own = {name: value for name, value in self.get_params().items() if name not in OWN_PARAMETERS}
        return {**own, "checkpoint": None}

    def _new_members(self, generator: np.random.RandomState) -> list[BaseMLP]:
        """Members, each with a seed of its own."""
        n: int = self.n_estimators
        options = self._of_member()
        seeds = generator.randint(0, 2**31 - 1, size=n, dtype=np.int64)  # as `Population` draws them
        return [self._member(**{**options, "random_state": seed}) for seed in seeds.tolist()]

    def _of_each(self, X: Any, method: str) -> Iterator[Any]:
        """What a method of each member gives for X."""
        check_is_fitted(self)
        for model in self.estimators_:
            yield getattr(model, method)(X)

    @where_X_lies
    def _mean_and_std(self, X: Any) -> tuple[Any, Any]:
        """Mean and standard deviation over the members, none of whose predictions are kept (Welford 1962)."""
        mean: Any = 0.0
        squares: Any = 0.0
        for n, prediction in enumerate(self._of_each(X, self._averaged), start=1):
            step = prediction - mean
            mean = mean + step / n
            squares = squares + step * (prediction - mean)
        return mean, module_of(squares).sqrt(squares / n)

    def predict_std(self, X: Any) -> Any:
        """Standard deviation over the members of what is averaged, in the shape of the mean; where X lies."""
        return self._mean_and_std(X)[1]

    def _score(self, X: Any, y: Any, sample_weight: Any, measure: Callable[..., Any]) -> float:
        """Of the mean prediction, by a function of scikit-learn's, for which predictions come to the host."""
        gpu_of({"X": X, "y": y, "sample_weight": sample_weight})
        predicted = on_host(self.predict(X))
        return float(measure(on_host(y), predicted, sample_weight=on_host(sample_weight)))


@documented(doc=ENSEMBLE.replace("{member}", "MLPClassifier"))
class MLPEnsembleClassifier(ClassifierMixin, _MLPEnsemble):
    """Classifier: many multi-layer perceptrons, the mean of whose probabilities decides.

    {doc}
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of the columns of `predict_proba`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from numbabp import MLPEnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPEnsembleClassifier(hidden_layer_sizes=(10,), n_estimators=5, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    >>> model.predict_std(X).shape
    (150, 3)
    """

    _member = MLPClassifier
    _averaged = "predict_proba"
    __init__ = _init_with(MLPClassifier)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def classes_(self) -> np.ndarray:
        """Labels in the order of the columns of `predict_proba`."""
        return self._of_members("classes_")

    def predict_proba(self, X: Any) -> Any:
        """Mean of the members' probabilities, shape (n, n_classes), as `classes_`; on a GPU if X is."""
        return self._mean_and_std(X)[0]

    @where_X_lies
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`, from those of the members: exact also where that is close to 0."""
        return _log_mean_exp(self._of_each(X, "predict_log_proba"))

    @where_X_lies
    def decision_function(self, X: Any) -> Any:
        """Log-odds of the mean probabilities, which tell samples apart where these round to 1.

        Returns
        -------
        ndarray
            For two classes of the second, shape (n,); for several labels a sample of each, (n, n_labels). For
            more classes the logarithms of the mean probabilities, (n, n_classes).
        """
        if self._has_several_labels:
            right, wrong = (
                _log_mean_exp(log_sigmoid(-sign * z) for z in self._of_each(X, "decision_function"))
                for sign in (-1, 1)
            )
            return right - wrong
        logarithms = self.predict_log_proba(X)
        return logarithms[:, -1] - logarithms[:, 0] if len(self.classes_) <= 2 else logarithms

    @where_X_lies
    def predict(self, X: Any) -> Any:
        """Labels of shape (n,), or 0 and 1 of shape (n, n_labels) for several labels a sample.

        They lie where X does, but labels that are no numbers are NumPy's.
        """
        probabilities = self.predict_proba(X)
        if self._has_several_labels:
            return (probabilities > 0.5).astype(np.int64)
        return labels_at(self.classes_, probabilities.argmax(axis=1))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, for several labels a sample of whole rows; arguments as for a member's `score`."""
        return self._score(X, y, sample_weight, accuracy_score)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train every member for one epoch on the given samples, each in an order of its own.

        Parameters
        ----------
        X, y, sample_weight, classes
            As for the partial_fit of a member.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a parameter or an argument that is not allowed, naming it.
        DivergenceError
            If all members diverge; if some do, a warning says so, and they are left out.
        """
        return self._partial_fit(X, y, sample_weight, classes=classes)

    @property
    def _has_several_labels(self) -> bool:
        check_is_fitted(self)
        return self.estimators_[0].has_several_labels


def _log_mean_exp(logarithms: Iterable[Any]) -> Any:
    """Logarithm of the mean of what these are the logarithms of, where they lie."""
    own = list(logarithms)
    return functools.reduce(module_of(own[0]).logaddexp, own) - math.log(len(own))


@documented(doc=ENSEMBLE.replace("{member}", "MLPRegressor"))
class MLPEnsembleRegressor(RegressorMixin, MultiOutputMixin, _MLPEnsemble):
    """Regressor: many multi-layer perceptrons, the mean of whose predictions is given.

    {doc}

    Examples
    --------
    >>> import numpy as np
    >>> from numbabp import MLPEnsembleRegressor
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> y = np.sin(3 * X[:, 0])
    >>> model = MLPEnsembleRegressor(learning_rate_init=0.05, n_estimators=5, random_state=0).fit(X, y)
    >>> inside, outside = model.predict_std([[0.0], [3.0]])
    >>> bool(inside < outside)
    True
    """

    _member = MLPRegressor
    _averaged = "predict"
    __init__ = _init_with(MLPRegressor)

    def predict(self, X: Any) -> Any:
        """Numbers of shape (n,), or (n, n_outputs) for several targets; on a GPU if X is."""
        return self._mean_and_std(X)[0]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2, the mean over the outputs; arguments as for a member's `score`."""
        return self._score(X, y, sample_weight, r2_score)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train every member for one epoch on the given samples, each in an order of its own.

        Parameters
        ----------
        X, y, sample_weight
            As for the partial_fit of a member.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a parameter or an argument that is not allowed, naming it.
        DivergenceError
            If all members diverge; if some do, a warning says so, and they are left out.
        """
        return self._partial_fit(X, y, sample_weight)
