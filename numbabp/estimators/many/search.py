"""Hyper-parameter search: the candidates of a grid trained together, fold by fold, as populations."""

import copy
import itertools
import math
import time
import traceback
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._search_successive_halving import _top_k
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params

from ...checks.arguments import check_integer, check_real
from ...devices.memory import as_array
from ...devices.placement import gpu_of, is_on_device, on_host, where, where_X_lies
from ...devices.processor import n_threads
from ...training.dask_client import check_client
from ..base import BaseMLP
from ..parameters import epochs_of
from ..training.supervision import Supervision
from .for_scorers import ForScorers
from .heard import Heard, is_to_be_told, tell
from .kept_search import KeptSearch, check_draws, may_be_kept
from .search_jobs import (
    Data,
    Fit,
    Job,
    candidate_of,
    fit_supervised,
    make_jobs,
    parts_of,
    run_here,
    run_on,
)


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
    ... - is fitted by the estimator itself, on the same threads. On a GPU, where X lies or device="cuda" of
    the estimator asks for one, populations are trained one after the other; networks too large for its
    kernels of populations are fitted by themselves.

    What fits would warn of by themselves, such as that they have learnt nothing, comes once for all: how many
    there are, and the candidate and the fold of the first.

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
    n_jobs : int, optional
        Threads at most, as joblib counts: -1 is all, -2 all but one, ... None is all, too, and not one as in
        `GridSearchCV`: threads of one process share the samples.
    n_threads : int, optional
        The same by the name that `Population.fit` has for it; give one of the two.
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
    checkpoint : str or path-like, optional
        A folder, made if need be, in which the search is kept: the same call again, in another process too,
        does no fit again that is done, goes on with what was under way, and ends with the results of a search
        that was never stopped, but for times (docs/reliability.md). The estimator's random_state should be a
        number; where candidates or splits are drawn, theirs must not be None. What `client` has under way is
        begun anew.

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
        By `fit`, for a parameter that is not allowed, naming it; or for a checkpoint of another search,
        naming what differs, before anything is changed.
    KeyboardInterrupt
        By `fit`, on Ctrl-C; with a checkpoint in the refit, too, which else ends with a warning.

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
        n_jobs: int | None = None,
        n_threads: int | None = None,
        halving: float | None = None,
        client: Any = None,
        checkpoint: Any = None,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
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
        self.checkpoint = checkpoint

    def fit(self, X: Any, y: Any = None, **params: Any) -> "PopulationSearchCV":
        """Fit all candidates on all folds, and the best one on all samples.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n, n_features)
            Samples. Of an array on a GPU folds are picked there, and trained and predicted there; splits and
            scores are made on the host, to which y and what is predicted are copied for them.
        y : array-like of shape (n,) or (n, n_outputs)
            Labels or numbers; for an X on a GPU also there, and likewise what belongs to the samples.
        **params
            For the fit of the estimator, such as sample_weight (it also goes to the scorer) or, with a
            pipeline, mlp__sample_weight; and `groups` for the splitter.

        Returns
        -------
        self
        """
        self._check_parameters()
        gpu_of({"X": X, "y": y, **params})
        if is_on_device(X) and self.client is not None:
            raise ValueError(
                "X lies on a GPU, but a client's workers are sent samples of the host's memory: leave out "
                "client, or copy X to the host, with X.get() or cupy.asnumpy(X)."
            )
        X, y = (as_array(values) if is_on_device(values) else values for values in (X, y))
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(_check_method_params(X, params=params))
        # splitters and scorers are NumPy's
        labels = on_host(y)
        of_splitter, of_scorer = (
            {name: on_host(value) for name, value in given.items()}
            for given in (routed.splitter.split, routed.scorer.score)
        )
        splitter = check_cv(self.cv, labels, classifier=is_classifier(self.estimator))
        self.n_splits_ = splitter.get_n_splits(X, labels, **of_splitter)
        splits = list(splitter.split(X, labels, **of_splitter))
        data = Data(X, y, splits, routed.estimator.fit, of_scorer)
        base = clone(self.estimator)
        candidates = self._candidates()
        kept = None
        if self.checkpoint is not None:
            check_draws(self, splitter)
            kept = KeptSearch(self, base, data, candidates)

        # those of scikit-learn's, entered and left by several threads, may not put back what was there before
        with warnings.catch_warnings():
            evaluation = _Evaluation(self, base, data, scorers, kept)
            results = self._search(evaluation, candidates, refit_metric)
        tell(evaluation.heard, len(evaluation.results))
        self.multimetric_ = isinstance(evaluation.first_score, dict)
        # with several metrics one may be enough to say which candidate is best, but that takes a refit
        if self.refit or not self.multimetric_:
            self._choose(results, self._metric(evaluation, refit_metric))
        # predict, score and the like are those of one estimator
        if self.refit:
            self._fit_best(candidate_of(base, self.best_params_), X, y, data.fit_params, kept)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.cv_results_ = results
        return self

    @where_X_lies
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Score of the best estimator, by `scorer_`.

        Parameters
        ----------
        X, y, **params
            As for the scorer; for an X on a GPU the others may lie there, too, and come to the host.
        """
        gpu_of({"X": X, "y": y, **params})
        if not is_on_device(X) or not hasattr(self, "best_estimator_"):
            return super().score(X, y, **params)
        seen = copy.copy(self)
        seen.best_estimator_ = ForScorers(self.best_estimator_)
        params = {name: on_host(value) for name, value in params.items()}
        return super(PopulationSearchCV, seen).score(X, on_host(y), **params)

    def _choose(self, results: dict[str, Any], metric: Any) -> None:
        self.best_index_ = self._best_index(metric, results)
        if not callable(self.refit):  # else what it goes by has no name
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _fit_best(
        self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], kept: KeptSearch | None
    ) -> None:
        started = time.time()
        self.best_estimator_ = estimator
        if kept is None:
            estimator.fit(X, y, **fit_params)
        else:
            fit_supervised(estimator, X, y, fit_params, Supervision(kept.refit))
        self.refit_time_ = time.time() - started
        if hasattr(estimator, "feature_names_in_"):
            self.feature_names_in_ = estimator.feature_names_in_

    def _check_parameters(self) -> None:
        self._validate_params()
        model = parts_of(self.estimator)[2]
        if not isinstance(model, BaseMLP):
            raise TypeError(
                "estimator must be an MLPClassifier or an MLPRegressor of numbabp, or a Pipeline that ends "
                f"in one, got {model!r}."
            )
        if (self.param_grid is None) == (self.param_distributions is None):
            raise ValueError("give either param_grid or param_distributions, and not both.")
        check_integer("n_iter", self.n_iter, minimum=1)
        if self.n_threads is not None:
            check_integer("n_threads", self.n_threads, minimum=1)
        if self.n_jobs == 0:
            raise ValueError("n_jobs must not be 0; -1 is all threads.")
        if self.n_jobs is not None and self.n_threads is not None:
            raise ValueError("n_jobs and n_threads mean the same; give one of the two.")
        if self.halving is not None:
            check_real("halving", self.halving, minimum=1, open_minimum=True)
        if self.client is not None:
            check_client(self.client)

    def threads(self) -> int:
        """How many threads n_jobs and n_threads stand for."""
        if self.n_jobs is None or self.n_jobs > 0:
            return n_threads(self.n_threads if self.n_jobs is None else int(self.n_jobs))
        return max(1, n_threads(None) + 1 + int(self.n_jobs))

    def _candidates(self) -> list[dict[str, Any]]:
        if self.param_grid is not None:
            return list(ParameterGrid(self.param_grid))
        sampler = ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state)
        return list(sampler)

    def _search(
        self, evaluate: "_Evaluation", candidates: list[dict[str, Any]], refit_metric: Any
    ) -> dict[str, Any]:
        """The table of results."""
        if self.halving is None:
            evaluate(candidates)
            return self._table(evaluate)
        name = f"{parts_of(self.estimator)[1]}max_iter"
        if any(name in candidate for candidate in candidates):
            raise ValueError(f"halving gives out {name}, which therefore can't be searched.")
        most = self.estimator.get_params()[name]
        if most == "auto":
            most = epochs_of(parts_of(self.estimator)[2], evaluate.n_training_samples)
        most = check_integer(name, most, minimum=1)
        rounds = _rounds(len(candidates), most, self.halving)
        self.n_resources_, self.n_candidates_ = [], []
        for i, max_iter in enumerate(rounds):
            self.n_resources_.append(max_iter)
            self.n_candidates_.append(len(candidates))
            candidates = [{**candidate, name: max_iter} for candidate in candidates]
            evaluate(candidates, iter=i, n_resources=max_iter)
            results = self._table(evaluate)
            metric = self._metric(evaluate, refit_metric)
            if not isinstance(metric, str):
                raise ValueError("halving with several metrics needs refit to name the one that decides.")
            ranked = results | {"mean_test_score": results[f"mean_test_{metric}"]}
            candidates = list(_top_k(ranked, math.ceil(len(candidates) / self.halving), i))
        return results

    def _table(self, rows: "_Evaluation") -> dict[str, Any]:
        """What `cv_results_` is."""
        return self._format_results(rows.candidates, rows.n_splits, rows.results, rows.more)

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


def _rounds(n_candidates: int, most: int, factor: float) -> list[int]:
    """Epochs of each round of successive halving."""
    n_rounds = 1 + math.floor(math.log(n_candidates, factor))
    least = max(1, int(most // factor ** (n_rounds - 1)))
    # with few epochs, fewer rounds: each has `factor` times as many as the last
    n_rounds = min(n_rounds, 1 + math.floor(math.log(most // least, factor)))
    return [min(most, int(least * factor**i)) for i in range(n_rounds)]


class _Evaluation:
    """Fits and scores candidates, and keeps the rows of the table."""

    def __init__(
        self, search: PopulationSearchCV, base: Any, data: Data, scorers: Any, kept: KeptSearch | None
    ) -> None:
        self._search = search
        self._base = base
        self._data = data
        self._scorers = scorers
        self._kept = kept
        self.n_splits = len(data.splits)
        self.n_training_samples = data.n_training_samples
        self.candidates: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.more: dict[str, list[Any]] = {}
        self.heard: list[Heard] = []

    def __call__(self, candidates: list[dict[str, Any]], **more: Any) -> None:
        """Add rows to the table; `more` are values that they have in common."""
        search, n_splits = self._search, self.n_splits
        if search.verbose > 0:
            print(
                f"Fitting {n_splits} folds for each of {len(candidates)} candidates, "
                f"totalling {n_splits * len(candidates)} fits"
            )
        prefix = f"round-{more['iter']}-" if more else ""
        jobs = make_jobs(self._base, candidates, self._data, prefix)
        if not jobs:
            raise ValueError("there is nothing to fit: cv has no splits, or there are no candidates.")
        heard: dict[int, list[Heard]] = {}
        results = self._results(jobs, candidates, heard)
        self.heard += itertools.chain.from_iterable(heard[place] for place in sorted(heard))
        _warn_or_raise_about_fit_failures(results, search.error_score)
        if callable(search.scoring):
            _insert_error_scores(results, search.error_score)
        self.candidates += candidates
        self.results += results
        for name, value in more.items():
            self.more.setdefault(name, []).extend([value] * len(candidates))

    def _results(
        self, jobs: list[Job], candidates: list[dict[str, Any]], heard: dict[int, list[Heard]]
    ) -> list[Any]:
        """Of all fits: found in the checkpoint, or done now, and kept there; fills `heard` by place."""
        search, kept, n_splits = self._search, self._kept, self.n_splits
        results: list[Any] = [None] * (n_splits * len(candidates))

        def listen(place: int, fit: Fit) -> Fit:
            try:
                told = [message for message in fit.heard if is_to_be_told(message)]
            except ConvergenceWarning as error:  # which filters have made of it
                return replace(fit, error=fit.error or error)
            candidate = candidates[place // n_splits]
            heard[place] = [Heard(message, candidate, place % n_splits) for message in told]
            return fit

        def put(job: Job, scored: list[dict[str, Any]]) -> None:
            for place, result in zip(job.places, scored, strict=True):
                results[place] = result

        def score(job: Job, fits: list[Fit]) -> None:
            fits = [listen(*pair) for pair in zip(job.places, fits, strict=True)]
            scored = [self._score(fit, job.fold) for fit in fits]
            put(job, scored)
            if kept is not None and all(may_be_kept(fit) for fit in fits):
                kept.put(job, scored)
            if search.verbose > 1:
                how = "together" if job.together else "by itself"
                seconds = sum(fit.seconds for fit in fits)
                print(f"[fold {job.fold + 1}/{self.n_splits}] {len(fits)} {how}: {seconds:.2g} s")

        if kept is not None:
            jobs = kept.still_to_do(jobs, put)
            if search.verbose > 0:
                print(f"{kept.n_found} of them are done, in {search.checkpoint}")
        if not jobs:
            return results
        if search.client is None:
            run_here(jobs, self._data, search.threads(), score)
        else:
            run_on(search.client, jobs, self._data, score)
        return results

    @property
    def first_score(self) -> Any:
        """A number, or a dict for several metrics."""
        return self.results[0]["test_scores"]

    def _score(self, fit: Fit, fold: int) -> dict[str, Any]:
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
            with where(data.X):
                estimator, X, y, params = data.scoring(fit.estimator, rows, train)
                result[kind] = _score(estimator, X, y, self._scorers, params, search.error_score)
            if kind == "test_scores":
                result["score_time"] = time.time() - started
        return result
