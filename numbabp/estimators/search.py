"""Hyper-parameter search: the candidates of a grid trained together, fold by fold, as populations."""

import copy
import itertools
import math
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._search_successive_halving import _top_k
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import indexable
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _num_features

from ..checks.host import check_integer, check_on_host, check_real
from ..devices.processor import blas_threads, n_threads
from ..training.distribution import check_client, one_blas_thread, run_jobs
from .base import _MLP
from .joint import begin, finish, train_together, why_alone

OF_EACH_NETWORK = ("learning_rate_init", "momentum", "alpha")
"""Parameters of an estimator in which the networks of one population may differ."""
WITHOUT_EFFECT = ("max_fun", "validation_fraction", "verbose", "warm_start")
"""Parameters that make no difference to what is trained together."""


class PopulationSearchCV(BaseSearchCV):
    """Grid or randomized search with cross-validation that trains candidates together.

    The interface and the results are those of scikit-learn's `GridSearchCV` (with `param_grid`) and
    `RandomizedSearchCV` (with `param_distributions`) over the same estimator: every fit draws the initial
    weights and the orders of the fold's own training samples that the estimator would draw by itself, so that
    scores and choice are the same, save for rounding.

    Candidates that differ only in learning_rate_init, momentum and alpha take the same kind of step through
    the same architecture: they are a group, and each group is a `Population` on each fold. (One population
    for all folds, with weights of 0 for the samples left out, would pay for steps that train nothing and have
    other orders than the estimator.) The populations go to the threads one by one, the largest first. What a
    population does not do as the estimator does - early_stopping, learning_rate="adaptive", X_val in `fit`,
    ... - is fitted by the estimator itself, on the same threads.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or Pipeline
        A pipeline has to end in one of the two. Its other steps are fitted once a fold for every setting of
        theirs that is searched.
    param_grid : dict or list of dict, optional
        As in `GridSearchCV`.
    param_distributions : dict or list of dict, optional
        As in `RandomizedSearchCV`; instead of param_grid.
    n_iter : int, default=10
        Candidates drawn from param_distributions.
    scoring, cv, refit, error_score, return_train_score
        As in `GridSearchCV`. A network that diverges is a fit that failed; the others go on.
    verbose : int, default=0
        1 tells how much there is to do, 2 also what has been done.
    random_state : None, int or RandomState, default=None
        Draws from param_distributions.
    n_threads : int, optional
        Threads at most; by default all that there are.
    halving : float, optional
        Successive halving over epochs, as in `HalvingGridSearchCV` with this factor and
        ``resource="max_iter"``: all candidates are given a small max_iter, and the best 1 / halving of them
        in turn halving times as much, the last ones at most the max_iter of the estimator. The table has a
        row for each candidate in each round. A round begins anew instead of going on, since schedules know
        their end and a call draws its own orders: with a factor of 3 that is 30 % more steps, and the last
        round's scores are those of an ordinary search.
    client : dask.distributed.Client, optional
        Populations and single fits are done by its workers, each on one thread, and no longer here; the
        results are the same. A worker that is lost loses nothing: what it did is done again.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, \
multimetric_, classes_, n_features_in_, feature_names_in_
        As in `GridSearchCV`; mean_fit_time is each fit's share of its population's time.
    n_resources_, n_candidates_ : list of int
        With halving: max_iter and the number of candidates in each round.

    Raises
    ------
    ValueError, TypeError
        By `fit`, for a parameter that is not allowed, naming it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from numbabp import MLPClassifier, PopulationSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((10,), max_iter=20, n_iter_no_change=20, tol=1.0, random_state=0)
    >>> grid = {"learning_rate_init": [0.001, 0.01], "alpha": [1e-4, 1e-3, 1e-2]}
    >>> search = PopulationSearchCV(model, grid, cv=3).fit(X, y)
    >>> search.best_params_["learning_rate_init"]
    0.01
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        param_distributions: Any = None,
        n_iter: int = 10,
        scoring: Any = None,
        cv: Any = None,
        refit: Any = True,
        verbose: int = 0,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        random_state: Any = None,
        n_threads: int | None = None,
        halving: float | None = None,
        client: Any = None,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_grid = param_grid
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.n_threads = n_threads
        self.halving = halving
        self.client = client

    def fit(self, X: Any, y: Any = None, **params: Any) -> "PopulationSearchCV":
        """Fit all candidates on all folds, and the best one on all samples.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n, n_features)
            Samples.
        y : array-like of shape (n,) or (n, n_outputs)
            Labels or numbers.
        **params
            For the fit of the estimator, such as sample_weight (it also goes to the scorer) or, with a
            pipeline, mlp__sample_weight; and `groups` for the splitter.

        Returns
        -------
        self
        """
        self._check_parameters()
        check_on_host("X", X)
        check_on_host("y", y)
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(_check_method_params(X, params=params))
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = splitter.get_n_splits(X, y, **routed.splitter.split)
        splits = list(splitter.split(X, y, **routed.splitter.split))
        data = _Data(X, y, splits, routed.estimator.fit, routed.scorer.score)
        base = clone(self.estimator)

        # those of scikit-learn's, entered and left by several threads, may not put back what was there before
        with warnings.catch_warnings():
            evaluation = _Evaluation(self, base, data, scorers)
            results = self._search(evaluation, refit_metric)
        self.multimetric_ = isinstance(evaluation.first_score, dict)
        refit_metric = self._metric(evaluation, refit_metric)
        if self.refit or not self.multimetric_:
            self.best_index_ = self._best_index(refit_metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]
        if self.refit:
            self.best_estimator_ = _candidate(base, self.best_params_)
            started = time.time()
            self.best_estimator_.fit(X, y, **data.fit_params)
            self.refit_time_ = time.time() - started
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.cv_results_ = results
        return self

    def _check_parameters(self) -> None:
        self._validate_params()
        model = _parts(self.estimator)[2]
        if not isinstance(model, _MLP):
            raise TypeError(
                "estimator must be an MLPClassifier or an MLPRegressor of numbabp, or a Pipeline that ends "
                f"in one, got {model!r}."
            )
        if (self.param_grid is None) == (self.param_distributions is None):
            raise ValueError("give either param_grid or param_distributions, and not both.")
        check_integer("n_iter", self.n_iter, minimum=1)
        if self.n_threads is not None:
            check_integer("n_threads", self.n_threads, minimum=1)
        if self.halving is not None:
            check_real("halving", self.halving, minimum=1, open_minimum=True)
        if self.client is not None:
            check_client(self.client)

    def _candidates(self) -> list[dict[str, Any]]:
        if self.param_grid is not None:
            return list(ParameterGrid(self.param_grid))
        sampler = ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state)
        return list(sampler)

    def _search(self, evaluate: "_Evaluation", refit_metric: Any) -> dict[str, Any]:
        """The table of results."""
        candidates = self._candidates()
        if self.halving is None:
            return evaluate(candidates)
        name = f"{_parts(self.estimator)[1]}max_iter"
        if any(name in candidate for candidate in candidates):
            raise ValueError(f"halving gives out {name}, which therefore can't be searched.")
        most = check_integer(name, self.estimator.get_params()[name], minimum=1)
        n_rounds = 1 + math.floor(math.log(len(candidates), self.halving))
        least = max(1, int(most // self.halving ** (n_rounds - 1)))
        n_rounds = min(n_rounds, 1 + math.floor(math.log(most // least, self.halving)))
        self.n_resources_, self.n_candidates_ = [], []
        for i in range(n_rounds):
            self.n_resources_.append(min(most, int(least * self.halving**i)))
            self.n_candidates_.append(len(candidates))
            candidates = [{**candidate, name: self.n_resources_[-1]} for candidate in candidates]
            results = evaluate(candidates, iter=i, n_resources=self.n_resources_[-1])
            metric = self._metric(evaluate, refit_metric)
            if not isinstance(metric, str):
                raise ValueError("halving with several metrics needs refit to name the one that decides.")
            ranked = results | {"mean_test_score": results[f"mean_test_{metric}"]}
            candidates = list(_top_k(ranked, math.ceil(len(candidates) / self.halving), i))
        return results

    def _metric(self, evaluation: "_Evaluation", refit_metric: Any) -> Any:
        """Name of the metric that decides; how many a callable has is known once it has been called."""
        if callable(self.scoring) and isinstance(evaluation.first_score, dict):
            self._check_refit_for_multimetric(evaluation.first_score)
            return self.refit
        return refit_metric

    def _best_index(self, refit_metric: Any, results: dict[str, Any]) -> int:
        if self.halving is None or callable(self.refit):
            return self._select_best_index(self.refit, refit_metric, results)
        last = np.flatnonzero(results["iter"] == results["iter"].max())
        return last[results[f"rank_test_{refit_metric}"][last].argmin()]


@dataclass(frozen=True)
class _Data:
    """What all fits share."""

    X: Any
    y: Any
    splits: list[tuple[np.ndarray, np.ndarray]]
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    def training(self, estimator: Any, fold: int) -> tuple[Any, Any, dict[str, Any]]:
        """Samples and arguments of a fit."""
        train = self.splits[fold][0]
        return (
            *_safe_split(estimator, self.X, self.y, train),
            _check_method_params(self.X, params=self.fit_params, indices=train),
        )


@dataclass(frozen=True)
class _Job:
    """Fits that go to a thread together: some candidates on one fold."""

    places: list[int]  # rows of the list of results
    estimators: list[Any]  # to be fitted
    fold: int
    together: bool  # as a population, or by themselves
    transformers: Any  # what they share of preparing samples, or None without any

    def work(self, n_features: int) -> int:
        """About proportional to the time it takes, for populations."""
        if not self.together:
            return 0
        model = _parts(self.estimators[0])[2]
        sizes = (n_features, *model._hidden_layer_sizes(), 1)
        n_weights = sum(a * b for a, b in itertools.pairwise(sizes))
        return len(self.estimators) * model.max_iter * n_weights


@dataclass(frozen=True)
class _Fit:
    """One candidate fitted on one fold, or why it could not be."""

    estimator: Any
    error: Exception | None
    seconds: float


@dataclass(frozen=True)
class _Kind:
    """What candidates must have in common to be one population."""

    model: Any = None
    transformers: Any = None  # None without any
    alone: int | None = None  # the number of a candidate that is fitted by itself


class _Evaluation:
    """Fits and scores candidates, and keeps the table."""

    def __init__(self, search: PopulationSearchCV, base: Any, data: _Data, scorers: Any) -> None:
        self._search = search
        self._base = base
        self._data = data
        self._scorers = scorers
        self._candidates: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._more: dict[str, list[Any]] = {}

    def __call__(self, candidates: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """The table so far; `more` are values of the new rows."""
        search = self._search
        n_splits = len(self._data.splits)
        if search.verbose > 0:
            print(
                f"Fitting {n_splits} folds for each of {len(candidates)} candidates, "
                f"totalling {n_splits * len(candidates)} fits"
            )
        results: list[Any] = [None] * (n_splits * len(candidates))

        def score(job: _Job, fits: list[_Fit]) -> None:
            for place, fit in zip(job.places, fits, strict=True):
                results[place] = self._score(fit, job.fold)
            if search.verbose > 1:
                how = "together" if job.together else "by itself"
                print(f"[fold {job.fold + 1}/{n_splits}] {len(fits)} {how}: {_seconds(fits):.2g} s")

        jobs = make_jobs(self._base, candidates, self._data)
        if not jobs:
            raise ValueError("there is nothing to fit: cv has no splits, or there are no candidates.")
        if search.client is None:
            run_here(jobs, self._data, n_threads(search.n_threads), score)
        else:
            run_on(search.client, jobs, self._data, score)
        _warn_or_raise_about_fit_failures(results, search.error_score)
        if callable(search.scoring):
            _insert_error_scores(results, search.error_score)
        self._candidates += candidates
        self._results += results
        for name, value in more.items():
            self._more.setdefault(name, []).extend([value] * len(candidates))
        return search._format_results(self._candidates, n_splits, self._results, self._more)

    @property
    def first_score(self) -> Any:
        """A number, or a dict for several metrics."""
        return self._results[0]["test_scores"]

    def _score(self, fit: _Fit, fold: int) -> dict[str, Any]:
        """One entry of what `BaseSearchCV._format_results` takes."""
        data, search = self._data, self._search
        train, test = data.splits[fold]
        kinds = {"test_scores": test} | ({"train_scores": train} if search.return_train_score else {})
        result: dict[str, Any] = {"fit_time": fit.seconds, "score_time": 0.0, "fit_error": None}
        if fit.error is not None:
            if search.error_score == "raise":
                raise fit.error
            result["fit_error"] = "".join(traceback.format_exception(fit.error))
            names = getattr(self._scorers, "_scorers", None)
            failed = search.error_score if names is None else dict.fromkeys(names, search.error_score)
            return result | dict.fromkeys(kinds, failed)
        for kind, rows in kinds.items():
            started = time.time()
            X, y = _safe_split(fit.estimator, data.X, data.y, rows, train)
            params = _check_method_params(data.X, params=data.score_params, indices=rows)
            result[kind] = _score(fit.estimator, X, y, self._scorers, params, search.error_score)
            if kind == "test_scores":
                result["score_time"] = time.time() - started
        return result


def make_jobs(base: Any, candidates: list[dict[str, Any]], data: _Data) -> list[_Job]:
    """All fits of all candidates, in jobs that can be done in any order and at any place.

    A job has one population, or one fit that has to be done by the estimator itself.
    """
    groups: dict[_Kind, list[int]] = {}
    for i, parameters in enumerate(candidates):
        kind = _kind(_candidate(base, parameters), parameters, data) or _Kind(alone=i)
        groups.setdefault(kind, []).append(i)
    n_splits = len(data.splits)
    return [
        _Job(
            places=[i * n_splits + fold for i in members],
            estimators=[_candidate(base, candidates[i]) for i in members],
            fold=fold,
            together=kind.alone is None,
            transformers=kind.transformers,
        )
        for kind, members in groups.items()
        for fold in range(n_splits)
    ]


def run_here(
    jobs: Sequence[_Job], data: _Data, n_threads: int, done: Callable[[_Job, list[_Fit]], None]
) -> None:
    """Do the jobs on threads, and call done(job, fits) for each in this thread.

    As many jobs as there are threads go on at once, since a small group would not keep several threads busy;
    only where jobs are fewer does each get several.
    """
    jobs = _largest_first(jobs, data)
    n_workers = max(1, min(n_threads, len(jobs)))
    stop = threading.Event()
    with blas_threads(1), ThreadPoolExecutor(n_workers) as pool:
        try:
            # before all jobs, none of which therefore waits for what has not begun
            prepared: dict[Any, Future[Any]] = {}
            for job in jobs:
                key = (job.transformers, job.fold)
                if job.transformers is not None and key not in prepared:
                    prepared[key] = pool.submit(prepare, job, data)
            running = {}
            for job in jobs:
                of_job = prepared.get((job.transformers, job.fold))
                get = None if of_job is None else of_job.result
                running[pool.submit(fit_job, job, data, get, n_threads // n_workers, stop)] = job
            for future in as_completed(list(running)):
                done(running.pop(future), future.result())
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_on(client: Any, jobs: Sequence[_Job], data: _Data, done: Callable[[_Job, list[_Fit]], None]) -> None:
    """Do the jobs on the workers of a Dask client, and call done(job, fits) for each here."""
    jobs = _largest_first(jobs, data)
    names = [f"{len(job.estimators)} fits on fold {job.fold + 1}" for job in jobs]
    run_jobs(client, _fit_on_worker, jobs, lambda i, fits: done(jobs[i], fits), data, names.__getitem__)


def _fit_on_worker(job: _Job, data: _Data) -> list[_Fit]:
    job = copy.deepcopy(job)  # Dask may want to do it again
    get = None if job.transformers is None else partial(prepare, job, data)
    with one_blas_thread():
        return fit_job(job, data, get, 1, threading.Event())


def _largest_first(jobs: Sequence[_Job], data: _Data) -> list[_Job]:
    n_features = _num_features(data.X)
    return sorted(jobs, key=lambda job: -job.work(n_features))


def prepare(job: _Job, data: _Data) -> tuple[Pipeline, Any]:
    """The transformers of a job's pipelines, fitted on its fold's training samples, and these transformed."""
    estimator = job.estimators[0]
    transformers = clone(estimator[:-1])
    X, y, _ = data.training(estimator, job.fold)
    return transformers, transformers.fit_transform(X, y)


def fit_job(
    job: _Job,
    data: _Data,
    prepared: Callable[[], tuple[Pipeline, Any]] | None,
    n_threads: int,
    stop: threading.Event,
) -> list[_Fit]:
    """Fit the estimators of a job; prepared() is what `prepare` gives for it."""
    if not job.together:
        return [_fit_alone(estimator, job.fold, data) for estimator in job.estimators]
    started = time.perf_counter()
    X, y, params = data.training(job.estimators[0], job.fold)
    transformers = None
    if prepared is not None:
        try:
            transformers, X = prepared()
        except Exception as error:
            return [_Fit(None, error, 0.0)] * len(job.estimators)
    prefix = _parts(job.estimators[0])[1]
    sample_weight = params.get(f"{prefix}sample_weight")
    models = [_parts(estimator)[2] for estimator in job.estimators]
    errors = _fit_together(models, X, y, sample_weight, n_threads, stop)
    if transformers is not None:
        for estimator in job.estimators:
            estimator.steps[:-1] = transformers.steps
    seconds = (time.perf_counter() - started) / len(models)
    return [_Fit(*pair, seconds) for pair in zip(job.estimators, errors, strict=True)]


def _fit_alone(estimator: Any, fold: int, data: _Data) -> _Fit:
    X, y, params = data.training(estimator, fold)
    started = time.perf_counter()
    failure = None
    try:
        estimator.fit(X, y, **params)
    except Exception as error:
        failure = error
    return _Fit(estimator, failure, time.perf_counter() - started)


def _fit_together(
    models: list[_MLP], X: Any, y: Any, sample_weight: Any, n_threads: int, stop: threading.Event
) -> list[Exception | None]:
    """Fit models as one population; what the fit of each would have raised."""
    try:
        samples, weights = begin(models, X, y, [sample_weight] * len(models))
    except Exception as error:
        return [error] * len(models)
    population = train_together(models, samples, weights, n_threads, stop)
    assert population.history is not None
    errors: list[Exception | None] = []
    for i, model in enumerate(models):
        try:
            finish(model, population.history.diverged.get(i))
            errors.append(None)
        except Exception as error:  # a warning may be one, too
            errors.append(error)
    return errors


def _candidate(base: Any, parameters: dict[str, Any]) -> Any:
    """A clone with its parameters set; these are cloned too, since they may be estimators."""
    return clone(base).set_params(**clone(parameters, safe=False))


def _parts(estimator: Any) -> tuple[Pipeline | None, str, Any]:
    """Transformers, prefix of the parameters, and the model itself."""
    if not isinstance(estimator, Pipeline):
        return None, "", estimator
    name, model = estimator.steps[-1]
    return estimator[:-1] if len(estimator.steps) > 1 else None, f"{name}__", model


def _kind(estimator: Any, parameters: dict[str, Any], data: _Data) -> "_Kind | None":
    """What the candidate has in common with others that it may be trained with; None if with no other."""
    transformers, prefix, model = _parts(estimator)
    if not isinstance(model, _MLP) or set(data.fit_params) - {f"{prefix}sample_weight"}:
        return None
    try:
        model._check_parameters()
    except (TypeError, ValueError):
        return None
    if why_alone(model, data.X):
        return None
    own = model.get_params(deep=False)
    for name in (*OF_EACH_NETWORK, *WITHOUT_EFFECT):
        own.pop(name, None)
    own["momentum"] = model.momentum > 0  # plain steps carry nothing along
    others = {name: value for name, value in parameters.items() if not name.startswith(prefix)}
    return _Kind((type(model), *_frozen(own)), None if transformers is None else _frozen(others))


def _frozen(settings: dict[str, Any]) -> tuple[Any, ...]:
    """Hashable, and equal for equal settings; functions are equal to themselves only."""
    return tuple(
        (name, id(value) if callable(value) else joblib.hash(value))
        for name, value in sorted(settings.items())
    )


def _seconds(fits: Sequence[_Fit]) -> float:
    return sum(fit.seconds for fit in fits)
