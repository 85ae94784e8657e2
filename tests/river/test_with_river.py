"""River's own checks, and its tools around the estimators."""

import copy
import pickle
import subprocess
import sys

import pytest

pytest.importorskip("river.base")  # tests/river would do for river

from river import (
    compose,
    datasets,
    drift,
    ensemble,
    evaluate,
    feature_extraction,
    metrics,
    model_selection,
    preprocessing,
    utils,
)

from numbabp.river import MLPClassifier, MLPRegressor

CHECKS = """
import sys
from river import checks
import numbabp.river
kind = getattr(numbabp.river, sys.argv[1])
for parameters in kind._unit_test_params():
    print(parameters, flush=True)
    checks.check_estimator(kind(**parameters))
"""


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_rivers_checks_pass(kind):
    """In a process of their own: River's measure of memory goes through all that Numba holds on to.

    There it trips over kernels that other tests have let go of, whose weak references it does not expect.
    """
    command = [sys.executable, "-c", CHECKS, kind.__name__]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("\n") >= 2


def test_progressive_val_score_of_a_stream():
    metric = evaluate.progressive_val_score(datasets.Phishing(), MLPClassifier(seed=1), metrics.Accuracy())
    assert metric.get() > 0.89


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize(
    "model, rows",
    [(MLPClassifier(seed=0), datasets.ImageSegments()), (MLPRegressor(seed=0), datasets.TrumpApproval())],
)
def test_a_copy_goes_on_as_the_original(copied, model, rows):
    rows = list(rows.take(300))
    for x, y in rows[:150]:
        model.learn_one(x, y)
    twin = copied(model)
    for x, y in rows[150:]:
        assert twin.predict_one(x) == model.predict_one(x)
        twin.learn_one(x, y)
        model.learn_one(x, y)
    assert (twin.network.parameters == model.network.parameters).all()


def test_in_a_pipeline():
    model = compose.Select("https", "age_of_domain", "long_url") | (
        preprocessing.StandardScaler() | MLPClassifier(standardize=False, seed=0)
    )
    assert evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy()).get() > 0.7


def test_words_in_a_pipeline():
    good, bad = ["a fine day", "good, fine news"], ["a bad day", "sad, bad news"]
    model = feature_extraction.BagOfWords() | MLPClassifier(seed=0)
    for _ in range(50):
        for text in good + bad:
            model.learn_one(text, text in good)
    assert [model.predict_one(text) for text in (*good, *bad, "fine", "bad")] == [1, 1, 0, 0, 1, 0]


def test_a_drift_detector_begins_it_anew():
    """Labels change sides in the middle; what is retrained is a clone."""
    model = drift.DriftRetrainingClassifier(MLPClassifier(seed=0), drift.binary.DDM())
    right = 0
    for t, (x, y) in enumerate(datasets.Bananas()):
        y = y if t < 2500 else not y
        right += t >= 4000 and model.predict_one(x) == y
        model.learn_one(x, y)
    assert right > 0.7 * 1300


@pytest.mark.parametrize("parameters", [{"solver": ["sgd", "adagrad"]}, {"learning_rate": [1e-5, 0.1]}])
def test_models_are_selected(parameters):
    models = utils.expand_param_grid(MLPRegressor((8,), seed=0), parameters)
    search = model_selection.SuccessiveHalvingRegressor(models, metrics.MAE(), budget=1000)
    metric = evaluate.progressive_val_score(datasets.TrumpApproval(), search, metrics.MAE())
    assert metric.get() < 0.8
    assert isinstance(search.best_model, MLPRegressor)


def test_models_of_an_ensemble_are_independent():
    model = ensemble.BaggingClassifier(MLPClassifier((8,), seed=0), n_models=3, seed=0)
    assert evaluate.progressive_val_score(datasets.Phishing(), model, metrics.ROCAUC()).get() > 0.9


def test_a_clone_has_the_parameters_and_nothing_learnt():
    model = MLPClassifier((8,), learning_rate=0.3, seed=5)
    for x, y in datasets.Phishing().take(50):
        model.learn_one(x, y)
    clone = model.clone()
    assert clone.learning_rate == 0.3 and clone.network is None
    whole = model.clone(include_attributes=True)
    x, _ = next(iter(datasets.Phishing()))
    assert whole.predict_proba_one(x) == model.predict_proba_one(x)
    whole.learn_one(x, True)
    assert whole.predict_proba_one(x) != model.predict_proba_one(x)


def test_same_seed_same_model():
    models = [MLPClassifier(seed=3), MLPClassifier(seed=3), MLPClassifier(seed=4), MLPClassifier()]
    for x, y in datasets.ImageSegments().take(100):
        for model in models:
            model.learn_one(x, y)
    first, second, third, fourth = (model.predict_proba_one(x) for model in models)
    assert first == second and first != third != fourth
