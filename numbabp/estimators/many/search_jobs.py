"""The jobs of a search: which candidates are fitted together, where that is done, and how."""

import copy
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _num_features

from ...devices.memory import as_array
from ...devices.placement import is_on_device, on_host, where
from ...devices.processor import blas_threads, one_blas_thread
from ...training.checkpoints.files import CheckpointError
from ...training.checkpoints.keeper import Checkpoint
from ...training.dask_client import run_jobs
from ..base import BaseMLP
from ..parameters import check_parameters, epochs_of, hidden_layer_sizes
from ..training.fitting import Fitting
from ..training.supervision import Supervision, listening, supervised
from ..validation import rows_of
from .for_scorers import ForScorers
from .joint import ApartError, begin, finish, train_together, why_alone

OF_EACH_NETWORK = ("learning_rate_init", "momentum", "alpha")
"""Parameters of an estimator in which the networks of one population may differ."""
WITHOUT_EFFECT = ("max_fun", "validation_fraction", "verbose", "warm_start")
"""Parameters that make no difference to what is trained together."""


@dataclass(frozen=True)
class Data:
    """What all fits share."""

    X: Any
    y: Any
    splits: list[tuple[np.ndarray, np.ndarray]]
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    @property
    def n_training_samples(self) -> int:
        """Of the first fold, about as many as of every other."""
        return len(self.splits[0][0])

    def training(self, estimator: Any, fold: int) -> tuple[Any, Any, dict[str, Any]]:
        """Samples and arguments of a fit."""
        train = self.splits[fold][0]
        if not is_on_device(self.X):
            X, y = _safe_split(estimator, self.X, self.y, train)
        else:
            X, y = _picked(self.X, train), _picked(self.y, train)
        there = {name: value for name, value in self.fit_params.items() if is_on_device(value)}
        others = {name: value for name, value in self.fit_params.items() if name not in there}
        params = _check_method_params(self.X, params=others, indices=train)
        return X, y, params | {name: _picked(as_array(value), train) for name, value in there.items()}

    def scoring(self, estimator: Any, rows: np.ndarray, train: np.ndarray) -> tuple[Any, Any, Any, Any]:
        """What a scorer is given of a fitted estimator, and of rows that are told from those of training.

        These are the estimator, X where it lies, and y and arguments in the host's memory.
        """
        params = _check_method_params(self.X, params=self.score_params, indices=rows)
        if is_on_device(self.X):
            return ForScorers(estimator), _picked(self.X, rows), on_host(_picked(self.y, rows)), params
        return estimator, *_safe_split(estimator, self.X, self.y, rows, train), params


def _picked(values: Any, rows: np.ndarray) -> Any:
    """Rows where the values lie, which on the host may be a list or a table's column; None of None."""
    return rows_of(values, rows) if is_on_device(values) or values is None else _safe_indexing(values, rows)


@dataclass(frozen=True)
class Job:
    """Fits that go to a thread together: some candidates on one fold."""

    places: list[int]  # rows of the list of results
    estimators: list[Any]  # to be fitted
    fold: int
    together: bool  # as a population, or by themselves
    transformers: Any  # what they share of preparing samples, or None without any
    name: str  # of files
    checkpoint: Checkpoint | None = None  # where it is kept while it is under way

    @property
    def asks_for_gpu(self) -> bool:
        """Whether its networks are to be trained there wherever the samples lie."""
        return str(getattr(parts_of(self.estimators[0])[2], "device", "auto")).startswith("cuda")

    def work(self, n_features: int, n_samples: int) -> int:
        """About proportional to the time it takes, for populations; of samples there are about so many."""
        if not self.together:
            return 0
        model = parts_of(self.estimators[0])[2]
        sizes = (n_features, *hidden_layer_sizes(model), 1)
        n_weights = sum(a * b for a, b in itertools.pairwise(sizes))
        return len(self.estimators) * epochs_of(model, n_samples) * n_weights


@dataclass(frozen=True)
class Fit:
    """One candidate fitted on one fold, or why it could not be."""

    estimator: Any
    error: Exception | None
    seconds: float
    heard: Sequence[str] = ()  # what it would have warned of


@dataclass(frozen=True)
class _Kind:
    """What candidates must have in common to be one population."""

    model: Any = None
    transformers: Any = None  # None without any
    alone: int | None = None  # the number of a candidate that is fitted by itself


def make_jobs(base: Any, candidates: list[dict[str, Any]], data: Data, prefix: str = "") -> list[Job]:
    """All fits of all candidates, in jobs that can be done in any order and at any place.

    A job has one population, or one fit that has to be done by the estimator itself. The same call makes the
    same jobs in every process, with names that begin with the prefix.

    Raises
    ------
    ValueError
        For a candidate with a checkpoint of its own.
    """
    groups: dict[_Kind, list[int]] = {}
    estimators = [candidate_of(base, parameters) for parameters in candidates]  # kept, as are their ids
    for model in (parts_of(estimator)[2] for estimator in estimators):
        if isinstance(model, BaseMLP) and model.checkpoint is not None:
            raise ValueError(
                f"checkpoint={model.checkpoint!r} of the estimator is a file for one fit, which a search "
                "can't share out: give the search a folder, checkpoint=..., which is for all fits."
            )
    for i, (estimator, parameters) in enumerate(zip(estimators, candidates, strict=True)):
        kind = _kind(estimator, parameters, data) or _Kind(alone=i)
        groups.setdefault(kind, []).append(i)
    n_splits = len(data.splits)
    return [
        Job(
            places=[i * n_splits + fold for i in members],
            estimators=[candidate_of(base, candidates[i]) for i in members],
            fold=fold,
            together=kind.alone is None,
            transformers=kind.transformers,
            name=f"{prefix}group-{group}-fold-{fold}",
        )
        for group, (kind, members) in enumerate(groups.items())
        for fold in range(n_splits)
    ]


def run_here(jobs: Sequence[Job], data: Data, n_threads: int, done: Callable[[Job, list[Fit]], None]) -> None:
    """Do the jobs on threads, and call done(job, fits) for each in this thread.

    As many jobs as there are threads go on at once, since a small group would not keep several threads busy;
    only where jobs are fewer does each get several. A GPU has one job at a time, and its scores before the
    next: kernels of several threads would wait for each other.
    """
    jobs = _largest_first(jobs, data)
    is_on_gpu = any(_is_on_gpu(job, data) for job in jobs)
    n_workers = 1 if is_on_gpu else max(1, min(n_threads, len(jobs)))
    stop = threading.Event()
    with blas_threads(1), ThreadPoolExecutor(n_workers) as pool:
        try:
            # before all jobs, none of which therefore waits for what has not begun
            prepared: dict[Any, Future[Any]] = {}
            for job in jobs:
                key = (job.transformers, job.fold)
                if job.transformers is not None and key not in prepared:
                    prepared[key] = pool.submit(prepare, job, data)

            def begun(job: Job) -> Future[list[Fit]]:
                of_job = prepared.get((job.transformers, job.fold))
                get = None if of_job is None else of_job.result
                return pool.submit(fit_job, job, data, get, n_threads // n_workers, stop)

            if is_on_gpu:  # on which scores are made, too
                for job in jobs:
                    done(job, begun(job).result())
                return
            running = {begun(job): job for job in jobs}
            for future in as_completed(list(running)):
                done(running.pop(future), future.result())
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_on(client: Any, jobs: Sequence[Job], data: Data, done: Callable[[Job, list[Fit]], None]) -> None:
    """Do the jobs on the workers of a Dask client, and call done(job, fits) for each here."""
    jobs = _largest_first(jobs, data)
    names = [f"{len(job.estimators)} fits on fold {job.fold + 1}" for job in jobs]
    run_jobs(client, _fit_on_worker, jobs, lambda i, fits: done(jobs[i], fits), data, names.__getitem__)


def _fit_on_worker(job: Job, data: Data) -> list[Fit]:
    job = copy.deepcopy(job)  # Dask may want to do it again
    get = None if job.transformers is None else partial(prepare, job, data)
    with one_blas_thread():
        return fit_job(job, data, get, 1, threading.Event())


def _largest_first(jobs: Sequence[Job], data: Data) -> list[Job]:
    try:
        n_features = _num_features(data.X)
    except TypeError:  # texts, say, which a pipeline makes numbers of; else the estimator says what is wrong
        n_features = 1
    return sorted(jobs, key=lambda job: -job.work(n_features, data.n_training_samples))


def prepare(job: Job, data: Data) -> tuple[Pipeline, Any]:
    """The transformers of a job's pipelines, fitted on its fold's training samples, and these transformed."""
    estimator = job.estimators[0]
    transformers = clone(estimator[:-1])
    with where(data.X):
        X, y, _ = data.training(estimator, job.fold)
        return transformers, transformers.fit_transform(X, y)


def fit_job(
    job: Job,
    data: Data,
    prepared: Callable[[], tuple[Pipeline, Any]] | None,
    n_threads: int,
    stop: threading.Event,
) -> list[Fit]:
    """Fit the estimators of a job; prepared() is what `prepare` gives for it."""
    with where(data.X):
        if not job.together:
            return _fit_one_by_one(job, data, Supervision(job.checkpoint, stop))
        by_themselves = job
        if _is_on_gpu(job, data):  # whose kernels of many take no large networks: as it is before it draws
            by_themselves = replace(job, estimators=copy.deepcopy(job.estimators))
        try:
            return _fit_together(job, data, prepared, n_threads, stop)
        except ApartError:
            return _fit_one_by_one(by_themselves, data, Supervision(None, stop))


def _is_on_gpu(job: Job, data: Data) -> bool:
    """Whether its networks are trained there."""
    return is_on_device(data.X) or job.asks_for_gpu


def _fit_one_by_one(job: Job, data: Data, by: Supervision) -> list[Fit]:
    return [_fit_alone(estimator, job.fold, data, by) for estimator in job.estimators]


def _fit_together(
    job: Job,
    data: Data,
    prepared: Callable[[], tuple[Pipeline, Any]] | None,
    n_threads: int,
    stop: threading.Event,
) -> list[Fit]:
    started = time.perf_counter()
    X, y, params = data.training(job.estimators[0], job.fold)
    transformers = None
    if prepared is not None:
        try:
            transformers, X = prepared()
        except Exception as error:
            return [Fit(None, error, 0.0)] * len(job.estimators)
    prefix = parts_of(job.estimators[0])[1]
    sample_weight = params.get(f"{prefix}sample_weight")
    models = [parts_of(estimator)[2] for estimator in job.estimators]
    try:
        fittings = begin(models, X, y, sample_weight)
    except Exception as error:
        return [Fit(None, error, 0.0)] * len(models)
    ends = _train(fittings, n_threads, stop, job.checkpoint)
    if transformers is not None:
        for estimator in job.estimators:
            estimator.steps[:-1] = transformers.steps
    seconds = (time.perf_counter() - started) / len(models)
    return [
        Fit(estimator, error, seconds, heard)
        for estimator, (error, heard) in zip(job.estimators, ends, strict=True)
    ]


def _fit_alone(estimator: Any, fold: int, data: Data, by: Supervision) -> Fit:
    X, y, params = data.training(estimator, fold)
    started = time.perf_counter()
    failure = None
    with listening() as heard:
        try:
            fit_supervised(estimator, X, y, params, by)
        except CheckpointError:  # not the candidate's fault
            raise
        except Exception as error:
            failure = error
    return Fit(estimator, failure, time.perf_counter() - started, heard)


def fit_supervised(estimator: Any, X: Any, y: Any, params: dict[str, Any], by: Supervision) -> None:
    """Fit an estimator or a pipeline, whose model is supervised if its fit is that of this package."""
    model = parts_of(estimator)[2]
    is_ours = isinstance(model, BaseMLP) and type(model).fit is BaseMLP.fit  # which trains but once
    with supervised(model, by) if is_ours else nullcontext():
        estimator.fit(X, y, **params)


def _train(
    fittings: list[Fitting], n_threads: int, stop: threading.Event, checkpoint: Checkpoint | None
) -> list[tuple[Exception | None, list[str]]]:
    """Train models that have begun as one population; what the fit of each would raise and warn of."""
    population = train_together(fittings, n_threads, stop, checkpoint)
    assert population.history is not None
    ends: list[tuple[Exception | None, list[str]]] = []
    for i, fitting in enumerate(fittings):
        failure = None
        with listening() as heard:
            try:
                finish(fitting, population.history.diverged.get(i))
            except Exception as error:  # a warning of NumPy's may be one, too
                failure = error
        ends.append((failure, heard))
    return ends


def candidate_of(base: Any, parameters: dict[str, Any]) -> Any:
    """A clone with its parameters set; these are cloned too, since they may be estimators."""
    return clone(base).set_params(**clone(parameters, safe=False))


def parts_of(estimator: Any) -> tuple[Pipeline | None, str, Any]:
    """Transformers, prefix of the parameters, and the model itself."""
    if not isinstance(estimator, Pipeline):
        return None, "", estimator
    name, model = estimator.steps[-1]
    return estimator[:-1] if len(estimator.steps) > 1 else None, f"{name}__", model


def _kind(estimator: Any, parameters: dict[str, Any], data: Data) -> "_Kind | None":
    """What the candidate has in common with others that it may be trained with; None if with no other."""
    transformers, prefix, model = parts_of(estimator)
    if not isinstance(model, BaseMLP) or set(data.fit_params) - {f"{prefix}sample_weight"}:
        return None
    try:
        check_parameters(model)
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
