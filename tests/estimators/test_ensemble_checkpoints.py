"""Ensembles that are stopped anywhere end, when they are fitted again, with the bits of one that was not."""

import numpy as np
import pytest
from checkpointing import all_versions_of_folders, content_of, put_back, slices_end_anywhere
from sklearn.base import clone

from numbabp import MLPEnsembleClassifier, MLPEnsembleRegressor
from numbabp.training import population_loop
from numbabp.training.checkpoints import files

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

draw = np.random.RandomState(1)
N = 60
X = draw.standard_normal((N, 4))
LABELS = np.where(X[:, 0] * X[:, 1] > 0, "a", "b")
NUMBERS = X[:, 0] + draw.standard_normal(N)
OPTIONS = {"hidden_layer_sizes": (4,), "max_iter": 6, "n_estimators": 9, "random_state": 0}


def fitted(cls, **options):
    y = LABELS if cls is MLPEnsembleClassifier else NUMBERS
    return cls(**{**OPTIONS, **options}).fit(X, y)


def record(model):
    """All that a fit leaves behind."""
    found = [model.population_.parameters.tobytes(), len(model.estimators_), model.predict_std(X).tobytes()]
    for each in model.estimators_:
        state = each.inner_network_.random_state.get_state()
        found += [
            state[1].tobytes(),
            state[2],
            each.random_state,
            each.checkpoint,
            each.loss_curve_,
            each.n_iter_,
        ]
        found += [array.tobytes() for array in (*each.coefs_, *each.intercepts_)]
    return found


CASES = {
    "classifier": (MLPEnsembleClassifier, {}),
    "bootstrap": (MLPEnsembleRegressor, {"bootstrap": True}),
    "mini-batches": (MLPEnsembleRegressor, {"solver": "adam", "batch_size": 16, "n_estimators": 3}),
    "some diverge": (
        MLPEnsembleRegressor,
        {"learning_rate_init": 0.8, "standardize": False, "bootstrap": True},
    ),
}


@pytest.mark.filterwarnings("ignore:.*members diverged")
@pytest.mark.parametrize("name", CASES)
def test_from_every_checkpoint_an_ensemble_ends_with_the_same_bits(tmp_path, monkeypatch, name):
    cls, options = CASES[name]
    expected = record(fitted(cls, **options))
    path = tmp_path / "of" / "ensemble"
    with monkeypatch.context() as patch:
        slices_end_anywhere(patch, N)
        versions = all_versions_of_folders(patch, path)
        assert record(fitted(cls, **options, checkpoint=path, n_threads=1)) == expected
    assert len(versions) > 4 and list(versions[0]) == ["run.safetensors"]
    for k in sorted({*range(0, len(versions), max(1, len(versions) // 5)), len(versions) - 1}):
        put_back(path, versions[k])
        assert record(fitted(cls, **options, checkpoint=path, n_threads=1 + k % 2)) == expected
    assert set(content_of(path)) == {"run.safetensors", "population.safetensors"}


@pytest.mark.parametrize("kind", ["none", "generator"])
def test_seeds_that_are_drawn_are_kept(tmp_path, monkeypatch, kind):
    """Of a random_state that is no number, too; NumPy's global one is left to others."""

    def random_state():
        return None if kind == "none" else np.random.RandomState(5)

    options = {"bootstrap": True, "checkpoint": tmp_path}
    with monkeypatch.context() as patch:
        slices_end_anywhere(patch, N)
        versions = all_versions_of_folders(patch, tmp_path)
        own = random_state()
        expected = record(fitted(MLPEnsembleRegressor, **options, random_state=own))
    for version in (versions[0], versions[len(versions) // 2], versions[-1]):
        put_back(tmp_path, version)
        before = np.random.mtrand._rand.get_state()[1].tobytes()
        if kind == "generator":  # where it is now does not matter
            own.rand(3)
        assert record(fitted(MLPEnsembleRegressor, **options, random_state=own)) == expected
        assert np.random.mtrand._rand.get_state()[1].tobytes() == before
    with pytest.raises(ValueError, match="what differs: random_state"):
        fitted(MLPEnsembleRegressor, **options, random_state=3)


def test_a_finished_ensemble_returns_at_once(tmp_path, monkeypatch):
    first = record(fitted(MLPEnsembleClassifier, checkpoint=tmp_path))
    monkeypatch.setattr(population_loop, "make_population_engine", None)
    before = content_of(tmp_path)
    assert record(fitted(MLPEnsembleClassifier, checkpoint=str(tmp_path), n_threads=1)) == first
    assert content_of(tmp_path) == before


def test_an_interrupted_ensemble_goes_on(tmp_path, monkeypatch):
    expected = record(fitted(MLPEnsembleClassifier, max_iter=12))
    slices_end_anywhere(monkeypatch, N)
    show, shown = population_loop.PopulationTraining._show, []

    def interrupted(training):
        show(training)
        shown.append(training)
        if len(shown) in (3, 6):
            raise KeyboardInterrupt

    monkeypatch.setattr(population_loop.PopulationTraining, "_show", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fitted(MLPEnsembleClassifier, checkpoint=tmp_path, n_threads=1, max_iter=12)
        assert files.read(tmp_path / "population.safetensors").standing.arrays["n_epochs"].any()
    monkeypatch.setattr(population_loop.PopulationTraining, "_show", show)
    assert record(fitted(MLPEnsembleClassifier, checkpoint=tmp_path, max_iter=12)) == expected


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_estimators": 8}, r"n_estimators \(9 there, 8 here\)"),
        ({"bootstrap": True}, "bootstrap"),
        ({"random_state": 1}, r"random_state \(0 there, 1 here\)"),
        ({"alpha": 0.1}, "alpha"),
        ({"cls": MLPEnsembleRegressor}, "kind"),
        ({"X": X + 1e-12}, "the values of X"),
        ({"y": LABELS[::-1].copy()}, "the values of y"),
        ({"sample_weight": np.ones(N)}, "the values of sample_weight"),
    ],
)
def test_a_folder_of_another_ensemble_is_refused(tmp_path, changes, named):
    fitted(MLPEnsembleClassifier, checkpoint=tmp_path)
    before = content_of(tmp_path)
    cls = changes.pop("cls", MLPEnsembleClassifier)
    y = changes.pop("y", LABELS if cls is MLPEnsembleClassifier else NUMBERS)
    X_, weights = changes.pop("X", X), changes.pop("sample_weight", None)
    model = cls(**{**OPTIONS, **changes}, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=rf"of another run; what differs: .*{named}.*Name another folder"):
        model.fit(X_, y, weights)
    assert content_of(tmp_path) == before and not hasattr(model, "estimators_")


def test_what_is_wrong_makes_no_folder(tmp_path):
    for options, message in [({"alpha": -1.0}, "alpha"), ({"early_stopping": True}, "early_stopping")]:
        with pytest.raises(ValueError, match=message):
            fitted(MLPEnsembleClassifier, checkpoint=tmp_path / "new", **options)
    with pytest.raises(ValueError, match="NaN"):
        MLPEnsembleClassifier(**OPTIONS, checkpoint=tmp_path / "new").fit(X * np.nan, LABELS)
    with pytest.raises(TypeError, match="checkpoint must be a path"):
        fitted(MLPEnsembleClassifier, checkpoint=3)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("notes")
    with pytest.raises(ValueError, match="is no folder"):
        fitted(MLPEnsembleClassifier, checkpoint=tmp_path / "file")
    assert clone(MLPEnsembleClassifier(checkpoint="folder")).checkpoint == "folder"


def test_partial_fit_keeps_nothing(tmp_path):
    model = MLPEnsembleRegressor(**OPTIONS, checkpoint=tmp_path / "new").partial_fit(X, NUMBERS)
    assert model.estimators_[0].checkpoint is None and not list(tmp_path.iterdir())
