"""Searches that are stopped anywhere end, when they are done again, with the bits of one that was not."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
from checkpointing import all_versions_of_folders, content_of, put_back, slices_end_anywhere
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from numbabp import MLPClassifier, MLPRegressor, PopulationSearchCV
from numbabp.atomic_files import where_processes_count
from numbabp.estimators.many import search, search_jobs
from numbabp.estimators.training import fitting
from numbabp.training import population_loop
from numbabp.training.checkpoints import files

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

draw = np.random.RandomState(1)
N = 60
X = draw.standard_normal((N, 4))
Y = np.where(X[:, 0] * X[:, 1] > 0, "a", "b")
NUMBERS = X[:, 0] + draw.standard_normal(N)
RATES = [0.005, 0.05]


def classifier(**options):
    return MLPClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 6, "random_state": 0, **options})


PIPELINE = make_pipeline(StandardScaler(), PCA(3, random_state=0), classifier())


def record(search):
    """All that a search leaves behind but times."""
    table = {
        name: np.asarray(values, float).tobytes() if values.dtype.kind in "fi" else str(values)
        for name, values in search.cv_results_.items()
        if name != "params" and not name.endswith("_time")
    }
    found = [table, search.cv_results_["params"], search.multimetric_, search.n_splits_]
    found += [getattr(search, name, None) for name in ("n_resources_", "n_candidates_", "best_score_")]
    if search.refit:
        model = search_jobs.parts_of(search.best_estimator_)[2]
        state = model.inner_network_.random_state.get_state()[1].tobytes()
        found += [search.best_params_, search.best_index_, model.loss_curve_, state]
        found += [array.tobytes() for array in (*model.coefs_, *model.intercepts_)]
        found += [search.predict(X).tolist(), model.get_params()["checkpoint"]]
    return found


def score_of_both(model, X, y):
    return {"accuracy": model.score(X, y), "sum": float(model.predict_proba(X).sum())}


CASES = {
    "groups": (classifier(), {"param_grid": {"hidden_layer_sizes": [3, 4], "learning_rate_init": RATES}}),
    "fitted singly": (
        classifier(solver="adam", batch_size=16),
        {"param_grid": {"early_stopping": [True], "alpha": [0.0, 0.1]}, "return_train_score": True},
    ),
    "halving": (classifier(), {"param_grid": {"learning_rate_init": [0.001, *RATES]}, "halving": 2}),
    "randomized": (
        PIPELINE,
        {
            "param_distributions": {
                "mlpclassifier__alpha": stats.uniform(0, 0.1),
                "pca__n_components": [2, 3],
            },
            "n_iter": 3,
            "random_state": 0,
        },
    ),
    "several metrics": (
        classifier(early_stopping=True),
        {"param_grid": {"alpha": [0.0, 0.1]}, "scoring": score_of_both, "refit": "sum"},
    ),
    "lbfgs": (classifier(solver="lbfgs"), {"param_grid": {"alpha": [0.0, 0.1]}}),
    "no refit": (classifier(), {"param_grid": {"alpha": [0.0, 0.1]}, "refit": False}),
}


def searched(name, **more):
    estimator, options = CASES[name]
    return PopulationSearchCV(estimator, **{"cv": 2, **options, **more}).fit(X, Y)


@pytest.fixture
def done(monkeypatch):
    """Names of the jobs that are done from now on."""
    names, real = [], search_jobs.fit_job

    def fit_job(job, *arguments):
        fits = real(job, *arguments)
        names.append(job.name)
        return fits

    monkeypatch.setattr(search_jobs, "fit_job", fit_job)
    return names


@pytest.mark.parametrize(
    ("name", "n_threads"), [*((name, 1) for name in CASES), ("groups", 2), ("fitted singly", 2)]
)
def test_from_every_checkpoint_a_search_ends_with_the_same_bits(tmp_path, monkeypatch, done, name, n_threads):
    expected = record(searched(name))
    path = tmp_path / "of" / "search"
    with monkeypatch.context() as patch:
        slices_end_anywhere(patch, N)
        versions = all_versions_of_folders(patch, path)
        assert record(searched(name, checkpoint=path, n_threads=n_threads)) == expected
    assert len(versions) > 4 and list(versions[0]) == ["run.safetensors"]
    under_way = [k for k, version in enumerate(versions) if any("scores" not in part for part in version)]
    assert under_way
    for k in sorted({*range(0, len(versions), max(1, len(versions) // 6)), len(versions) - 1}):
        put_back(path, versions[k])
        done.clear()
        assert record(searched(name, checkpoint=path, n_threads=3 - n_threads)) == expected
        assert not {f"{job}-scores.safetensors" for job in done} & set(versions[k])
    left = {part.removesuffix(".safetensors") for part in os.listdir(path)} - {"run", "refit"}
    assert all(part.endswith("-scores") for part in left)


def test_a_finished_search_returns_at_once(tmp_path, monkeypatch):
    first = searched("groups", checkpoint=tmp_path)
    monkeypatch.setattr(search, "run_here", None)
    monkeypatch.setattr(population_loop, "make_population_engine", None)
    before = content_of(tmp_path)
    again = searched("groups", checkpoint=str(tmp_path), n_threads=1, verbose=0)
    assert record(again) == record(first) and content_of(tmp_path) == before
    for name in ("mean_fit_time", "mean_score_time"):
        np.testing.assert_array_equal(again.cv_results_[name], first.cv_results_[name])


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_failures_are_found_again(tmp_path, done):
    """Those of networks that diverge; others are tried anew."""
    model = MLPRegressor(hidden_layer_sizes=(4,), activation="identity", max_iter=5, random_state=0)
    for _ in range(2):
        with pytest.warns(FitFailedWarning, match="DivergenceError: training diverged"):
            found = PopulationSearchCV(
                model, {"learning_rate_init": [0.01, 1e6]}, cv=2, checkpoint=tmp_path / "diverging"
            ).fit(X, NUMBERS)
        assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert len(done) == 2
    options = {"cv": 2, "checkpoint": tmp_path / "wrong"}
    for _ in range(2):
        with pytest.warns(FitFailedWarning, match="alpha must be finite"):
            PopulationSearchCV(classifier(), {"alpha": [0.0, -1.0]}, **options).fit(X, Y)
    assert len(done) == 2 + 4 + 2


SEARCH = {"estimator": classifier(), "param_grid": {"alpha": [0.0, 0.1]}, "cv": 2}
TABLE = pd.DataFrame(X, columns=list("abcd"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"X": X + 1e-12}, "the values of X"),
        ({"X": X.astype(np.float32)}, "the values of X"),
        ({"X": sparse.csr_matrix(X)}, "the values of X"),
        ({"X": TABLE}, "the values of X"),
        ({"y": np.where(Y == "a", "c", "d")}, "the values of y"),
        ({"fit": {"sample_weight": np.ones(N)}}, "the values of sample_weight"),
        ({"cv": 3}, "number of splits"),
        ({"cv": KFold(2, shuffle=True, random_state=0)}, "the splits of cv"),
        ({"param_grid": {"alpha": [0.0, 0.2]}}, "the candidates"),
        ({"param_grid": {"alpha": [0.0]}}, "number of candidates"),
        ({"estimator": classifier(random_state=1)}, r"random_state \(0 there, 1 here\)"),
        ({"estimator": classifier(max_iter=7)}, r"max_iter \(6 there, 7 here\)"),
        (
            {"estimator": MLPRegressor(hidden_layer_sizes=(4,), max_iter=6, random_state=0), "y": NUMBERS},
            "estimator",
        ),
        ({"scoring": "neg_log_loss"}, "scoring"),
        ({"scoring": make_scorer(accuracy_score)}, "scoring"),
        ({"refit": False}, "refit"),
        ({"return_train_score": True}, "return_train_score"),
        ({"error_score": 0.0}, "error_score"),
        ({"halving": 2}, "halving"),
    ],
)
def test_a_folder_of_another_search_is_refused(tmp_path, changes, named):
    PopulationSearchCV(**SEARCH, checkpoint=tmp_path).fit(X, Y)
    before = content_of(tmp_path)
    X_, y_, fit = (changes.pop(name, value) for name, value in (("X", X), ("y", Y), ("fit", {})))
    with pytest.raises(ValueError, match=rf"of another run; what differs: .*{named}.*Name another folder"):
        PopulationSearchCV(**{**SEARCH, **changes}, checkpoint=tmp_path).fit(X_, y_, **fit)
    assert content_of(tmp_path) == before


def test_what_changes_nothing_is_not_told_apart(tmp_path, done):
    PopulationSearchCV(**SEARCH, checkpoint=tmp_path).fit(X, Y)
    done.clear()
    same = {"estimator": classifier(verbose=True), "n_jobs": 1, "verbose": 1}
    PopulationSearchCV(**{**SEARCH, **same}, checkpoint=tmp_path).fit(np.asfortranarray(X), Y.tolist())
    assert not done


def scorer_that_adds(number):
    return make_scorer(lambda y, predicted: accuracy_score(y, predicted) + number)


def test_functions_are_told_apart_by_what_they_do(tmp_path, done):
    options = {**SEARCH, "checkpoint": tmp_path}
    options["param_grid"] = {"learning_rate": [lambda epoch: 0.1 / (1 + epoch), "constant"]}
    PopulationSearchCV(**options, scoring=scorer_that_adds(1)).fit(X, Y)
    n = len(done)
    options["param_grid"] = {"learning_rate": [lambda epoch: 0.1 / (1 + epoch), "constant"]}
    PopulationSearchCV(**options, scoring=scorer_that_adds(1)).fit(X, Y)
    assert len(done) == n
    with pytest.raises(ValueError, match="what differs: scoring"):
        PopulationSearchCV(**options, scoring=scorer_that_adds(2)).fit(X, Y)
    options["param_grid"] = {"learning_rate": [lambda epoch: 0.1 / (2 + epoch), "constant"]}
    with pytest.raises(ValueError, match="what differs: the candidates"):
        PopulationSearchCV(**options, scoring=scorer_that_adds(1)).fit(X, Y)


TOLD = """
import functools
import numpy as np
from sklearn.metrics import get_scorer, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from numbabp import MLPClassifier
from numbabp.estimators.many.identity import digest, of_estimator, told

calls = 0

def score(y, predicted, among={"a", "b", "c"}):
    return calls + sum(name in {"a", "b", "c", "d"} for name in among)

class Rate:
    def __init__(self, first):
        self.first, self.logger = first, np
    def __call__(self, epoch):
        return self.first
    def itself(self):
        return self.itself
    def other(self):
        return self.itself

held = Rate(0.1)
held.held = held
objects = [score, make_scorer(score), get_scorer("neg_log_loss"), Rate(0.1), held]
objects += [held.itself, held.other, np.tanh, len, np]
objects += [functools.cache(score), functools.partial(score, 1, predicted=2)]
objects += [MLPClassifier(learning_rate=lambda epoch: 0.1), {"a", "b"}, np.random.RandomState(3), {1: {"x"}}]
assert told(held.itself) != told(held.other)
print([told(each) for each in objects], of_estimator(make_pipeline(StandardScaler(), MLPClassifier((4,)))))
print(digest(["a", "b"]), digest(np.array(["a", "b"], object)), digest([["a", None], [1, 2.5]]))
"""


def test_equal_things_are_told_alike_by_every_process():
    found = set()
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", TOLD]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        found.add(done.stdout)
    assert len(found) == 1
    first, second, *_ = found.pop().splitlines()[-1].split()
    assert first == second


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path"),
        ({"cv": ShuffleSplit(2)}, ValueError, "random_state=None of cv=ShuffleSplit"),
        ({"cv": KFold(2, shuffle=True)}, ValueError, "random_state=None of cv=KFold"),
        (
            {"param_grid": None, "param_distributions": {"alpha": [0.0, 0.1]}, "n_iter": 2},
            ValueError,
            "random_state=None draws the candidates",
        ),
        ({"estimator": classifier(checkpoint="run")}, ValueError, "give the search a folder"),
        ({"param_grid": {"checkpoint": ["a", "b"]}}, ValueError, "give the search a folder"),
        (
            {"estimator": PIPELINE, "param_grid": {"mlpclassifier": [classifier(checkpoint="run")]}},
            ValueError,
            "give the search a folder",
        ),
    ],
)
def test_what_could_not_be_gone_on_with_is_refused(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        PopulationSearchCV(**{**SEARCH, "checkpoint": tmp_path / "new", **changes}).fit(X, Y)
    assert not list(tmp_path.iterdir())


def test_what_is_no_folder_of_a_search_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("notes")
    for path in (tmp_path / "file", tmp_path / "file" / "within"):
        with pytest.raises(ValueError, match="is no folder"):
            PopulationSearchCV(**SEARCH, checkpoint=path).fit(X, Y)
    own, left = tmp_path / "notes.txt", tmp_path / f".run.{where_processes_count()}-999999999-{'0a' * 8}.tmp"
    own.write_text("mine")
    left.touch()
    PopulationSearchCV(**SEARCH, checkpoint=tmp_path).fit(X, Y)
    assert own.read_text() == "mine" and not left.exists()
    (tmp_path / "run.safetensors").write_text("mine")
    with pytest.raises(ValueError, match=r"run.safetensors: .*It is not replaced"):
        PopulationSearchCV(**SEARCH, checkpoint=tmp_path).fit(X, Y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_damaged_files_are_named_and_no_failed_fits(tmp_path, early_stopping):
    options = {**SEARCH, "estimator": classifier(early_stopping=early_stopping), "checkpoint": tmp_path}
    PopulationSearchCV(**options).fit(X, Y)
    whole = content_of(tmp_path)
    for name in ("run", "group-0-fold-1-scores", "refit"):
        put_back(tmp_path, whole)
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(file.read_bytes().replace(b"sha256", b"sha265"))
        with pytest.raises(ValueError, match=rf"{name}.safetensors: altered.*[Dd]elete this"):
            PopulationSearchCV(**options).fit(X, Y)
    put_back(tmp_path, {name: data for name, data in whole.items() if "fold-0" not in name})
    (tmp_path / "group-0-fold-0.safetensors").write_bytes(whole["refit.safetensors"])
    with pytest.raises(ValueError, match=r"fold-0.safetensors is of another run; what differs: .*what"):
        PopulationSearchCV(**options).fit(X, Y)


class Noise(StandardScaler):
    """Makes other samples every time."""

    def transform(self, X, copy=None):
        return super().transform(X) + np.random.RandomState().standard_normal(X.shape)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_other_samples_of_a_part_are_no_failed_fit(tmp_path, monkeypatch, early_stopping):
    pipeline = make_pipeline(Noise(), classifier(early_stopping=early_stopping))
    options = {**SEARCH, "estimator": pipeline, "param_grid": {"mlpclassifier__alpha": [0.0, 0.1]}}
    with monkeypatch.context() as patch:
        slices_end_anywhere(patch, N)
        versions = all_versions_of_folders(patch, tmp_path)
        PopulationSearchCV(**options, checkpoint=tmp_path, n_threads=1).fit(X, Y)
    put_back(tmp_path, versions[1])
    with pytest.raises(ValueError, match=r"fold-0.safetensors is of .*the samples.*perhaps a transformer's"):
        PopulationSearchCV(**options, checkpoint=tmp_path).fit(X, Y)
    name = "group-0-fold-0.safetensors"
    assert (tmp_path / name).read_bytes() == versions[1][name]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupted_search_goes_on_where_it_was(tmp_path, monkeypatch, early_stopping):
    """Ctrl-C passes; threads end soon, and what they had under way is kept."""
    model = classifier(early_stopping=early_stopping, max_iter=40, n_iter_no_change=40)
    options = {"estimator": model, "param_grid": {"hidden_layer_sizes": [3, 4]}, "cv": 2, "n_threads": 2}
    expected = record(PopulationSearchCV(**options).fit(X, Y))
    begun, calls = threading.Event(), []

    def slowly(real):
        def wrapped(*arguments):
            calls.append(real)
            if len(calls) > 8:  # some epochs are done
                begun.set()
            time.sleep(0.01)
            return real(*arguments)

        return wrapped

    def as_completed(futures):
        assert begun.wait(60)
        raise KeyboardInterrupt

    slices_end_anywhere(monkeypatch, N)
    with monkeypatch.context() as patch:
        patch.setattr(search_jobs, "as_completed", as_completed)
        for of, name in ((fitting.Watch, "__call__"), (population_loop.PopulationTraining, "_show")):
            patch.setattr(of, name, slowly(getattr(of, name)))
        before = threading.active_count()
        with pytest.raises(KeyboardInterrupt):
            PopulationSearchCV(**options, checkpoint=tmp_path).fit(X, Y)
        assert threading.active_count() == before
    kept = [name for name in content_of(tmp_path) if name.startswith("group")]
    assert kept and not any("scores" in name for name in kept)
    stands = [files.read(tmp_path / name).standing.arrays for name in kept]
    assert any(arrays["callback.losses" if early_stopping else "n_epochs"].any() for arrays in stands)
    assert record(PopulationSearchCV(**options, checkpoint=tmp_path).fit(X, Y)) == expected


def test_an_interruption_of_the_refit_passes(tmp_path, monkeypatch):
    expected = record(searched("groups"))
    real, calls = fitting.Watch.__call__, []

    def interrupted(self, epoch, metrics):
        calls.append(epoch)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, epoch, metrics)

    monkeypatch.setattr(fitting.Watch, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        searched("groups", checkpoint=tmp_path)
    assert record(searched("groups", checkpoint=tmp_path)) == expected


def test_a_disk_that_is_full_is_a_warning(tmp_path, monkeypatch):
    expected, real = record(searched("groups")), files.write

    def write(path, identity, standing, *more):
        if not path.endswith("run.safetensors"):
            raise OSError(28, "No space left on device")
        real(path, identity, standing, *more)

    monkeypatch.setattr(files, "write", write)
    with pytest.warns(RuntimeWarning, match=r"could not be written .*No space left"):
        assert record(searched("groups", checkpoint=tmp_path / "new")) == expected
    monkeypatch.setattr(files, "write", lambda *arguments: write("", *arguments[1:]))
    with pytest.raises(ValueError, match=r"could not be written: .*No space left"):
        searched("groups", checkpoint=tmp_path / "other")


def test_parameters():
    ours = PopulationSearchCV(**SEARCH, checkpoint="folder")
    assert clone(ours).get_params()["checkpoint"] == "folder" and "checkpoint='folder'" in repr(ours)
    assert PopulationSearchCV(**SEARCH).checkpoint is None


def test_jobs_of_a_clients_workers_are_kept(tmp_path, client, monkeypatch, done):
    expected = record(searched("groups"))
    assert record(searched("groups", checkpoint=tmp_path, client=client)) == expected
    whole = content_of(tmp_path)
    put_back(tmp_path, {name: data for name, data in whole.items() if "fold-1" not in name})
    done.clear()
    assert record(searched("groups", checkpoint=tmp_path)) == expected
    assert sorted(done) == ["group-0-fold-1", "group-1-fold-1"]
    monkeypatch.setattr(search, "run_on", None)
    assert record(searched("groups", checkpoint=tmp_path, client=client)) == expected


PROGRAM = """
import hashlib, sys
import numpy as np
from numbabp import MLPClassifier, PopulationSearchCV
from numbabp.training import slicing
from numbabp.training.checkpoints import files, folder

draw = np.random.RandomState(1)
X = draw.standard_normal((300, 20))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
slicing.SLICE_SECONDS = 0.002
asked, real = folder.Checkpoint, files.write
folder.Checkpoint = lambda path, **more: asked(path, every=0.01, **more)


def write(path, identity, standing, *more):
    real(path, identity, standing, *more)
    print(path.rsplit("/", 1)[1], flush=True)


files.write = write
grid = [{"hidden_layer_sizes": [4, 8], "alpha": [0.0, 0.1]}, {"early_stopping": [True]}]
model = MLPClassifier((4,), max_iter=60, random_state=0)
search = PopulationSearchCV(model, grid, cv=2, checkpoint=sys.argv[1] or None, n_threads=2).fit(X, y)
table = [values for name, values in sorted(search.cv_results_.items()) if name.startswith("split")]
found = [*table, *search.best_estimator_.coefs_, search.predict_proba(X)]
print("digest", hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest(), flush=True)
"""


@pytest.mark.slow
def test_a_search_that_is_killed_again_and_again(tmp_path):
    def started(path):
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def digest_of(process):
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        return output.split("digest ")[1].strip()

    expected = digest_of(started(""))
    path, kept = tmp_path / "search", set()
    for n_files in (1, 2, 5, 8):
        process = started(path)
        lines = [process.stdout.readline() for _ in range(n_files)]
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if any(line.startswith("digest") for line in lines):
            break
        scores = {name for name in os.listdir(path) if "-scores" in name and not name.endswith(".tmp")}
        assert scores >= kept and not kept & {line.strip() for line in lines}
        kept = scores
    assert kept
    assert digest_of(started(path)) == expected
    assert not [name for name in os.listdir(path) if name.endswith(".tmp")]
    assert digest_of(started(path)) == expected
