"""What users of scikit-learn's estimators expect beside training: assignment, one class, exact logarithms."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import log_expit, log_softmax
from sklearn.exceptions import NotFittedError

import numbabp as nbp
from numbabp.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = [MLPClassifier, MLPRegressor]
rng = np.random.RandomState(0)
X = rng.standard_normal((60, 5))
TWO = (X[:, 0] + 0.3 * rng.standard_normal(60) > 0).astype(int)
THREE = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
MANY = (X[:, :4] + 0.3 * rng.standard_normal((60, 4)) > 0).astype(int)
NUMBERS = X[:, 0] - np.abs(X[:, 1])


def target(cls):
    return THREE if cls is MLPClassifier else NUMBERS


def fitted(cls, y=None, **options):
    return cls(**{"max_iter": 3, "random_state": 0, **options}).fit(X, target(cls) if y is None else y)


# Assigned parameters.


@pytest.mark.parametrize("cls", BOTH)
def test_parameters_can_be_assigned(cls):
    model, other = (fitted(cls, random_state=seed, standardize=False) for seed in (0, 1))
    assert not np.allclose(model.network_.parameters, other.network_.parameters)
    model.coefs_, model.intercepts_ = other.coefs_, [b.tolist() for b in other.intercepts_]
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    np.testing.assert_array_equal(model.network_.parameters, other.network_.parameters)
    # a layer, a unit, some layers
    model.coefs_[1] = np.ones(model.coefs_[1].shape, np.float32)
    model.intercepts_[-1][0] = 7
    model.coefs_[:1] = [2 * other.coefs_[0]]
    assert (model.network_.weights[1] == 1).all() and model.network_.biases[1][0] == 7
    np.testing.assert_array_equal(model.network_.weights[0], 2 * other.coefs_[0])
    model.coefs_ = [W[::-1] for W in model.coefs_]  # views of what is written to
    np.testing.assert_array_equal(model.network_.weights[0], 2 * other.coefs_[0][::-1])
    # and training goes on from them
    model.partial_fit(X, target(cls))
    assert isinstance(model.coefs_, list)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda W: W[:1],
            r"coefs_ must have 2 arrays, one a layer, of shapes \(5, 100\), \(100, \d\); got 1",
        ),
        (lambda W: [W[0], W[1].T[:, :3]], r"coefs_\[1\] must have shape \(100, \d\), got \(\d, 3\)"),
        (lambda W: [W[0], W[1] * np.nan], r"coefs_\[1\] must be finite"),
        (lambda W: [W[0] + 1j, W[1]], r"coefs_\[0\] must be numeric"),
        (lambda W: [W[0].astype(str), W[1]], r"coefs_\[0\] must be numeric"),
    ],
)
def test_wrong_parameters_are_named_and_change_nothing(cls, change, message):
    model = fitted(cls)
    before = model.network_.parameters.copy()
    with pytest.raises((ValueError, TypeError), match=message):
        model.coefs_ = change([W + 1 for W in model.coefs_])
    with pytest.raises(ValueError, match=r"intercepts_\[1\] must have shape"):
        model.intercepts_[1] = np.zeros(77)
    with pytest.raises(IndexError):
        model.coefs_[2] = 1
    np.testing.assert_array_equal(model.network_.parameters, before)
    with pytest.raises(NotFittedError):
        cls().coefs_ = []


def test_lists_of_parameters_are_copied_as_lists():
    coefs = fitted(MLPRegressor).coefs_
    for twin in (copy.deepcopy(coefs), pickle.loads(pickle.dumps(coefs))):
        twin[0] = np.zeros(coefs[0].shape)
        assert not twin[0].any() and coefs[0].any()


# Divergence.


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("cls", BOTH)
def test_divergence_is_a_value_error_that_knows_the_settings(cls, standardize):
    y = NUMBERS if cls is MLPRegressor else TWO
    model = cls(learning_rate_init=1e300, activation="identity", random_state=0, standardize=standardize)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="Try a smaller learning_rate_init") as caught:
            method(
                X, y, **({"classes": [0, 1]} if method == model.partial_fit and cls is MLPClassifier else {})
            )
        assert isinstance(caught.value, nbp.DivergenceError) and isinstance(caught.value, ArithmeticError)
        assert "clip" not in str(caught.value)
        assert ("standardize=True" in str(caught.value)) != model.standardize
        twin = pickle.loads(pickle.dumps(caught.value))
        assert str(twin) == str(caught.value) and twin.sample == caught.value.sample
    with pytest.raises(nbp.DivergenceError, match="clip_norm"):
        nbp.Network((5, 3, 1), hidden_activation="identity").fit(X, NUMBERS, learning_rate=1e200)


@pytest.mark.parametrize("cls", BOTH)
def test_parameters_of_standardised_models_can_be_assigned(cls):
    """As users have them: for X and y as they come."""
    data = X * [1, 10, 1e3, 1, 1] + [0, -5, 1e4, 0, 7]
    data[:, 3] = 2.5  # a constant column is left out
    y = target(cls) if cls is MLPClassifier else 40 * target(cls) + 1e3
    model, other = (cls(max_iter=3, random_state=seed).fit(data, y) for seed in (0, 1))
    assert not np.allclose(model.predict(data[:, ::-1]), other.predict(data))
    model.coefs_, model.intercepts_ = other.coefs_, other.intercepts_
    for name in ("coefs_", "intercepts_"):
        for found, expected in zip(getattr(model, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    outputs = "predict_proba" if cls is MLPClassifier else "predict"
    np.testing.assert_allclose(getattr(model, outputs)(data), getattr(other, outputs)(data), rtol=1e-10)
    model.intercepts_[1] = model.intercepts_[1] + 3
    np.testing.assert_allclose(model.intercepts_[1], other.intercepts_[1] + 3, rtol=1e-10)
    with pytest.raises(ValueError, match="read-only"):
        model.intercepts_[1][0] = 7
    before = model.coefs_[0].copy()
    with pytest.raises(ValueError, match=r"coefs_\[0\]\[3\] must be 0: the column was constant"):
        model.coefs_[0] = np.ones((5, 100))
    np.testing.assert_array_equal(model.coefs_[0], before)


# One class.


@pytest.mark.parametrize("output_activation", [None, "sigmoid", "softmax"])
@pytest.mark.parametrize("label", [1, 0, "only"])
def test_one_class_is_predicted_with_a_warning(label, output_activation):
    y = np.full(60, label)
    model = MLPClassifier(max_iter=5, random_state=0, output_activation=output_activation)
    with pytest.warns(UserWarning, match="y has only one class.*will be predicted for every sample"):
        model.fit(X, y)
    assert model.classes_.tolist() == [label]
    for samples in (X, 1e3 * X):
        np.testing.assert_array_equal(model.predict(samples), y)
        np.testing.assert_array_equal(model.predict_proba(samples), np.ones((60, 1)))
        np.testing.assert_array_equal(model.predict_log_proba(samples), np.zeros((60, 1)))
        assert model.decision_function(samples).shape == (60,)
    assert model.score(X, y) == 1
    model.partial_fit(X, y)


@pytest.mark.filterwarnings("ignore:y has only one class")
def test_one_class_in_what_is_made_of_classifiers():
    y = np.full(60, "only")
    early = MLPClassifier(early_stopping=True, max_iter=3, random_state=0).fit(X, y)
    assert early.validation_scores_ == [1.0] * early.n_iter_
    members = nbp.MLPEnsembleClassifier(n_estimators=2, max_iter=3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(members.predict(X), y)
    search = nbp.PopulationSearchCV(MLPClassifier(max_iter=3), {"alpha": [0.0, 0.1]}, cv=2).fit(X, y)
    assert search.best_score_ == 1
    one_left = MLPClassifier(max_iter=3, class_weight={0: 0, 1: 1}).fit(X, TWO)
    assert one_left.classes_.tolist() == [1]


# Logarithms of probabilities.


@pytest.mark.parametrize("scale", [1, 1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("output_activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("y", [TWO, THREE, MANY])
def test_log_probabilities_are_exact(y, output_activation, dtype, scale):
    if y is MANY and output_activation == "softmax":
        return
    given = (scale * X).astype(dtype)
    model = MLPClassifier(output_activation=output_activation, max_iter=20, random_state=0)
    model.fit(X.astype(dtype), y)
    found = model.predict_log_proba(given)
    z = model.network_.before_and_after_activation(given)[0].astype(float)
    if output_activation == "softmax":
        expected = log_softmax(z, axis=1)
    elif y is MANY:
        expected = log_expit(z)
    elif y is TWO:
        expected = log_expit(np.hstack([-z, z]))
    else:
        expected = log_softmax(log_expit(z), axis=1)
    assert np.isfinite(found).all() and found.dtype == dtype
    rounding = 1e-12 if dtype is np.float64 else 2e-5
    np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding)
    probabilities = model.predict_proba(given)
    np.testing.assert_allclose(np.exp(found), probabilities, rtol=1e-4, atol=rounding)
    if scale > 1 and y is TWO and output_activation == "sigmoid":
        assert (probabilities == 0).any()  # where logarithms of them would be infinite


# Kinds of input.


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "X_val", "y_val"])
def test_what_is_masked_is_not_trained_on(cls, name):
    given = {"X": X, "y": target(cls), "sample_weight": np.ones(60), "X_val": X, "y_val": target(cls)}
    hidden = np.ma.masked_array(given[name], mask=np.zeros(given[name].shape, bool))
    model = cls(max_iter=2, early_stopping=True, random_state=0)
    model.fit(**{**given, name: hidden})  # nothing is masked
    before = model.network_.parameters.copy()
    hidden[3] = np.ma.masked
    n_masked = 5 if name.startswith("X") else 1
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=rf"{name}.* is a masked array of which {n_masked} values"):
            method(**{**given, name: hidden})
    np.testing.assert_array_equal(model.network_.parameters, before)
    if name == "X":
        with pytest.raises(ValueError, match="X is a masked array"):
            model.predict(hidden)
    if not name.endswith("_val"):
        with pytest.raises(ValueError, match=f"{name} is a masked array"):
            model.score(**{"X": X, "y": target(cls), name: hidden})


@pytest.mark.parametrize("cls", BOTH)
def test_masked_rows_of_a_list_are_not_trained_on(cls):
    rows = [np.ma.masked_greater(row, 1e9) for row in X]
    cls(max_iter=2, random_state=0).fit(rows, target(cls))
    rows[3][:2] = np.ma.masked
    with pytest.raises(ValueError, match="X is a masked array of which 2 values"):
        cls(max_iter=2).fit(rows, target(cls))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("cls", BOTH)
def test_dates_are_no_numbers(cls, missing):
    dates = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")[:, None]
    if missing:
        dates[7] = np.datetime64("NaT", "D")
    table = pd.DataFrame({"a": X[:, 0], "when": dates[:, 0]})
    given = [
        dates,
        dates - np.datetime64("2024-01-01"),
        table,
        table.assign(when=pd.to_datetime(dates[:, 0], utc=True)),
    ]
    for values in given:
        with pytest.raises(
            ValueError, match=r"X has dates or times.* but numeric values are needed: convert"
        ):
            cls(max_iter=2).fit(values, target(cls))
    days = (dates - dates.min()) / np.timedelta64(1, "D")
    if not missing:
        cls(max_iter=2, random_state=0).fit(days, target(cls))


@pytest.mark.parametrize(
    "make",
    [
        lambda numbers: numbers.astype(str),
        lambda numbers: numbers.astype("S"),
        lambda numbers: numbers.astype(str).astype(object),
        lambda numbers: numbers.astype(str).tolist(),
        lambda numbers: [[*row[:-1], str(row[-1])] for row in numbers.tolist()],
        lambda numbers: pd.DataFrame(numbers).astype({3: str}),
        lambda numbers: pd.DataFrame(numbers).astype({3: "string"}),
        lambda numbers: pd.DataFrame(numbers.astype(str)).astype("category"),
    ],
)
@pytest.mark.parametrize("cls", BOTH)
def test_numbers_in_words_are_no_numbers(cls, make):
    model = fitted(cls)
    for method in (cls().fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"X has strings, such as .*, but needs numeric values"):
            method(make(X), target(cls))
    with pytest.raises(ValueError, match="X has strings"):
        model.predict(make(X))


@pytest.mark.parametrize("kind", [str, object])
def test_numbers_to_be_predicted_are_not_words(kind):
    with pytest.raises(ValueError, match=r"y has strings, such as '.*', but needs numeric"):
        MLPRegressor().fit(X, NUMBERS.astype(str).astype(kind))


@pytest.mark.parametrize("cls", BOTH)
def test_other_tables_and_objects_are_numbers(cls):
    expected = fitted(cls).predict(X)
    table = pd.DataFrame(X).astype({0: "Float64", 1: object})
    for given in (X.astype(object), X.tolist(), list(X), pd.DataFrame(X), table):
        model = cls(max_iter=3, random_state=0).fit(given, target(cls))
        np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize(
    ("cls", "y"),
    [
        (MLPClassifier, TWO[:, None]),
        (MLPClassifier, THREE[:, None]),
        (MLPClassifier, MANY),
        (MLPRegressor, NUMBERS[:, None]),
        (MLPRegressor, np.column_stack([NUMBERS, X[:, 1]])),
    ],
)
def test_sparse_targets_are_scored_as_they_are_fitted(cls, y, kind):
    model, other = fitted(cls, kind(y)), fitted(cls, y)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    weights = rng.uniform(0, 1, 60)
    np.testing.assert_allclose(model.score(X, kind(y), weights), other.score(X, y, weights), rtol=1e-12)
