"""What training recorded, as tables and as curves."""

import sys

import numpy as np
import pytest

import numbabp as nbp

X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
Y = np.array([0, 1, 1, 0])
OF = {"loss": "binary_cross_entropy", "random_state": 0}


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture(scope="module")
def of_population():
    """Of five networks: one diverges, and one stops early."""
    population = nbp.Population((2, 3, 1), 5, loss="squared_error", random_state=0)
    rates = [0.1, 0.5, 1e200, 0.2, 1e-9]
    history = population.fit(
        X, Y, learning_rate=rates, epochs=6, tol=1e-4, n_iter_no_change=2, monitor=("accuracy",)
    )
    assert set(history.diverged) == {2} and history.n_epochs[4] < 6
    return history


def test_a_networks_table():
    history = nbp.Network((2, 3, 1), **OF).fit(X, Y, epochs=4, schedule="exponential")
    frame = history.to_frame()
    assert frame.index.name == "epoch" and frame.index.tolist() == [1, 2, 3, 4]
    assert frame.columns.tolist() == ["loss", "accuracy", "learning_rate"]
    for name in history:
        assert frame[name].tolist() == history[name].tolist()
    assert frame["learning_rate"].tolist() == history.learning_rate.tolist()


def test_a_populations_table(of_population):
    frame = of_population.to_frame()
    assert frame.index.names == ["network", "epoch"]
    assert len(frame) == of_population.n_epochs.sum()
    assert frame.columns.tolist() == ["loss", "accuracy", "learning_rate"]
    for i in (0, 3, 4):
        own, expected = frame.loc[i], of_population[i]
        assert own.index.tolist() == list(range(1, expected.n_epochs + 1))
        for name in expected:
            assert own[name].tolist() == expected[name].tolist()
        assert own["learning_rate"].tolist() == expected.learning_rate.tolist()
    assert frame["loss"].unstack().shape[1] == 6


def test_a_streams_table_and_curve(plt):
    network = nbp.Network((2, 3, 1), **OF)
    history = network.fit_stream([(X, Y)] * 5, history_every=8)
    frame = history.to_frame()
    assert frame.index.name == "samples" and frame.index.tolist() == history.n_samples.tolist()
    assert frame["loss"].tolist() == history.loss.tolist()
    (line,) = history.plot().get_lines()
    assert line.get_xdata().tolist() == history.n_samples.tolist()


def test_a_networks_curves(plt):
    history = nbp.Network((2, 3, 1), **OF).fit(X, Y, epochs=5, monitor=("accuracy",))
    axes = history.plot()
    (line,) = axes.get_lines()
    assert line.get_label() == "loss" and axes.get_xlabel() == "epoch"
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5] and line.get_ydata().tolist() == history.loss.tolist()
    (right,) = (other for other in axes.figure.axes if other is not axes)
    assert right.get_lines()[0].get_ydata().tolist() == history.accuracy.tolist()
    _, given = plt.subplots()
    assert history.plot(given) is given


def test_a_populations_curves_are_quantiles(plt, of_population):
    axes = of_population.plot()
    (line,) = axes.get_lines()
    assert line.get_label() == "loss"
    assert axes.get_legend().get_title().get_text() == "median and 0.1 to 0.9"
    expected = np.nanquantile(of_population.loss, [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(line.get_ydata(), expected[1])
    (band,) = axes.collections
    drawn = band.get_paths()[0].vertices
    for epoch in range(6):
        at = drawn[drawn[:, 0] == epoch + 1, 1]
        assert (at.min(), at.max()) == (pytest.approx(expected[0, epoch]), pytest.approx(expected[2, epoch]))
    alone = of_population.plot(quantiles=[0.25])
    assert alone.get_legend().get_title().get_text() == "quantile 0.25" and not alone.collections
    several = of_population.plot(quantiles=(0, 0.1, 0.5, 0.9, 1))
    assert len(several.collections) == 2


def test_the_legend_of_all_metrics_fits_below_the_curves(plt):
    """Four of them left no room for the axes."""
    many = nbp.Population((2, 3, 1), 3, loss="binary_cross_entropy", random_state=0)
    axes = many.fit(X, Y, epochs=3, validation_data=(X, Y)).plot()
    axes.figure.canvas.draw()
    width = axes.get_window_extent().width
    assert axes.get_legend().get_window_extent().width < axes.figure.get_window_extent().width < 1.4 * width


@pytest.mark.parametrize("quantiles", [(), (0.1, 0.9), (0.1, 0.5, 1.5), (np.nan,)])
def test_quantiles_that_have_no_middle_say_so(quantiles, of_population):
    with pytest.raises(ValueError, match="an odd number of numbers from 0 to 1 is needed"):
        of_population.plot(quantiles)


def test_what_is_missing_is_named(monkeypatch, of_population):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        of_population.to_frame()
    with pytest.raises(ImportError, match="the extra 'plot'"):
        of_population.plot()
