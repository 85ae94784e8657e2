"""What pictures of networks show."""

import sys

import numpy as np
import pytest

import numbabp as nbp
from numbabp import plotting
from numbabp.plotting.style import HIGH, LOW

matplotlib = pytest.importorskip("matplotlib")

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])


@pytest.fixture
def net():
    """It draws two lines by hand: XOR is a or b, but not both."""
    net = nbp.Network((2, 2, 1), loss="binary_cross_entropy", init="zeros")
    net.weights = [[[8, 8], [8, 8]], [[8], [-8]]]
    net.biases = [[-4, -12], [-4]]
    return net


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def lines_of(ax):
    """Corners of contour lines, one array a line."""
    paths = (path for part in ax.collections for path in part.get_paths() if hasattr(part, "levels"))
    return [np.concatenate(path.to_polygons(closed_only=False)) for path in paths if len(path.vertices)]


def test_the_boundary_is_where_the_output_is_the_threshold(net):
    for threshold in (0.5, 0.7):
        ax = plotting.decision_boundary(net, X, y, threshold=threshold)
        (points,) = lines_of(ax)
        assert len(points) >= 4  # of two lines
        np.testing.assert_allclose(net.forward(points)[:, 0], threshold, atol=2e-3)
    assert ax.get_xlim() == ax.get_ylim() == (-0.25, 1.25)
    marked = {tuple(place): k for k, part in enumerate(ax.collections[-2:]) for place in part.get_offsets()}
    assert marked == {(0, 0): 0, (1, 1): 0, (0, 1): 1, (1, 0): 1}


def test_classes_have_their_part_of_the_plane():
    net = nbp.Network((2, 3), loss="categorical_cross_entropy", init="zeros")
    net.weights = [[[4, 0, -4], [0, 4, -4]]]
    figure, own = matplotlib.pyplot.subplots()
    ax = plotting.decision_boundary(net, [[1, 0], [0, 1], [-1, -1]], [0, 1, 2], bounds=(-2, 2, -3, 3), ax=own)
    assert ax is own and len(figure.axes) == 1  # classes need no scale
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2, 2), (-3, 3))
    drawn = ax.collections[0].get_array().reshape(200, 200)
    assert [drawn[100, -1], drawn[-1, 100], drawn[0, 0]] == [0, 1, 2]


def test_hidden_units_have_their_lines(net):
    axes = plotting.hidden_units(net, X, y)
    assert [ax.get_title() for ax in axes] == ["unit 0, to output +8.00", "unit 1, to output -8.00"]
    for ax, distance in zip(axes, (0.5, 1.5), strict=True):
        (points,) = lines_of(ax)
        np.testing.assert_allclose(points.sum(axis=1), distance, atol=1e-9)
        assert ax.collections[0].get_array().min() >= 0
    axes = plotting.hidden_units(net, X, y, units=[1])
    assert [ax.get_title() for ax in axes] == ["unit 1, to output -8.00"]


def test_units_of_a_second_layer_have_curves():
    net = nbp.Network((2, 4, 7, 3), hidden_activation="tanh", loss="squared_error", random_state=1)
    axes = plotting.hidden_units(net, X, np.zeros((4, 3)), layer=1, bounds=(-2, 2, -2, 2))
    assert [ax.get_title() for ax in axes] == [f"unit {k}" for k in range(7)]
    n_lines = 0
    for unit, ax in enumerate(axes):
        for points in lines_of(ax):
            n_lines += 1
            np.testing.assert_allclose(net.layer_outputs(points)[1][:, unit], 0, atol=1e-2)
    assert n_lines >= 5
    assert len(axes[0].figure.axes) == 8  # and the scale; what is left of the last row is gone


def test_a_diagram_has_the_weights_by_width_and_colour(net):
    ax = plotting.network_diagram(net, input_names=["left", "right"])
    widths = [line.get_linewidth() for line in ax.lines]
    assert len(widths) == 6 and min(widths) == max(widths) == 5
    assert [line.get_color() for line in ax.lines] == [HIGH] * 5 + [LOW]
    texts = [text.get_text() for text in ax.texts]
    assert {"left", "right", "8.00", "-8.00", "-12.00", "output\nsigmoid"} <= set(texts)
    net.weights[0][0, 0] = 0
    ax = plotting.network_diagram(net, numbers=False)
    assert ax.lines[0].get_linewidth() < 0.5
    texts = {text.get_text() for text in ax.texts}
    assert "8.00" not in texts and {"x[0]", "x[1]"} <= texts
    crossing = plotting.network_diagram(nbp.Network((3, 4, 1), random_state=0))
    assert not any("." in text.get_text() for text in crossing.texts)


def test_an_animation_shows_each_epoch(net, tmp_path):
    recorder = plotting.Recorder(net)
    before = net.parameters.copy()
    history = net.fit(X, y, learning_rate=1.0, epochs=6, callback=recorder)
    assert recorder.losses == history.loss.tolist()
    np.testing.assert_array_equal(recorder.parameters[0], before)
    np.testing.assert_array_equal(recorder.parameters[-1], net.parameters)
    animation = plotting.weights_animation(net, recorder.parameters, losses=recorder.losses, frames=4)
    path = tmp_path / "weights.gif"
    animation.save(path, writer="pillow", dpi=30)
    pil = pytest.importorskip("PIL.Image")
    with pil.open(path) as picture:
        assert picture.n_frames == 4
    top, below = animation._fig.axes
    assert top.get_title() == f"after epoch 6, loss {history.loss[-1]:.4f}"  # the last frame
    np.testing.assert_allclose(below.lines[0].get_ydata(), [row[0] for row in recorder.parameters])
    assert len(below.lines) == 6 + 2  # weights, zero and the epoch
    assert not matplotlib.pyplot.get_fignums()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda net: plotting.decision_boundary(nbp.Network((3, 1)), [[0, 0, 0]], [1]),
            "2 inputs, but .* has 3",
        ),
        (
            lambda net: plotting.decision_boundary(net, X, y, bounds=(1, 0, 0, 1)),
            "bounds must be four numbers",
        ),
        (lambda net: plotting.decision_boundary(net, X, y, bounds=(0, 1)), "bounds must be four"),
        (lambda net: plotting.hidden_units(nbp.Network((2, 1)), X, y), "no hidden layer"),
        (lambda net: plotting.hidden_units(net, X, y, layer=1), "layer must be from 0 to 0, got 1"),
        (lambda net: plotting.hidden_units(net, X, y, units=[2]), "units must be from 0 to 1, got 2"),
        (lambda net: plotting.network_diagram(nbp.Network((2, 41, 1))), "room for 40 units"),
        (lambda net: plotting.network_diagram(net, input_names=["a"]), "1 names, .* 2 inputs"),
        (lambda net: plotting.weights_animation(net, [[1, 2]]), "parameters must be arrays of 9"),
    ],
)
def test_what_can_not_be_drawn_is_refused(net, call, message):
    with pytest.raises(ValueError, match=message):
        call(net)


def test_without_matplotlib_it_says_what_is_missing(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="extra 'plot'"):
        plotting.network_diagram(net)
