"""A search whose workers are killed finds what it finds here."""

import os
import signal

import numpy as np
import pytest

pytest.importorskip("distributed")
from distributed import Client
from workers import two_workers

from numbabp import MLPClassifier, PopulationSearchCV
from numbabp.estimators.many import search_jobs

draw = np.random.RandomState(0)
X = draw.standard_normal((600, 10))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
GRID = {"hidden_layer_sizes": [(4,), (8,), (12,)], "learning_rate_init": [0.01, 0.1], "alpha": [0.0, 0.01]}


def searched(client=None):
    model = MLPClassifier(max_iter=30, n_iter_no_change=30, tol=0.0, random_state=0)
    return PopulationSearchCV(model, GRID, cv=3, client=client).fit(X, Y)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the client's workers are gone:RuntimeWarning")
def test_a_search_whose_workers_are_all_killed(monkeypatch):
    here, killed, run_jobs = searched(), [], search_jobs.run_jobs

    def killing(client, function, jobs, on_result, *arguments):
        def take(i, result):
            on_result(i, result)
            if not killed:
                killed.extend(client.run(os.getpid).values())
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

        run_jobs(client, function, jobs, take, *arguments)

    monkeypatch.setattr(search_jobs, "run_jobs", killing)
    with two_workers() as cluster, Client(cluster) as client:
        there = searched(client)
    assert len(killed) == 2
    for name in ("mean_test_score", "std_test_score", "split0_test_score"):
        np.testing.assert_array_equal(here.cv_results_[name], there.cv_results_[name])
    for one, other in zip(here.best_estimator_.coefs_, there.best_estimator_.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
