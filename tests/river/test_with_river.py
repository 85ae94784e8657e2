"""River's own checks, and its tools around the estimators."""

import copy
import pickle

import pytest

river = pytest.importorskip("river")

from river import checks, datasets, evaluate, metrics  # noqa: E402

from numbabp.river import MLPClassifier, MLPRegressor  # noqa: E402

ESTIMATORS = [
    pytest.param(kind, parameters, id=f"{kind.__name__}-{len(parameters)}")
    for kind in (MLPClassifier, MLPRegressor)
    for parameters in kind._unit_test_params()
]


@pytest.mark.parametrize("kind, parameters", ESTIMATORS)
def test_rivers_checks_pass(kind, parameters):
    checks.check_estimator(kind(**parameters))


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
