"""What a search keeps in its folder: whose it is, the scores of fits that are done, and those under way."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...checks.arguments import check_path
from ...errors import DivergenceError
from ...training.checkpoints.files import Identity
from ...training.checkpoints.folder import Folder
from ...training.checkpoints.keeper import Checkpoint
from ...training.checkpoints.standing import Standing
from .identity import digest, joined, of_data, of_estimator, told
from .search_jobs import Data, Fit, Job

OPTIONS = ("scoring", "refit", "error_score", "return_train_score", "halving")
"""Parameters of a search on which its results depend, beside its candidates."""
KINDS = ("test_scores", "train_scores")
TIMES = ("fit_time", "score_time")
"""Entries of a fit's result that are numbers."""
SCORES = "-scores"
REFIT = "refit"
"""Parts of names of files."""


class KeptSearch:
    """The folder of a search that has been checked to be of this one.

    Parameters
    ----------
    search
        A `PopulationSearchCV`.
    base
        Its estimator.
    data
        What all fits share.
    candidates
        Their parameters, before any halving.

    Raises
    ------
    CheckpointError
        If the folder is of another search, which differs in what it names, or can't be written to.
    """

    def __init__(self, search: Any, base: Any, data: Data, candidates: Sequence[dict[str, Any]]) -> None:
        splits = (digest(rows) for split in data.splits for rows in split)
        identity = {
            "kind": type(search).__name__,
            **of_data(X=data.X, y=data.y, **data.fit_params),
            "the samples of the scorer": digest(data.score_params),
            "number of splits": len(data.splits),
            "the splits of cv": joined(splits),
            "number of candidates": len(candidates),
            "the candidates": joined(told(each) for each in candidates),
            **of_estimator(base, "estimator__"),
            **{name: told(getattr(search, name)) for name in OPTIONS},
        }
        self._folder = Folder.opened(check_path("checkpoint", search.checkpoint), identity)
        self._is_here = search.client is None  # where workers are, there need not be such a folder
        self.n_found = 0
        """Fits of the last jobs that were done."""

    def still_to_do(self, jobs: Sequence[Job], put: Callable[[Job, list[dict[str, Any]]], None]) -> list[Job]:
        """Those of the jobs that are not done, each with its file; put(job, results) is called for others.

        Raises
        ------
        CheckpointError
            If files are damaged, or can't be written.
        """
        self._folder.begin(Standing({}, {}))
        left, self.n_found = [], 0
        for job in jobs:
            results = self._results(job)
            if results is not None:
                put(job, results)
                self.n_found += len(results)
            elif self._is_here:
                left.append(replace(job, checkpoint=self._folder.checkpoint(job.name, _identity(job))))
            else:
                left.append(job)
        return left

    @property
    def refit(self) -> Checkpoint:
        """Where the fit of the best candidate is kept, which stays there."""
        return self._folder.checkpoint(REFIT, {"what": REFIT})

    def _results(self, job: Job) -> list[dict[str, Any]] | None:
        """What was `put` for a job that is done, or None."""
        kept = self._folder.read(job.name + SCORES, _identity(job))
        if kept is None:
            return None
        self._folder.remove(job.name)  # a kill may have left it
        scores, times = iter(kept.arrays["scores"].tolist()), kept.arrays["times"].tolist()
        results = []
        fits = json.loads(kept.arrays["fits"].tobytes())
        for facts, of_fit in zip(fits, times, strict=True):
            result = {**dict(zip(TIMES, of_fit, strict=True)), "fit_error": facts["fit_error"]}
            for kind in KINDS:
                if kind in facts:
                    names = facts[kind]
                    result[kind] = next(scores) if names is None else {name: next(scores) for name in names}
            results.append(result)
        return results

    def put(self, job: Job, results: Sequence[dict[str, Any]]) -> None:
        """Keep what a job has found: scores as float64, as the table has them."""
        scores: list[float] = []
        fits = []
        for result in results:
            facts: dict[str, Any] = {"fit_error": result["fit_error"]}
            for kind in KINDS:
                if kind in result:
                    values = result[kind]
                    facts[kind] = list(values) if isinstance(values, dict) else None
                    scores += values.values() if isinstance(values, dict) else [values]
            fits.append(facts)
        times = [[result[name] for name in TIMES] for result in results]
        arrays = {
            "scores": np.array(scores, float),
            "times": np.array(times, float),
            # which may be too long for a header
            "fits": np.frombuffer(json.dumps(fits).encode(), np.uint8),
        }
        if self._folder.put(job.name + SCORES, _identity(job), Standing({}, arrays)):
            self._folder.remove(job.name)


def may_be_kept(fit: Fit) -> bool:
    """Whether a fit would end so again: a memory that was full, say, may have more room the next time."""
    return fit.error is None or isinstance(fit.error, DivergenceError)


def check_draws(search: Any, splitter: Any) -> None:
    """Raise ValueError for candidates or splits that would be others in the next process."""
    advice = "which would be others in the call that goes on from the checkpoint: it must be a number."
    if search.param_distributions is not None and search.random_state is None:
        raise ValueError(f"random_state=None draws the candidates of param_distributions, {advice}")
    if getattr(splitter, "random_state", 0) is None and getattr(splitter, "shuffle", True):
        raise ValueError(f"random_state=None of cv={splitter!r} draws the splits, {advice}")


def _identity(job: Job) -> Identity:
    return {"what": "fits", "fold": job.fold, "rows of the table": joined(job.places)}
