"""The examples that repeat published results run, on samples that are made here but for MNIST-1D."""

import ctypes.util
import gzip
import importlib.util
import struct
from pathlib import Path

import numba
import numpy as np
import pytest
import reference

FOLDER = Path(__file__).parents[1] / "examples" / "published"

compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="takes minutes")


@pytest.fixture(scope="module")
def published(request):
    """An example as a module, by its name."""
    spec = importlib.util.spec_from_file_location(
        f"published_{request.param}", FOLDER / f"{request.param}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of(name):
    return pytest.mark.parametrize("published", [name], indirect=True)


# MNIST-1D


@of("mnist_1d")
def test_mnist_1d_is_generated_the_same_everywhere(published):
    pytest.importorskip("mnist1d")
    (X, y), (X_test, y_test) = published.generate()
    assert (X.shape, X_test.shape) == ((4000, 40), (1000, 40))
    assert X.dtype == np.float32 and set(y) == set(range(10))
    np.testing.assert_allclose(X[0, :3], [-0.33200567, -0.47191037, -0.77869708], rtol=1e-6)
    assert y[:8].tolist() == [2, 6, 4, 5, 6, 6, 6, 0] and y_test[:8].tolist() == [2, 6, 3, 9, 4, 3, 1, 9]


@compiled
@of("mnist_1d")
def test_mnist_1d_in_small(published, capsys):
    pytest.importorskip("mnist1d")
    models = {
        "linear": {"layer_sizes": (40, 10), "learning_rate": 0.01, "epochs": 10},
        "deep": {"layer_sizes": (40, 30, 30, 10), "learning_rate": 0.02, "epochs": 15},
    }
    found = published.main(3, models)
    linear, deep, (mean,) = found.values()
    assert len(linear) == len(deep) == 3
    # linear models know little of these curves, others much more, and several together more yet
    assert min(linear) > 25 and max(linear) < 38 < 45 < min(deep) and np.mean(deep) < mean
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4 and said[2].startswith("deep, 40-30-30-10") and f"{np.mean(deep):.2f}" in said[2]


@compiled
@of("mnist_1d")
def test_settings_are_chosen_on_training_curves(published, monkeypatch):
    pytest.importorskip("pandas")
    draw = np.random.default_rng(0)
    X = draw.standard_normal((300, 40)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    y[-100:] = 1 - y[-100:]  # where the set-aside rows say the opposite, the one that hardly learns is better
    monkeypatch.setattr(published, "N_VALIDATION", 100)
    found = published.search(X, y, {"layer_sizes": [(40, 10)], "learning_rate": [1e-4, 0.1]}, 5, 1)
    assert list(found.index.names) == ["layer_sizes", "learning_rate"]
    assert found.index[0][1] == 1e-4 and found.iloc[0] > found.iloc[1]


# Kolen and Pollack


def reference_first(row, rate, momentum, epochs, every, X, Y):
    """After how many epochs the plain implementation has converged first, float64."""
    weights, biases = (
        [row[:4].reshape(2, 2).copy(), row[6:8].reshape(2, 1).copy()],
        [row[4:6].copy(), row[8:].copy()],
    )
    velocity = [np.zeros_like(part) for part in (*weights, *biases)]
    activations = ("sigmoid", "sigmoid")
    for epoch in range(1, epochs + 1):
        for x, y in zip(X, Y[:, None], strict=True):
            gradients = reference.gradient(weights, biases, activations, "squared_error", x, y)
            for part, v, g in zip((*weights, *biases), velocity, (*gradients[0], *gradients[1]), strict=True):
                v[...] = momentum * v + g
                part -= rate * v
        if epoch % every == 0:
            outputs = reference.outputs(weights, biases, activations, X)[:, 0]
            if (np.abs(outputs - Y) < 0.4).all():
                return epoch
    return np.inf


@compiled
@of("kolen_pollack")
def test_networks_converge_when_the_plain_implementation_does(published):
    rows = np.random.default_rng(1).uniform(-2, 2, (6, 9))
    rates, momenta = np.array([1, 2, 4, 1, 2, 4.0]), np.array([0, 0, 0, 0.5, 0.5, 0.5])
    found = published.epochs_until_converged(rows, 300, 20, learning_rate=rates, momentum=momenta)
    expected = [
        reference_first(row, rate, momentum, 300, 20, published.X, published.Y)
        for row, rate, momentum in zip(rows, rates, momenta, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).sum() >= 2


@compiled
@of("kolen_pollack")
def test_kolen_and_pollack_in_small(published, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "picture.png"
    first, plane = published.main(4800, 300, picture)
    assert first.shape == (4, 3, 20, 20) and plane.shape == (69, 69)
    assert set(np.unique(first)) <= {*range(20, 301, 20), np.inf}
    converged = np.isfinite(first).mean(axis=3)
    # rates and momenta are those of their networks: the slowest hardly learns, faster ones do
    assert converged[0, 0, :2].max() < 0.2 < 0.3 < converged[2, 1, 2:6].min()
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "percent not converged after 300 epochs" in said and "4,761 networks over a plane" in said


@of("kolen_pollack")
def test_cliffs_are_counted(published):
    first = np.array([[20, 40, 41.0], [20, 20, np.inf], [np.inf, np.inf, np.inf]])
    # 41 beside inf, 20 beside inf three times
    assert published.cliffs(first) == 4 / 12


# MNIST


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


@pytest.fixture
def digits(tmp_path):
    """Ten patterns of 6 x 6 with noise, as MNIST's files, of which two are compressed."""
    draw = np.random.default_rng(0)
    patterns = draw.integers(0, 200, (10, 6, 6))
    for part, n in (("train", 400), ("t10k", 100)):
        labels = draw.integers(0, 10, n)
        images = patterns[labels] + draw.integers(0, 50, (n, 6, 6))
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images.astype(np.uint8)))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels.astype(np.uint8))))
    return tmp_path


@compiled
@of("mnist")
def test_lecuns_table_in_small(published, digits, capsys, monkeypatch):
    errors = published.main(digits, ["linear", "12-6"], epochs=20, n_seeds=2)
    assert list(errors) == ["linear", "12-6"] and all(len(of_seeds) == 2 for of_seeds in errors.values())
    assert max(errors["linear"]) <= 5 and max(errors["12-6"]) <= 20
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("400 images to train, 100 to test") and "12.00" in said[2] and len(said) == 4
    monkeypatch.setattr(published, "N_VALIDATION", 50)
    published.main(digits, ["linear"], epochs=1, n_seeds=1, validation=True)
    assert "350 images to train, 50 to test" in capsys.readouterr().out


@of("mnist")
def test_mnists_files_are_read_or_refused(published, digits):
    images, labels = published.read_part(digits, "train")
    assert images.shape == (400, 36) and images.dtype == np.float32 and 0.9 < images.max() <= 1
    assert labels.dtype == np.int64 and set(labels) == set(range(10))
    path = digits / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    for damaged in (b"", whole[:3], whole[:9], whole[:-1], whole + b"\0", b"\0\0\x0d" + whole[3:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a whole IDX file"):
            published.read_part(digits, "train")
    path.write_bytes(idx(np.zeros((399, 6, 6), np.uint8)))
    with pytest.raises(ValueError, match="399 images, but 400 labels"):
        published.read_part(digits, "train")
    path.rename(digits / "train-images.idx3-ubyte")  # as some unpack it
    path = digits / "train-labels-idx1-ubyte.gz"
    path.unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte, with"):
        published.read_part(digits, "train")


# FANN's sets


@pytest.fixture
def datasets(tmp_path):
    """Files in FANN's format by the name of one of its sets."""
    draw = np.random.default_rng(0)
    for part, n in (("train", 200), ("test", 100)):
        X = draw.random((n, 8))
        Y = np.eye(2)[(X[:, 0] + X[:, 1] > 1).astype(int)]
        rows = [" ".join(f"{v:.4f}" for v in row) + "\n" for pair in zip(X, Y, strict=True) for row in pair]
        (tmp_path / f"diabetes.{part}").write_text(f"{n} 8 2\n" + "".join(rows))
    return tmp_path


@compiled
@of("fann_sets")
@pytest.mark.parametrize("with_fann", [True, False])
def test_fanns_benchmark_in_small(published, datasets, with_fann, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    if not with_fann:
        monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    elif ctypes.util.find_library("floatfann") is None:
        pytest.skip("libfann is not installed")
    picture = datasets / "picture.png"
    found = published.main(datasets, ["diabetes"], 0.1, 2, picture)
    runs = found["diabetes"]
    assert list(runs) == list(published.ALGORITHMS if with_fann else published.ALGORITHMS[2:])
    for of_seeds in runs.values():
        for rows in of_seeds:
            assert (np.diff(rows[:, 0]) > 0).all() and (np.diff(rows[:, 1]) > 0).all() and rows[-1, 0] >= 0.1
            assert rows[-1, 2] < 0.1 < 0.2 < rows[0, 2] and 0 <= rows[-1, 3] < 0.2
    said = capsys.readouterr().out
    assert "diabetes 8-4-2, 200 samples" in said and ("apt install libfann2" in said) != with_fann
    assert picture.read_bytes().startswith(b"\x89PNG")


@of("fann_sets")
def test_fanns_files_and_errors(published, datasets):
    X, Y = published.read(datasets / "diabetes.train")
    assert X.shape == (200, 8) and Y.shape == (200, 2) and X.dtype == np.float32
    error, failed = published.errors(np.array([[0.5, 0.1], [1, 0.75]]), np.array([[0, 0], [1, 1.0]]))
    assert error == pytest.approx((0.25 + 0.01 + 0.0625) / 4) and failed == 0.25
    rows = np.array([[0, 0, 0.5, 0], [1, 2, 0.3, 0], [2, 4, 0.2, 0], [3, 6, 0.4, 0]])
    assert published.time_to(rows, 0.3) == 1 and published.time_to(rows, 0.1) == np.inf
    (datasets / "diabetes.train").write_text("2 2 1\n0 1\n1\n")
    with pytest.raises(ValueError, match="3 numbers are not 2 pairs of 2 and 1"):
        published.read(datasets / "diabetes.train")


@compiled
@of("fann_sets")
def test_the_rate_is_chosen_on_training_samples(published, datasets, monkeypatch):
    monkeypatch.setattr(published, "RATES", (1e-4, 1.0))
    assert published.chosen_rate((8, 4, 2), published.read(datasets / "diabetes.train"), 0.05) == 1
