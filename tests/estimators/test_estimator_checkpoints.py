"""Estimators that are stopped anywhere and fitted again end with the bits of one that was not."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import numbabp as nbp
from numbabp.estimators.training import fitting
from numbabp.training.checkpoints import files, keeper

draw = np.random.RandomState(1)
X = draw.standard_normal((80, 5))
LABELS = np.where(X[:, 0] * X[:, 1] > 0, "a", "b")
NUMBERS = X[:, 0] + draw.standard_normal(80)


def record(model):
    """All that a fit leaves behind."""
    network = model.inner_network_
    return (
        network.parameters.tobytes(),
        network.rule_state("adam").moments.tobytes(),
        model.loss_curve_,
        model.validation_scores_,
        model.best_loss_,
        model.best_validation_score_,
        model.n_iter_,
        model.t_,
        model.should_stop_,
        network.random_state.get_state()[1].tobytes(),
        model.predict(X).tolist(),
    )


CASES = {
    "classifier": (nbp.MLPClassifier, {}),
    "constant": (nbp.MLPClassifier, {"learning_rate": "constant", "n_iter_no_change": 2, "tol": 0.01}),
    "adaptive": (nbp.MLPClassifier, {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.01}),
    "early stopping": (nbp.MLPClassifier, {"early_stopping": True, "n_iter_no_change": 3}),
    "regressor": (nbp.MLPRegressor, {"solver": "adam", "batch_size": 16}),
    "in several calls": (nbp.MLPRegressor, {"solver": "adam", "max_iter": 23}),
}


@pytest.mark.parametrize("name", CASES)
def test_from_every_checkpoint_a_fit_ends_with_the_same_bits(tmp_path, monkeypatch, name):
    kind, options = CASES[name]
    y = LABELS if kind is nbp.MLPClassifier else NUMBERS
    options = {"max_iter": 20, "random_state": 0, **options}
    monkeypatch.setattr(fitting, "EPOCHS_A_CALL", 9)
    written, real = [], files.write

    def write(path, identity, standing, *more):
        real(path, identity, standing, *more)
        with open(path, "rb") as file:
            written.append(file.read())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = record(kind(**options).fit(X, y))
        path = tmp_path / "run"
        monkeypatch.setattr(files, "write", write)
        monkeypatch.setattr(keeper.Keeper, "_start", lambda self, work: work())
        asked = keeper.Checkpoint
        monkeypatch.setattr(fitting, "Checkpoint", lambda path, **more: asked(path, every=0.0, **more))
        model = kind(**options, checkpoint=path).fit(X, y)
        assert record(model) == expected
        assert len(written) > 5
        for version in written[::4] + written[-1:]:
            path.write_bytes(version)
            assert record(kind(**options, checkpoint=path).fit(X, y)) == expected


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    options = {"max_iter": 12, "random_state": 0, "checkpoint": tmp_path / "run"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        nbp.MLPClassifier(**options).fit(X, LABELS)
        for changes, named in [
            ({"alpha": 0.1}, "l2"),
            ({"tol": 0.1}, "tol"),
            ({"random_state": 1}, r"random_state \(0 there, 1 here\)"),
            ({"solver": "adam"}, "update_rule"),
            ({"max_iter": 13}, "max_iter"),
        ]:
            with pytest.raises(ValueError, match=rf"of another run; what differs: .*{named}"):
                nbp.MLPClassifier(**{**options, **changes}).fit(X, LABELS)
        with pytest.raises(ValueError, match="of another run"):
            nbp.MLPRegressor(**options).fit(X, NUMBERS)
    nbp.Network((5, 4, 1)).fit(X, NUMBERS, epochs=1, checkpoint=tmp_path / "network")
    with pytest.raises(ValueError, match="of no estimator"):
        nbp.MLPRegressor(checkpoint=tmp_path / "network").fit(X, NUMBERS)
    with pytest.raises(TypeError, match="checkpoint must be a path"):
        nbp.MLPRegressor(checkpoint=3).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="checkpoint goes with solvers that take epochs"):
        nbp.MLPRegressor(checkpoint=tmp_path / "lbfgs", solver="lbfgs").fit(X, NUMBERS)


def test_an_interrupted_fit_goes_on(tmp_path, monkeypatch):
    """Ctrl-C ends a fit with a warning, and the same fit again takes it to its end."""
    options = {"max_iter": 60, "random_state": 0}
    expected = record(nbp.MLPClassifier(**options).fit(X, LABELS))
    real, calls = fitting.Watch.__call__, []

    def watch(self, epoch, metrics):
        calls.append(epoch)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return real(self, epoch, metrics)

    monkeypatch.setattr(fitting.Watch, "__call__", watch)
    monkeypatch.setattr(keeper.Keeper, "_start", lambda self, work: work())
    asked = keeper.Checkpoint
    monkeypatch.setattr(fitting, "Checkpoint", lambda path, **more: asked(path, every=0.0, **more))
    with pytest.warns(UserWarning, match="interrupted"):
        nbp.MLPClassifier(**options, checkpoint=tmp_path / "run").fit(X, LABELS)
    model = nbp.MLPClassifier(**options, checkpoint=tmp_path / "run").fit(X, LABELS)
    assert record(model) == expected and len(calls) < 75


def test_infinity_is_a_number_that_files_hold(tmp_path):
    """n_iter_no_change=np.inf is scikit-learn's way to go on to the end."""
    options = {"max_iter": 5, "random_state": 0, "learning_rate": "constant", "checkpoint": tmp_path / "run"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = [
            record(nbp.MLPClassifier(**options, n_iter_no_change=np.inf).fit(X, LABELS)) for _ in range(2)
        ]
        assert found[0] == found[1]
        with pytest.raises(ValueError, match=r'n_iter_no_change \("inf" there, 10 here\).*delete this one'):
            nbp.MLPClassifier(**options).fit(X, LABELS)
