"""Sweeps: every network is that of its settings, wherever and in whatever populations it is trained."""

import numpy as np
import pytest

import numbabp as nbp
from numbabp import sweep

pandas = pytest.importorskip("pandas")
pytestmark = pytest.mark.once

draw = np.random.RandomState(3)
X, X_VALIDATION = draw.standard_normal((40, 4)), draw.standard_normal((30, 4))


def halves(inputs):
    return (inputs[:, 0] * inputs[:, 1] + draw.standard_normal(len(inputs)) / 3 > 0).astype(int)


Y, Y_VALIDATION = halves(X), halves(X_VALIDATION)
VALIDATION = X_VALIDATION, Y_VALIDATION
GRID = {"layer_sizes": [(4, 3, 1), (4, 5, 1)], "learning_rate": [0.03, 0.1], "l2": [0.0, 0.01]}
FIXED = {"loss": "binary_cross_entropy", "epochs": 12, "progress": False}
STOPPED = {"validation_data": VALIDATION, "early_stopping": True, "patience": 2}


def parameters(found):
    return [population.parameters.tobytes() for population in found.populations]


@pytest.mark.parametrize("how", [{}, STOPPED], ids=["to the end", "stopped early"])
def test_each_network_is_the_one_of_its_row(how):
    found = sweep(GRID, X, Y, seeds=[7, 2, 5], random_state=11, **FIXED, **how)
    table = found.to_frame()
    assert (
        len(table)
        == 2 * 2 * 2 * 3
        == len(table.drop_duplicates(["layer_sizes", "learning_rate", "l2", "seed"]))
    )
    assert len(found.populations) == 2
    for row in table.itertuples():
        sizes = tuple(map(int, row.layer_sizes.split("-")))
        alone = nbp.Network(sizes, loss="binary_cross_entropy", random_state=row.seed)
        options = {"learning_rate": row.learning_rate, "l2": row.l2, "random_state": 11, **FIXED, **how}
        del options["loss"]
        history = alone.fit(X, Y, **options)
        kept = found.populations[row.population].parameters[row.network]
        np.testing.assert_allclose(kept, alone.parameters, rtol=1e-9, atol=1e-12)
        assert (row.epochs, row.stop_reason) == (len(history.loss), history.stop_reason)
        at = row.best_epoch - 1
        assert at == (history["validation_loss"].argmin() if how else row.epochs - 1)
        for metric in history:
            assert getattr(row, metric) == pytest.approx(history[metric][at], rel=1e-9)


def test_what_differs_in_more_is_trained_apart_and_told():
    grids = [
        {"update_rule": ["sgd"], "learning_rate": [0.1, 0.3]},
        {"update_rule": ["momentum"], "momentum": [0.5, 0.9], "epochs": [2, 3]},
        {"update_rule": ["adam"], "learning_rate": [0.01], "batch_size": [1, 5], "schedule": ["cosine"]},
    ]
    found = sweep(grids, X, Y, seeds=2, layer_sizes=(4, 3, 1), progress=False)
    table = found.to_frame()
    assert len(found.populations) == 1 + 2 + 2
    shown = table.drop_duplicates("population").set_index("population")
    assert shown["update_rule"].tolist() == ["sgd", "momentum", "momentum", "adam", "adam"]
    assert shown["epochs"].tolist() == [100, 2, 3, 100, 100]
    assert table["batch_size"].tolist() == [1] * 14 + [5] * 2
    assert table["learning_rate"].tolist() == [0.1] * 2 + [0.3] * 2 + [0.1] * 8 + [0.01] * 4
    assert table["momentum"].dropna().tolist() == [0.5, 0.5, 0.9, 0.9] * 2
    assert table["schedule"].tolist() == ["constant"] * 12 + ["cosine"] * 4
    alone = nbp.Network((4, 3, 1), random_state=1)
    alone.fit(X, Y, update_rule="adam", learning_rate=0.01, batch_size=5, schedule="cosine", random_state=0)
    np.testing.assert_allclose(found.populations[4].parameters[1], alone.parameters, rtol=1e-9)


def test_the_best_network_is_a_copy_of_the_table_s():
    found = sweep(GRID, X, Y, seeds=4, **FIXED, **STOPPED)
    table = found.to_frame()
    for metric, row in (
        (None, table["validation_loss"].idxmin()),
        ("loss", table["loss"].idxmin()),
        ("validation_accuracy", table["validation_accuracy"].idxmax()),
    ):
        network, best = found.best(metric), table.loc[row]
        same = found.populations[best["population"]].parameters[best["network"]]
        assert network.parameters.tobytes() == same.tobytes()
    measured = found.best().evaluate(*VALIDATION)
    assert measured["loss"] == pytest.approx(table["validation_loss"].min(), rel=1e-9)


def test_networks_that_diverge_are_in_the_table_and_never_the_best():
    grid = {"layer_sizes": [(4, 3, 1)], "learning_rate": [0.1, 1e200]}
    found = sweep(grid, X, Y, seeds=3, **FIXED)
    table = found.to_frame()
    assert table["stop_reason"].tolist() == ["finished"] * 3 + ["diverged"] * 3
    assert table["loss"].isna().tolist() == [False] * 3 + [True] * 3
    assert "3 diverged" in repr(found)
    assert found.best().parameters.tobytes() in [row.tobytes() for row in found.populations[0].parameters[:3]]
    lost = sweep({"learning_rate": [1e200]}, X, Y, layer_sizes=(4, 3, 1), **FIXED)
    with pytest.raises(RuntimeError, match="every network has diverged; try lower learning rates"):
        lost.best()


def test_losses_of_several_kinds_are_not_compared():
    found = sweep(
        {"loss": ["binary_cross_entropy", "squared_error"]},
        X,
        Y,
        layer_sizes=(4, 3, 1),
        epochs=3,
        monitor=["accuracy"],
    )
    with pytest.raises(ValueError, match="binary_cross_entropy and squared_error can't be compared"):
        found.best()
    assert found.best("accuracy").layer_sizes == (4, 3, 1)


def test_a_sweep_that_is_stopped_goes_on_and_one_that_grows_trains_what_is_new(tmp_path, monkeypatch):
    expected = sweep(GRID, X, Y, seeds=5, **FIXED, **STOPPED)
    folder = tmp_path / "sweep"
    trained = []
    fit = nbp.Population.fit

    def counting(self, *arguments, **options):
        trained.append(self.layer_sizes)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return fit(self, *arguments, **options)

    monkeypatch.setattr(nbp.Population, "fit", counting)
    with pytest.raises(KeyboardInterrupt):
        sweep(GRID, X, Y, seeds=5, checkpoint=folder, **FIXED, **STOPPED)
    monkeypatch.setattr(nbp.Population, "fit", fit)
    assert len(list(folder.iterdir())) == 1
    again = sweep(GRID, X, Y, seeds=5, checkpoint=folder, **FIXED, **STOPPED)
    assert parameters(again) == parameters(expected)
    files = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(files) == 2
    larger = {**GRID, "layer_sizes": [(4, 2, 1), *GRID["layer_sizes"]]}
    grown = sweep(larger, X, Y, seeds=5, checkpoint=folder, **FIXED, **STOPPED)
    assert parameters(grown)[1:] == parameters(expected)
    assert {path: path.read_bytes() for path in files} == files
    pandas.testing.assert_frame_equal(again.to_frame(), expected.to_frame())
    with pytest.raises(ValueError, match="samples"):
        sweep(GRID, X, 1 - Y, seeds=5, checkpoint=folder, **FIXED, **STOPPED)


def test_on_workers_no_bit_differs():
    distributed = pytest.importorskip("distributed")
    from workers import two_workers

    expected = sweep(GRID, X, Y, seeds=40, **FIXED, **STOPPED)
    with two_workers() as cluster, distributed.Client(cluster) as client:
        found = sweep(GRID, X, Y, seeds=40, client=client, chunk_size=70, **FIXED, **STOPPED)
    assert parameters(found) == parameters(expected)
    pandas.testing.assert_frame_equal(found.to_frame(), expected.to_frame())


def test_those_that_take_longest_come_first(monkeypatch):
    order = []
    fit = nbp.Population.fit

    def noting(self, *arguments, **options):
        order.append(self.layer_sizes)
        return fit(self, *arguments, **options)

    monkeypatch.setattr(nbp.Population, "fit", noting)
    grid = {"layer_sizes": [(4, 3, 1), (4, 50, 50, 1), (4, 20, 1)]}
    found = sweep(grid, X, Y, **FIXED)
    assert order == [(4, 50, 50, 1), (4, 20, 1), (4, 3, 1)]
    assert found.to_frame()["layer_sizes"].tolist() == ["4-3-1", "4-50-50-1", "4-20-1"]


@pytest.mark.parametrize(
    ("grid", "options", "kind", "message"),
    [
        (
            "learning_rate",
            {},
            TypeError,
            "grid must be a dict of names and lists of values, or a list of such",
        ),
        ([], {}, TypeError, "grid must be a dict"),
        ({"rate": [1]}, {}, ValueError, "grid has 'rate', which can't be varied; allowed: .*learning_rate"),
        ({"device": ["cpu"]}, {}, ValueError, "grid has 'device', which can't be varied"),
        (
            {"learning_rate": 0.1},
            {},
            TypeError,
            r"grid\['learning_rate'\] must be a list .*\[0.1\] is a list of one",
        ),
        ({"loss": "huber"}, {}, TypeError, r"grid\['loss'\] must be a list of values to try, got 'huber'"),
        ({"l2": []}, {}, TypeError, r"grid\['l2'\] must be a list"),
        ({"l2": [0.1, 0.1]}, {}, ValueError, "grid has the setting {'l2': 0.1} twice"),
        ({"l2": [0.1]}, {"l2": 0.2}, ValueError, "l2 is in the grid and given for all networks, 0.2"),
        ({"l2": [0.1]}, {"rate": 0.2}, TypeError, "sweep takes no 'rate'; allowed: .*learning_rate"),
        ({"l2": [-0.1]}, {}, ValueError, "l2 must be"),
        ({"l2": [0.1]}, {"seeds": 0}, ValueError, "seeds must be"),
        ({"l2": [0.1]}, {"seeds": [1, 1]}, ValueError, "seeds has one of them twice"),
        ({"l2": [0.1]}, {"seeds": "many"}, TypeError, "seeds must be a number of them or a sequence of ints"),
        ({"l2": [0.1]}, {"seeds": 10**13}, MemoryError, "seeds"),
        ({"l2": [0.1]}, {"random_state": None}, TypeError, "random_state must be"),
        ({"epochs": [1, 10**12]}, {}, MemoryError, "histories"),
        ({"kernel": ["thread"]}, {"device": "cpu"}, ValueError, "kernel='thread' is not possible"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_trained(monkeypatch, grid, options, kind, message):
    monkeypatch.setattr(nbp.Population, "fit", None)
    with pytest.raises(kind, match=message):
        sweep(grid, X, Y, layer_sizes=(4, 3, 1), **options)


def test_without_layer_sizes_it_says_so():
    with pytest.raises(ValueError, match="layer_sizes is missing: give it in the grid or for all networks"):
        sweep({"l2": [0.0]}, X, Y)
