"""Sparse samples: the sparse kernel against the naive reference on the dense samples, and CSR input.

The measure and its bounds are those of test_agreement.py.
"""

import subprocess
import sys

import numpy as np
import pytest
import reference
from scipy import sparse
from test_agreement import (
    DTYPES,
    EPOCHS,
    N_SAMPLES,
    RATES,
    SAMPLE_WEIGHT,
    TOLERANCE,
    draw_problem,
    in_slices_of,  # noqa: F401
    network_of,
    parameters_error,
    solve,
)
from test_network import run_python

import numbabp as nbp
from numbabp.compiler.compiling import kernel
from numbabp.kernels import shuffling
from numbabp.kernels.sparse import POWERS
from numbabp.training import loop as training

shuffle = kernel(shuffling.shuffle)

RULES = ("sgd", "momentum", "nesterov")
SIZES = {1: (12, 3), 2: (12, 6, 3), 3: (12, 6, 20, 3)}  # by the number of layers; 20-3 is transposed
STEPS = [{"update_rule": rule, "l2": l2} for rule in RULES for l2 in (0.0, 1 / 16)]


def draw_sparse(seed, sizes, activations, loss, n_samples=N_SAMPLES, density=0.3):
    """A problem whose X is mostly 0: sample 3 is empty, column 5 absent, column 0 in two samples only."""
    problem = draw_problem(seed, sizes, activations, loss, n_samples)
    problem.X *= np.random.RandomState(seed).uniform(size=problem.X.shape) < density
    problem.X[3] = 0
    problem.X[:, 5] = 0
    problem.X[1:-1, 0] = 0
    return problem


def usual(depth=2):
    activations = (*["tanh"] * (depth - 1), "softmax")
    return draw_sparse(0, SIZES[depth], activations, "categorical_cross_entropy")


def orders(n_samples, epochs, seed):
    """The orders of a shuffled fit with this random_state."""
    order = np.arange(n_samples)
    state = np.array([np.random.RandomState(seed).randint(0, 2**63 - 1, dtype=np.int64)], np.uint64)
    found = []
    for _ in range(epochs):
        shuffle(order, state)
        found.append(order.copy())
    return found


# --- agreement with the reference -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("depth", SIZES)
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_agreement(step, depth, weighted, dtype):
    """Shuffled, with a learning rate that changes every epoch."""
    problem = usual(depth)
    net = network_of(problem, dtype)
    options = {**step, **({"sample_weight": SAMPLE_WEIGHT} if weighted else {})}
    history = net.fit(
        sparse.csr_array(problem.X),
        problem.Y,
        learning_rate=2 * RATES[step["update_rule"]],
        schedule="exponential",
        epochs=EPOCHS,
        random_state=3,
        monitor=("squared_error",),
        **options,
    )
    solution = solve(
        problem,
        learning_rates=history.learning_rate,
        order=orders(N_SAMPLES, EPOCHS, 3),
        monitor=("squared_error", "accuracy"),
        **options,
    )
    assert parameters_error(net, solution) < TOLERANCE[dtype]
    found, expected = [history.loss], [solution.loss]
    for name, values in solution.metrics.items():
        found.append(history[name])
        expected.append(values)
    assert reference.largest_relative_error(found, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", SIZES)
def test_agreement_for_counts(depth, dtype):
    activations = (*["tanh"] * (depth - 1), "exp")
    problem = draw_sparse(0, SIZES[depth], activations, "poisson")
    net = network_of(problem, dtype)
    X = sparse.csr_array(problem.X)
    history = net.fit(X, problem.Y, learning_rate=1 / 64, epochs=EPOCHS, shuffle=False)
    solution = solve(problem, learning_rates=[1 / 64] * EPOCHS)
    assert parameters_error(net, solution) < TOLERANCE[dtype]
    assert reference.largest_relative_error([history.loss], [solution.loss]) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(12, 1), (9, 1, 1), (33, 17, 2), (40, 8, 8), (6, 70, 1, 4)], ids=str)
@pytest.mark.parametrize("step", STEPS[1:4], ids=str)
def test_agreement_for_odd_sizes(step, sizes, dtype):
    problem = draw_sparse(1, sizes, (*["gelu"] * (len(sizes) - 2), "identity"), "squared_error")
    rate = RATES[step["update_rule"]]
    net = network_of(problem, dtype)
    net.fit(sparse.csr_array(problem.X), problem.Y, learning_rate=rate, epochs=EPOCHS, shuffle=False, **step)
    assert parameters_error(net, solve(problem, learning_rates=[rate] * EPOCHS, **step)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("momentum", [0.5, 0.96875])
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_rows_that_miss_thousands_of_steps(step, momentum, dtype):
    n = 2 * POWERS + 77
    problem = draw_sparse(0, (6, 4, 2), ("tanh", "identity"), "squared_error", n, density=0.5)
    problem.X[:, 1] = 0
    problem.X[0, 1] = problem.X[POWERS, 1] = problem.X[2 * POWERS + 5, 1] = 1
    options = {**step, "momentum": momentum, "l2": step["l2"] / 16}
    net = network_of(problem, dtype)
    net.fit(sparse.csr_array(problem.X), problem.Y, learning_rate=1 / 256, epochs=1, shuffle=False, **options)
    solution = solve(problem, learning_rates=[1 / 256], **options)
    assert parameters_error(net, solution) < TOLERANCE[dtype]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_agreement_after_every_single_step(step):
    problem = usual()
    net = network_of(problem, "float64")
    solution = problem
    rate = RATES[step["update_rule"]]
    rule = None
    for sample in range(N_SAMPLES):
        one = slice(sample, sample + 1)
        X = sparse.csr_array(problem.X[one])
        net.partial_fit(X, problem.Y[one], learning_rate=rate, shuffle=False, **step)
        solution = reference.train(
            solution.weights,
            solution.biases,
            problem.X[one],
            problem.Y[one],
            activations=problem.activations,
            loss=problem.loss,
            learning_rates=[rate],
            rule=rule,
            **step,
        )
        rule = solution.rule
        assert parameters_error(net, solution) < 1e-10, sample


def test_without_the_compiler():
    script = """
import numpy as np, numbabp as nbp
from scipy import sparse
X = sparse.random_array((8, 5), density=0.4, rng=0, format="csr")
Y = np.linspace(0, 1, 16).reshape(8, 2)
for rule in ("sgd", "momentum"):
    for l2 in (0.0, 0.01):
        net = nbp.Network((5, 3, 2), random_state=0)
        net.fit(X, Y, update_rule=rule, l2=l2, epochs=2, random_state=1)
        print(*net.parameters.tolist())
print(*net.forward(X).ravel().tolist())
"""
    compiled, plain = run_python(script), run_python(script, NUMBA_DISABLE_JIT="1")
    assert plain.returncode == 0, plain.stderr
    numbers = [np.array(done.stdout.split(), float) for done in (compiled, plain)]
    np.testing.assert_allclose(*numbers, rtol=1e-11)


# --- slices, epochs and interruptions -------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_samples", [1, 3, 7])
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_slices_change_no_bit(step, n_samples, dtype, in_slices_of):  # noqa: F811
    problem = usual(3)
    whole, sliced = network_of(problem, dtype), network_of(problem, dtype)
    options = {
        "learning_rate": RATES[step["update_rule"]],
        "epochs": 4,
        "random_state": 3,
        "sample_weight": SAMPLE_WEIGHT,
        "schedule": "exponential",
        **step,
    }
    X = sparse.csr_array(problem.X)
    of_whole = whole.fit(X, problem.Y, **options)
    calls = in_slices_of(n_samples)
    of_slices = sliced.fit(X, problem.Y, **options)
    assert len(calls) >= 4 * N_SAMPLES / n_samples
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    for name in of_whole:
        assert of_slices[name].tobytes() == of_whole[name].tobytes()


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_watching_or_pausing_after_an_epoch_changes_no_bit(step):
    problem = usual()
    X = sparse.csr_array(problem.X)
    options = {"learning_rate": RATES[step["update_rule"]], "shuffle": False, **step}
    whole, watched, parts = (network_of(problem, "float64") for _ in range(3))
    whole.fit(X, problem.Y, epochs=3, **options)
    seen = []
    watched.fit(
        X,
        problem.Y,
        epochs=3,
        validation_data=(X, problem.Y),
        callback=lambda *_: seen.append(watched.parameters.copy()),
        **options,
    )
    for epoch in range(3):
        parts.partial_fit(X, problem.Y, **options)
        assert parts.parameters.tobytes() == seen[epoch].tobytes()
    assert parts.parameters.tobytes() == watched.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_an_interruption_leaves_every_row_at_the_last_step(step, monkeypatch):
    problem = usual()
    net = network_of(problem, "float64")
    call_kernel = training.Training._call_kernel
    calls = []

    def interrupted(self, stop_epoch, max_samples):
        calls.append(max_samples)
        if len(calls) == 4:  # the first one compiles
            raise KeyboardInterrupt
        return call_kernel(self, stop_epoch, min(max_samples, 9))

    monkeypatch.setattr(training.Training, "_call_kernel", interrupted)
    rate = RATES[step["update_rule"]]
    with pytest.raises(KeyboardInterrupt):
        net.fit(sparse.csr_array(problem.X), problem.Y, learning_rate=rate, shuffle=False, **step)
    problem.X, problem.Y = problem.X[:18], problem.Y[:18]
    solution = solve(problem, learning_rates=[rate], **step)
    assert parameters_error(net, solution) < 1e-10
    state = net.rule_state(step["update_rule"])
    assert state.steps == 18
    if state.moments.size:
        W, b = network_of(problem, "float64").weights[0], solution.rule.first
        np.testing.assert_allclose(state.moments[0, : W.size].reshape(W.shape), b[0], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("n_samples", [None, 1, 7])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("output", "loss", "rate", "options"),
    [
        ("identity", "squared_error", 16.0, {}),
        ("identity", "squared_error", 16.0, {"update_rule": "momentum"}),
        ("identity", "squared_error", 256.0, {"update_rule": "nesterov"}),
        # Parameters that overflow while the loss stays finite: the penalty multiplies them by -3 a step.
        ("sigmoid", "binary_cross_entropy", 4.0, {"l2": 1.0}),
        ("sigmoid", "binary_cross_entropy", 4.0, {"l2": 1.0, "update_rule": "momentum"}),
    ],
    ids=str,
)
def test_divergence_keeps_the_last_finite_parameters(
    output,
    loss,
    rate,
    options,
    dtype,
    n_samples,
    in_slices_of,  # noqa: F811
):
    problem = draw_sparse(0, SIZES[2], ("tanh" if loss != "squared_error" else "relu", output), loss)
    X = sparse.csr_array(problem.X)
    net = network_of(problem, dtype)
    options = {"learning_rate": rate, "shuffle": False, **options}
    if n_samples is not None:
        in_slices_of(n_samples)
    with pytest.raises(nbp.DivergenceError) as caught:
        net.fit(X, problem.Y, epochs=400, **options)
    error = caught.value
    assert net.history.n_epochs == error.epoch
    assert np.isfinite(net.parameters).all()
    twin = network_of(problem, dtype)
    if error.epoch > 0:
        twin.fit(X, problem.Y, epochs=error.epoch, **options)
        np.testing.assert_array_equal(twin.history.loss, net.history.loss)
    if error.sample > 0:
        twin.partial_fit(X[: error.sample], problem.Y[: error.sample], **options)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    with pytest.raises(nbp.DivergenceError):
        twin.partial_fit(X[[error.sample]], problem.Y[[error.sample]], **options)


# --- kinds of sparse input ------------------------------------------------------------------------


def fitted(X, Y, dtype="float64", **options):
    net = network_of(usual(), dtype)
    net.fit(X, Y, epochs=3, learning_rate=0.125, random_state=0, **options)
    return net.parameters


def csr_of(X, kind=sparse.csr_array, index=np.int32, unsorted=False):
    matrix = sparse.csr_array(X)
    data, indices = matrix.data, matrix.indices
    if unsorted:
        back = np.concatenate(
            [np.arange(b - 1, a - 1, -1) for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)]
        )
        data, indices = data[back], indices[back]
    matrix = kind((data, indices, matrix.indptr), shape=X.shape)
    matrix.indices, matrix.indptr = indices.astype(index), matrix.indptr.astype(index)
    return matrix


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "kind",
    [
        sparse.csr_matrix,
        sparse.csc_array,
        sparse.csc_matrix,
        sparse.coo_array,
        sparse.lil_array,
        sparse.dok_array,
        sparse.bsr_array,
    ],
)
def test_formats(kind, dtype):
    problem = usual()
    expected = fitted(sparse.csr_array(problem.X), problem.Y, dtype)
    np.testing.assert_array_equal(fitted(kind(problem.X), problem.Y, dtype), expected)


def test_indices_of_any_width_and_order():
    problem = usual()
    expected = fitted(sparse.csr_array(problem.X), problem.Y)
    for index in (np.int32, np.int64):
        for unsorted in (False, True):
            matrix = csr_of(problem.X, index=index, unsorted=unsorted)
            before = [array.copy() for array in (matrix.data, matrix.indices, matrix.indptr)]
            np.testing.assert_array_equal(fitted(matrix, problem.Y), expected)
            for array, copy in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
                assert array.dtype == copy.dtype
                np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("update_rule", RULES)
def test_entries_named_twice_are_summed(update_rule):
    problem = usual()
    once = sparse.csr_array(problem.X)
    parts = sparse.coo_array(problem.X)
    twice = sparse.csr_array(
        (np.repeat(once.data / 2, 2), np.repeat(once.indices, 2), 2 * once.indptr), shape=once.shape
    )
    twice.has_canonical_format = True  # which is not so
    options = {"update_rule": update_rule, "l2": 0.01}
    expected = fitted(once, problem.Y, **options)
    np.testing.assert_array_equal(fitted(twice, problem.Y, **options), expected)
    assert twice.nnz == 2 * parts.nnz


def test_sums_do_not_overflow_the_type_they_come_in():
    net = network_of(usual(), "float64")
    twice = sparse.csr_array((np.array([100, 100], np.int8), np.array([2, 2]), np.array([0, 2])), (1, 12))
    dense = np.zeros((1, 12))
    dense[0, 2] = 200
    np.testing.assert_array_equal(net.forward(twice), net.forward(dense))


def test_explicit_zeros_change_nothing():
    problem = usual()
    zeros = sparse.csr_array(problem.X + (problem.X == 0))
    zeros.data[problem.X[problem.X + (problem.X == 0) != 0] == 0] = 0
    expected = fitted(sparse.csr_array(problem.X), problem.Y, update_rule="momentum", l2=0.01)
    found = fitted(zeros, problem.Y, update_rule="momentum", l2=0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("data_dtype", [bool, np.int8, np.uint64, np.float32, np.longdouble])
def test_numbers_of_any_kind(data_dtype):
    problem = usual()
    whole = (problem.X != 0).astype(data_dtype)
    expected = fitted(sparse.csr_array(whole.astype(float)), problem.Y)
    np.testing.assert_array_equal(fitted(sparse.csr_array(whole), problem.Y), expected)


def test_memory_mapped_arrays_are_read_in_place(tmp_path):
    problem = usual()
    X = sparse.csr_array(problem.X)
    arrays = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
        arrays.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    mapped = sparse.csr_array(tuple(arrays), shape=X.shape)
    np.testing.assert_array_equal(fitted(mapped, problem.Y), fitted(X, problem.Y))


def test_nothing_but_zeros():
    problem = usual()
    net = network_of(problem, "float64")
    X = sparse.csr_array(problem.X.shape)
    net.fit(X, problem.Y, epochs=2, learning_rate=0.125, shuffle=False, l2=0.25)
    problem.X = np.zeros(problem.X.shape)
    solution = solve(problem, learning_rates=[0.125] * 2, l2=0.25)
    assert parameters_error(net, solution) < 1e-10


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", SIZES)
def test_outputs_are_those_of_dense_samples(depth, dtype, monkeypatch):
    problem = usual(depth)
    net = network_of(problem, dtype)
    X = sparse.csr_array(problem.X.astype(dtype))
    expected = net.forward(problem.X), net.predict(problem.X), net.evaluate(problem.X, problem.Y)
    monkeypatch.setattr(sparse.csr_array, "toarray", None)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(net.forward(X), expected[0], rtol=tolerance)
    assert net.forward(X).dtype == dtype
    np.testing.assert_array_equal(net.predict(X), expected[1])
    assert net.evaluate(X, problem.Y) == pytest.approx(expected[2], rel=tolerance)
    many = sparse.vstack([X] * 1000, format="csr")
    monkeypatch.setattr("numbabp.inference.host.CHUNK_BYTES", 1 << 12)
    np.testing.assert_allclose(net.forward(many)[-N_SAMPLES:], expected[0], rtol=tolerance)


def test_validation_samples_may_be_of_another_kind():
    problem = usual()
    X = sparse.csr_array(problem.X)
    losses = []
    for samples, validation in ((X, problem.X), (problem.X, X)):
        net = network_of(problem, "float64")
        history = net.fit(
            samples, problem.Y, epochs=2, shuffle=False, validation_data=(validation, problem.Y)
        )
        losses.append(history["validation_loss"])
    np.testing.assert_allclose(*losses, rtol=1e-10)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_plan(step):
    net = network_of(usual(), "float32")
    X = sparse.csr_array(usual().X)
    plan = net.plan(X, **step)
    assert plan.kernel == "sparse"
    assert plan.alternatives == ()
    assert "X is sparse" in plan.explain()
    touched = X.nnz / X.shape[0] * 6 + 6 * 3
    assert plan.flops == pytest.approx(4 * touched)
    assert plan.bytes == pytest.approx(12 * touched)
    with pytest.raises(ValueError, match="kernel='general' is not possible with a sparse X"):
        net.plan(X, kernel="general", **step)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ({"propagate": "updated"}, "'exact'"),
        ({"kernel": "blocked"}, "'auto', 'minibatch'"),
        ({"block_length": 16}, "None"),
    ],
    ids=str,
)
def test_what_the_kernel_does_not_do_is_refused(option, allowed):
    problem = usual()
    net = network_of(problem, "float64")
    before = net.parameters.copy()
    ((name, value),) = option.items()
    for learn in (net.fit, net.partial_fit):
        with pytest.raises(ValueError, match=f"{name}={value!r} is not possible with a sparse X") as caught:
            learn(sparse.csr_array(problem.X), problem.Y, **option)
        assert f"allowed: {allowed}." in str(caught.value)
    np.testing.assert_array_equal(net.parameters, before)
    assert net._rule_state is None


@pytest.mark.parametrize(
    "option",
    [{"update_rule": "adam"}, {"batch_size": 2}, {"l1": 0.5}, {"clip_norm": 1.0}, {"kernel": "minibatch"}],
    ids=str,
)
def test_what_the_kernel_does_not_do_another_does(option):
    net, X = network_of(usual(), "float64"), sparse.csr_array(usual().X)
    assert net.plan(X, **option).kernel == "minibatch"


def with_value(value):
    X = usual().X.copy()
    X[4, 2] = value
    return X


def corrupt(**arrays):
    X = sparse.csr_array(usual().X)
    for name, (at, value) in arrays.items():
        getattr(X, name)[at] = value
    return X


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (lambda: sparse.csr_array((25, 11)), ValueError, "X has 11 columns, but the network has 12 inputs"),
        (lambda: sparse.csr_array((0, 12)), ValueError, "X is empty"),
        (lambda: sparse.coo_array(np.ones(12)), ValueError, "X must have 2 dimensions"),
        (lambda: sparse.csr_array(with_value(np.nan)), ValueError, r"X must be finite, but X\[4, 2\] is nan"),
        (
            lambda: sparse.csc_array(with_value(-np.inf)),
            ValueError,
            r"X must be finite, but X\[4, 2\] is -inf",
        ),
        (lambda: sparse.csr_array(with_value(1e300)), ValueError, r"X\[4, 2\] is 1e\+300 .* dtype float32"),
        (lambda: sparse.csr_array(usual().X.astype(complex)), TypeError, "X must be numeric"),
        (lambda: corrupt(indices=(7, 12)), ValueError, "X is not a valid csr matrix"),
        (lambda: corrupt(indices=(7, -1)), ValueError, "X is not a valid csr matrix"),
        (lambda: corrupt(indptr=(2, 90)), ValueError, "X is not a valid csr matrix"),
        (lambda: corrupt(indptr=(-1, 9000)), ValueError, "X is not a valid csr matrix"),
    ],
)
def test_wrong_samples_are_refused(X, error, words):
    net = network_of(usual(), "float32")
    for call in (lambda X: net.fit(X, usual().Y), net.forward, net.predict):
        with pytest.raises(error, match=words):
            call(X())


def test_only_samples_may_be_sparse():
    problem = usual()
    net = network_of(problem, "float64")
    with pytest.raises(TypeError, match="y is a sparse matrix, which is not taken here"):
        net.fit(problem.X, sparse.csr_array(problem.Y))
    with pytest.raises(TypeError, match="X is a sparse matrix"):
        nbp.gradient_check(net, sparse.csr_array(problem.X), problem.Y)


# --- memory ---------------------------------------------------------------------------------------

LARGE = """
import resource
import sys
import numpy as np, numbabp as nbp
from scipy import sparse

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

n, columns, in_a_row = map(int, sys.argv[1:])
options = dict(learning_rate=0.05, update_rule="momentum", l2=1e-6, epochs=1, random_state=0, progress=False)
small = sparse.random_array((20, columns), density=1e-4, rng=0, format="csr", dtype=np.float32)
nbp.Network((columns, 8, 1), dtype="float32").fit(small, np.zeros(20), **options)
imported = peak()
generator = np.random.default_rng(0)
indices = generator.integers(0, columns // in_a_row, (n, in_a_row), dtype=np.int32)
indices += np.arange(in_a_row, dtype=np.int32) * (columns // in_a_row)
starts = np.arange(0, n * in_a_row + 1, in_a_row)
X = sparse.csr_array((np.ones(n * in_a_row, np.float32), indices.ravel(), starts), (n, columns))
y = (indices[:, 0] % 2).astype(np.float32)
net = nbp.Network((columns, 8, 1), loss="binary_cross_entropy", dtype="float32", random_state=0)
of_data = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes + y.nbytes
before = peak()
history = net.fit(X, y, **options)
assert np.isfinite(history.loss).all()
print(of_data, net.parameters.nbytes, peak() - before, peak() - imported)
"""


@pytest.mark.slow
def test_memory_is_that_of_the_nonzeros_and_the_weights():
    """A million samples of 200,000 columns: 800 GB if they were dense."""
    arguments = ["1000000", "200000", "50"]
    output = subprocess.run(
        [sys.executable, "-c", LARGE, *arguments], check=True, capture_output=True, text=True
    ).stdout
    of_data, of_weights, added, total = map(int, output.split())
    assert added < of_data + 16 * of_weights
    assert total < 2 * of_data + 16 * of_weights
