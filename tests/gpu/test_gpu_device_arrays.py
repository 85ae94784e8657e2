"""Arrays on a GPU go through checks, predictions and measurements as those of the host do, and stay there."""

import warnings

import numpy as np
import problems
import pytest
import reference
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import numbabp as nbp
from numbabp.devices import memory
from numbabp.devices import placement as devices
from numbabp.estimators.training.beginning import begin
from numbabp.functions.losses import METRICS
from numbabp.inference import device as device_inference
from numbabp.samples import Samples, check_inputs

pytestmark = pytest.mark.gpu

TOLERANCES = {"float64": 1e-12, "float32": 1e-5}
on_gpu, on_host = memory.to_device, memory.to_host


class Foreign:
    """An array of another library, of which nothing is known but the interface."""

    def __init__(self, array):
        self._array = array
        self.__cuda_array_interface__ = array.__cuda_array_interface__


def address(array):
    return array.__cuda_array_interface__["data"][0]


def draw(loss="squared_error", output="identity", hidden="tanh", sizes=(5, 4, 3), n_samples=11):
    return problems.draw_problem(7, sizes, (hidden,) * (len(sizes) - 2) + (output,), loss, n_samples)


def reference_outputs(problem):
    return reference.outputs(problem.weights, problem.biases, problem.activations, problem.X)


# --- predictions and measurements -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("hidden", "output"),
    [(name, "softmax") for name in reference.ELEMENTWISE] + [("tanh", "gelu"), ("tanh", "exp")],
)
def test_forward(hidden, output, dtype):
    problem = draw(hidden=hidden, output=output, sizes=(5, 4, 6, 3))
    net = problems.network_of(problem, dtype)
    found = net.forward(on_gpu(problem.X))
    assert devices.is_on_device(found) and found.dtype == dtype
    expected = reference_outputs(problem)
    assert reference.largest_relative_error([on_host(found)], [expected]) < TOLERANCES[dtype]
    assert reference.largest_relative_error([net.forward(problem.X)], [expected]) < TOLERANCES[dtype]


@pytest.mark.parametrize(("output", "loss"), reference.pairs())
@pytest.mark.parametrize("weighted", [False, True])
def test_evaluate(output, loss, weighted):
    problem = draw(loss, output)
    net = problems.network_of(problem)
    weights = np.arange(len(problem.X)) % 4.0 if weighted else None  # of which some are 0
    # probabilities are what the other cross-entropies want, and softmax and sigmoid give
    names = [n for n in METRICS if output in ("softmax", "sigmoid") or not n.endswith("cross_entropy")]
    found = net.evaluate(on_gpu(problem.X), on_gpu(problem.Y), weights, monitor=names)
    expected = net.evaluate(problem.X, problem.Y, weights, monitor=names)
    assert list(found) == list(expected)
    assert all(type(value) is float for value in found.values())
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12)
    losses = [
        reference.sample_loss(problem.weights, problem.biases, problem.activations, loss, x, y)
        for x, y in zip(problem.X, problem.Y, strict=True)
    ]
    np.testing.assert_allclose(found["loss"], np.average(losses, weights=weights), rtol=1e-12)


def test_evaluate_in_float32():
    problem = draw("categorical_cross_entropy", "softmax")
    net = problems.network_of(problem, "float32")
    found = net.evaluate(on_gpu(problem.X), on_gpu(problem.Y), monitor=["squared_error"])
    expected = net.evaluate(problem.X, problem.Y, monitor=["squared_error"])
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "output", "n_outputs"),
    [
        ("binary_cross_entropy", "sigmoid", 1),
        ("binary_cross_entropy", "sigmoid", 3),
        ("categorical_cross_entropy", "softmax", 3),
        ("squared_error", "identity", 1),
        ("squared_error", "identity", 3),
    ],
)
def test_predict(loss, output, n_outputs):
    problem = draw(loss, output, sizes=(5, 4, n_outputs))
    net = problems.network_of(problem)
    found, expected = net.predict(on_gpu(problem.X)), net.predict(problem.X)
    assert devices.is_on_device(found) and not devices.is_on_device(expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_allclose(on_host(found), expected, rtol=1e-12)


def test_rows_in_chunks_and_threads_with_several_rows(monkeypatch, gpu):
    monkeypatch.setattr(device_inference, "BLOCKS_PER_MULTIPROCESSOR", 1)
    monkeypatch.setattr(device_inference, "BLOCK", 32)
    n_samples = 2 * 32 * gpu.n_multiprocessors + 5
    random_state = np.random.RandomState(0)
    net = nbp.Network((3, 5, 4), loss="categorical_cross_entropy", random_state=0)
    X, y = random_state.standard_normal((n_samples, 3)), random_state.randint(4, size=n_samples)
    whole = on_host(net.forward(on_gpu(X)))
    np.testing.assert_allclose(whole, net.forward(X), rtol=1e-12)
    expected = net.evaluate(X, y)
    found = net.evaluate(on_gpu(X), on_gpu(y))
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12)
    rows = n_samples // 2
    monkeypatch.setattr(device_inference, "CHUNK_BYTES", 5 * 8 * rows)  # the last one has few rows
    np.testing.assert_allclose(on_host(net.forward(on_gpu(X))), whole, rtol=1e-12)


def test_outputs_of_layers():
    problem = draw(sizes=(5, 4, 6, 3), hidden="tanh")
    net = problems.network_of(problem)
    found = [on_host(layer) for layer in net.layer_outputs(on_gpu(problem.X))]
    assert reference.largest_relative_error(found, net.layer_outputs(problem.X)) < 1e-12
    np.testing.assert_array_equal(found[-1], on_host(net.forward(on_gpu(problem.X))))


def test_a_network_without_hidden_layer():
    problem = draw(sizes=(5, 3))
    found = problems.network_of(problem).forward(on_gpu(problem.X))
    np.testing.assert_allclose(on_host(found), reference_outputs(problem), rtol=1e-12)


# --- what arrays may be -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.bool_, np.float16, np.float32])
def test_other_dtypes_are_converted(kind):
    X = (np.arange(15).reshape(5, 3) % 2).astype(kind)
    net = nbp.Network((3, 2), random_state=0)
    np.testing.assert_allclose(on_host(net.forward(on_gpu(X))), net.forward(X), rtol=1e-12)


def test_other_layouts_are_taken():
    X = np.random.RandomState(0).standard_normal((6, 8))
    net = nbp.Network((4, 2), random_state=0)
    for view in (lambda X: X[:, ::2], lambda X: X[:, 4:][::-1], lambda X: X.reshape(12, 4).T.reshape(-1, 4)):
        np.testing.assert_allclose(on_host(net.forward(view(on_gpu(X)))), net.forward(view(X)), rtol=1e-12)


def check_samples(net, X, y, sample_weight):
    samples = Samples.checked(net.architecture, X, y, sample_weight)
    return samples.inputs, samples.targets, samples.weights


def test_arrays_that_fit_are_not_copied():
    problem = draw()
    weights = np.ones(len(problem.X))
    X, y, w = map(on_gpu, (problem.X, problem.Y, weights))
    net = problems.network_of(problem)
    assert list(map(address, check_samples(net, X, y, w))) == list(map(address, (X, y, w)))
    assert address(check_inputs(net.architecture, "X", Foreign(X))) == address(X)


def test_arrays_of_other_libraries():
    problem = draw("categorical_cross_entropy", "softmax")
    net = problems.network_of(problem)
    X, y = Foreign(on_gpu(problem.X)), Foreign(on_gpu(problem.Y))
    found = net.forward(X)
    assert devices.is_on_device(found)
    np.testing.assert_allclose(on_host(found), net.forward(problem.X), rtol=1e-12)
    expected = net.evaluate(problem.X, problem.Y)
    np.testing.assert_allclose(list(net.evaluate(X, y).values()), list(expected.values()), rtol=1e-12)


def test_targets_and_weights_come_from_the_host():
    problem = draw("categorical_cross_entropy", "softmax")
    net = problems.network_of(problem)
    weights = np.linspace(0.5, 2, len(problem.X))
    X = on_gpu(problem.X)
    expected = net.evaluate(problem.X, problem.Y, weights)
    for y, w in [(problem.Y, on_gpu(weights)), (on_gpu(problem.Y), weights), (problem.Y.tolist(), weights)]:
        assert all(devices.is_on_device(array) for array in check_samples(net, X, y, w))
        np.testing.assert_allclose(list(net.evaluate(X, y, w).values()), list(expected.values()), rtol=1e-12)


@pytest.mark.parametrize("kind", [np.int32, np.float64, np.uint8])
def test_class_indices(kind):
    classes = np.array([2, 0, 1, 1], kind)
    net = nbp.Network((2, 3), loss="categorical_cross_entropy", dtype="float32", random_state=0)
    X = np.zeros((4, 2))
    targets = check_samples(net, on_gpu(X), on_gpu(classes), None)[1]
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(on_host(targets), np.eye(3)[classes.astype(int)])


def test_numbers_come_to_the_host_together(monkeypatch):
    copies = []
    monkeypatch.setattr(memory, "to_host", lambda array: copies.append(array.shape) or on_host(array))
    problem = draw("binary_cross_entropy", "sigmoid")
    net = problems.network_of(problem)
    check_samples(net, on_gpu(problem.X), on_gpu(problem.Y), on_gpu(np.ones(len(problem.X))))
    assert copies == [(7,)]  # three sums, the range of y, and of the weights
    copies.clear()
    assert net.forward(on_gpu(problem.X)) is not None
    assert copies == [(1,)]


# --- errors -----------------------------------------------------------------------------------------

X = np.random.RandomState(0).standard_normal((6, 3))
Y = (X[:, :2] > 0).astype(float)
HOLE = X.copy()
HOLE[4, 1] = np.nan
HOLE[5, 2] = np.inf


@pytest.mark.parametrize(
    "arguments",
    [
        {"X": X[0]},
        {"X": X[:, :2]},
        {"X": X[:0]},
        {"X": HOLE},
        {"X": -np.abs(HOLE)},
        {"X": X.astype(complex)},
        {"y": Y[:3]},
        {"y": Y[:, :1]},
        {"y": Y[:, 0]},
        {"y": Y[None]},
        {"y": HOLE[:, 1:]},
        {"y": 2 * Y},
        {"y": -Y},
        {"y": Y.astype(complex)},
        {"sample_weight": np.ones(3)},
        {"sample_weight": -np.ones(6)},
        {"sample_weight": np.zeros(6)},
        {"sample_weight": HOLE[:, 1]},
    ],
)
def test_errors_are_those_of_the_host(arguments):
    given = {"X": X, "y": Y, "sample_weight": np.ones(6), **arguments}
    net = nbp.Network((3, 2), loss="binary_cross_entropy", random_state=0)
    with pytest.raises((ValueError, TypeError)) as expected:
        net.evaluate(**given)
    with pytest.raises(expected.type) as found:
        net.evaluate(**{name: on_gpu(value) for name, value in given.items()})
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    "classes", [[0, 1, 2, 3, 0, 1], [0, -1, 1, 0, 0, 0], [0.0, 0.5, 1, 1, 1, 1], [0, np.nan] * 3]
)
def test_errors_of_class_indices_are_those_of_the_host(classes):
    net = nbp.Network((3, 3), loss="categorical_cross_entropy", random_state=0)
    with pytest.raises(ValueError, match="y must") as expected:
        net.evaluate(X, np.array(classes))
    with pytest.raises(ValueError) as found:
        net.evaluate(on_gpu(X), on_gpu(np.array(classes)))
    assert str(found.value) == str(expected.value)


def test_too_large_for_float32():
    net = nbp.Network((3, 2), dtype="float32", random_state=0)
    with pytest.raises(ValueError, match=r"X must be finite, but X\[0, 0\] is 1e\+300"):
        net.forward(on_gpu(np.full((2, 3), 1e300)))


def test_a_sum_that_overflows_is_no_error():
    net = nbp.Network((2, 1), init="zeros")
    assert on_host(net.forward(on_gpu(np.full((4, 2), 1e308)))).tolist() == [[0.0]] * 4


def test_the_host_s_samples_with_targets_on_a_gpu():
    net = nbp.Network((3, 2), random_state=0)
    message = r"y lies on GPU \d+, but X in the host's memory: copy y to the host with y.get\(\)"
    for call in (net.evaluate, net.fit):
        with pytest.raises(ValueError, match=message):
            call(X, on_gpu(Y))
    with pytest.raises(ValueError, match=r"sample_weight lies on GPU \d+, but X in the host's memory"):
        net.evaluate(X, Y, on_gpu(np.ones(6)))
    with pytest.raises(ValueError, match=r"validation_data X lies on GPU \d+, but X in the host's memory"):
        net.fit(X, Y, epochs=1, validation_data=(on_gpu(X), on_gpu(Y)))


def test_nothing_is_copied_to_the_host_unasked(gpu):
    net = nbp.Network((3, 2), random_state=0)
    with pytest.raises(ValueError, match=f"device='cpu', but X lies on GPU {gpu.index}: copy it to the host"):
        net.fit(on_gpu(X), on_gpu(Y), device="cpu")
    with pytest.raises(TypeError, match=r"X lies on a GPU, but is needed in the host's memory: .*X.get\(\)"):
        nbp.gradient_check(net, on_gpu(X), Y)
    for call in (net.gradients, lambda X, y: net.trace(X[:1], y[:1])):
        with pytest.raises(
            TypeError, match=r"X lies on a GPU, but is needed in the host's memory: .*X.get\(\)"
        ):
            call(on_gpu(X), Y)
        with pytest.raises(ValueError, match=r"y lies on GPU \d+, but X in the host's memory"):
            call(X, on_gpu(Y))


# --- where a call runs ------------------------------------------------------------------------------


def test_places(gpu):
    assert devices.resolve("auto", gpu.index).device is gpu
    assert devices.resolve("auto", gpu.index).reason == f"X lies on GPU {gpu.index}"
    assert devices.resolve("cuda", gpu.index).device is gpu
    for option in ("cuda", f"cuda:{gpu.index}"):
        assert devices.resolve(option).device is gpu
        assert devices.resolve(option).reason == f"device={option!r} is asked for"
    assert devices.resolve("auto").device is None
    assert devices.resolve("auto").is_open
    assert devices.gpu_at_hand(1000) == (gpu, "")
    lacking, reason = devices.gpu_at_hand(2**60)
    assert lacking is None
    assert f"training would take {2**60:,} bytes of the GPU's memory" in reason
    with pytest.raises(ValueError, match=f"device='cuda:9', but X lies on GPU {gpu.index}"):
        devices.resolve("cuda:9", gpu.index)
    with pytest.raises(
        devices.NoGPUError, match="device='cuda:99' is asked for, but there is no GPU 99, only 0"
    ):
        nbp.Network((3, 2), random_state=0).fit(X, Y, device="cuda:99")
    assert devices.gpu_of({"X": on_gpu(X), "y": Y}) == gpu.index
    assert devices.gpu_of({"X": X, "y": None}) is None


# --- estimators -------------------------------------------------------------------------------------

IRIS, SPECIES = load_iris(return_X_y=True)
IRIS, SPECIES = (IRIS[::5] - IRIS.mean(axis=0)) / IRIS.std(axis=0), SPECIES[::5]
LABELS = {
    "two": (SPECIES > 0).astype(int),
    "negative": np.where(SPECIES > 1, -1.0, 1.0),
    "three": 10 * SPECIES,
    "bool": SPECIES > 0,
    "several": np.stack([SPECIES > 0, SPECIES > 1], axis=1).astype(int),
}


def classifier(**options):
    return nbp.MLPClassifier(hidden_layer_sizes=(4,), random_state=0, max_iter=3, tol=0, **options)


def fitted(model, y):
    with warnings.catch_warnings():  # of so few epochs
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(IRIS, y)


@pytest.mark.parametrize("kind", LABELS)
def test_classifier_predicts_on_the_gpu(kind):
    y = LABELS[kind]
    model, X = fitted(classifier(), y), on_gpu(IRIS)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        found, expected = getattr(model, method)(X), getattr(model, method)(IRIS)
        assert devices.is_on_device(found)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(on_host(found), expected, rtol=1e-9, err_msg=method)
    weights = np.linspace(0, 1, len(y))
    for given in (y, on_gpu(y)):
        assert model.score(X, given) == pytest.approx(model.score(IRIS, y))
        found = model.score(X, given, on_gpu(weights))
        assert type(found) is float and found == pytest.approx(model.score(IRIS, y, weights))


def test_several_sigmoids_on_the_gpu():
    model = fitted(classifier(output_activation="sigmoid", loss="squared_error"), LABELS["three"])
    np.testing.assert_allclose(on_host(model.predict_proba(on_gpu(IRIS))), model.predict_proba(IRIS))


def test_labels_that_are_no_numbers_are_numpy_s():
    y = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    model, X = fitted(classifier(), y), on_gpu(IRIS)
    assert type(model.predict(X)) is np.ndarray
    assert (model.predict(X) == model.predict(IRIS)).all()
    assert devices.is_on_device(model.predict_proba(X))
    assert model.score(X, y) == pytest.approx(model.score(IRIS, y))


@pytest.mark.parametrize("n_targets", [None, 2])
def test_regressor_predicts_on_the_gpu(n_targets):
    y = IRIS[:, 0] if n_targets is None else IRIS[:, :2]
    model, X = fitted(nbp.MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=3), y), on_gpu(IRIS)
    found = model.predict(X)
    assert devices.is_on_device(found)
    np.testing.assert_allclose(on_host(found), model.predict(IRIS), rtol=1e-9)
    weights = np.linspace(0, 1, len(y))
    for given in (y, on_gpu(y)):
        assert model.score(X, given) == pytest.approx(model.score(IRIS, y))
        assert model.score(X, given, weights) == pytest.approx(model.score(IRIS, y, weights))


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("y_on_gpu", [True, False])
@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"early_stopping": True}])
def test_fit_begins_with_the_same_samples_on_the_gpu(kind, y_on_gpu, options):
    y, weights = LABELS[kind], np.linspace(1, 2, len(IRIS))
    if kind == "several" and "class_weight" in options:
        options = {"class_weight": [{0: 1, 1: 2}, {0: 3, 1: 1}]}
    expected_model, model = classifier(**options), classifier(**options)
    expected = begin(expected_model, IRIS, y, weights).samples
    found = begin(model, on_gpu(IRIS), on_gpu(y) if y_on_gpu else y, on_gpu(weights)).samples
    assert model.classes_.tolist() == expected_model.classes_.tolist()
    assert model.classes_.dtype == expected_model.classes_.dtype
    assert model.inner_network_.layer_sizes == expected_model.inner_network_.layer_sizes
    np.testing.assert_array_equal(model.inner_network_.parameters, expected_model.inner_network_.parameters)
    np.testing.assert_array_equal(found.rows, expected.rows)
    pairs = [(found.X, expected.X), (found.Y, expected.Y), (found.weights, expected.weights)]
    assert (found.validation is None) == (expected.validation is None)
    if expected.validation is not None:
        pairs += zip(found.validation, expected.validation, strict=True)
    for on_device, array in pairs:
        assert devices.is_on_device(on_device) and not devices.is_on_device(array)
        # a GPU adds up means in another order: what is left near 0 is off by a rounding of the sample itself
        np.testing.assert_allclose(on_host(on_device), array, rtol=1e-15, atol=1e-15)


def test_regressor_begins_with_the_same_samples_on_the_gpu():
    y = 100 * IRIS[:, :2]
    expected_model, model = nbp.MLPRegressor(random_state=0), nbp.MLPRegressor(random_state=0)
    expected = begin(expected_model, IRIS, y).samples
    found = begin(model, on_gpu(IRIS), on_gpu(y)).samples
    assert devices.is_on_device(found.Y)
    np.testing.assert_allclose(on_host(found.Y), expected.Y, rtol=1e-15, atol=1e-15)
    assert model.learning_rate_init_ == pytest.approx(expected_model.learning_rate_init_, rel=1e-12)


@pytest.mark.parametrize(
    ("model", "X", "y", "message"),
    [
        (classifier(), IRIS[0], SPECIES, "X must have 2 dimensions"),
        (classifier(), np.full_like(IRIS, np.nan), SPECIES, "X must be finite"),
        (classifier(), IRIS[:, :0], SPECIES, r"X has 0 feature\(s\)"),
        (classifier(), IRIS, SPECIES[:3], "inconsistent numbers of samples"),
        (classifier(), IRIS, IRIS[:, 0], "Unknown label type: continuous"),
        (classifier(), IRIS, IRIS[:, :2], "y of shape .* must be a matrix of 0 and 1"),
        (classifier(), IRIS, np.zeros((30, 2, 2)), r"y must have shape \(n_samples,\)"),
        (nbp.MLPRegressor(), IRIS, np.full(30, np.inf), "y must be finite"),
    ],
)
def test_errors_of_estimators(model, X, y, message):
    with pytest.raises(ValueError, match=message):
        model.fit(on_gpu(X), on_gpu(y))
    assert not hasattr(model, "inner_network_")


def test_errors_of_fitted_estimators():
    model = fitted(classifier(), LABELS["three"])
    with pytest.raises(ValueError, match="X has 2 features, but MLPClassifier is expecting 4 features"):
        model.predict(on_gpu(IRIS[:, :2]))
    with pytest.raises(ValueError, match="X must be finite"):
        model.predict(on_gpu(np.full_like(IRIS, np.nan)))
    with pytest.raises(ValueError, match=r"y has the labels \[1, 2\], which are not among the classes"):
        model.partial_fit(on_gpu(IRIS), on_gpu(SPECIES))
    names = fitted(classifier(), np.array(["a", "b", "c"])[SPECIES])
    with pytest.raises(ValueError, match="y has numbers, but the classes of training are"):
        names.partial_fit(on_gpu(IRIS), on_gpu(SPECIES))
    with pytest.raises(ValueError, match=r"y lies on GPU \d+, but X in the host's memory"):
        model.score(IRIS, on_gpu(SPECIES))
    with pytest.raises(ValueError, match=r"X_val lies on GPU \d+, but X in the host's memory"):
        classifier(early_stopping=True).fit(IRIS, SPECIES, X_val=on_gpu(IRIS), y_val=SPECIES)


def test_a_column_of_labels_is_taken_with_a_warning():
    y = LABELS["three"]
    with pytest.warns(UserWarning, match="column-vector y was passed"):
        samples = begin(classifier(), on_gpu(IRIS), on_gpu(y[:, None])).samples
    np.testing.assert_array_equal(on_host(samples.y), y)


def test_features_are_looked_at_once(monkeypatch):
    copies = []
    model = fitted(classifier(), LABELS["three"])
    monkeypatch.setattr(memory, "to_host", lambda array: copies.append(array) or on_host(array))
    model.predict_proba(on_gpu(IRIS))
    assert len(copies) == 1
