"""Sweeps: what the command writes is what the same networks give when they are trained by themselves."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from commands import interrupted, refused, run, run_json, signalled

import numbabp as nbp
from numbabp.cli import plots
from numbabp.cli.sweep import Outcome, Sweep, parse_grid, sweep
from numbabp.data.datasets import load_dataset
from numbabp.data.split import Split
from numbabp.training.checkpoints import files

SMALL = ("sweep", "--dataset", "iris", "--hidden", "3", "--seeds", 3, "--epochs", 4, "--n-threads", 1)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def outcome(scores, losses=None, hidden=(3,), epochs=2, **setting):
    """Made by hand: a network whose score is NaN has diverged."""
    scores = np.array(scores, float)
    losses = np.where(np.isnan(scores), np.nan, 0.5) if losses is None else np.array(losses, float)
    return Outcome(
        hidden=hidden,
        setting=setting,
        seeds=np.arange(len(scores)),
        scores=scores,
        losses=losses,
        n_epochs=np.full(len(scores), epochs),
        diverged=np.isnan(scores),
        curves={
            name: np.linspace(1, level, epochs)
            for name, level in zip(("q10", "median", "q90"), (0.1, 0.2, 0.3), strict=True)
        },
        network=nbp.Network((2, 3, 1), loss="binary_cross_entropy", random_state=0),
    )


def test_tables_hold_what_the_networks_give_alone(folder):
    run(
        *("sweep", "--dataset", "iris", "--hidden", "3,4", "--seeds", 3, "--seed", 5, "--epochs", 4),
        *("--grid", "learning_rate=0.01,0.03", "--grid", "momentum=0,0.8", "--dtype", "float64"),
        *("--activation", "tanh", "--output", "settings.csv", "--networks", "networks.csv"),
    )
    split = Split.of(load_dataset("iris"), 0.2, 5)
    networks = read("networks.csv")
    assert len(networks) == 2 * 2 * 2 * 3
    for row in networks:
        arguments = split.pipeline.network_arguments((int(row["hidden"]),), "tanh", "float64")
        alone = nbp.Network(**arguments, random_state=int(row["seed"]))
        history = alone.fit(
            split.inputs,
            split.targets,
            learning_rate=float(row["learning_rate"]),
            momentum=float(row["momentum"]),
            update_rule="momentum",
            epochs=4,
            random_state=5,
        )
        assert float(row["loss"]) == pytest.approx(history.loss[-1], rel=1e-9)
        assert float(row["score"]) == split.scores(alone)["validation"].overall
        assert (row["epochs"], row["diverged"], row["l2"]) == ("4", "False", "0.0")
    settings = read("settings.csv")
    assert len(settings) == 8
    medians = [float(row["score_median"]) for row in settings]
    assert medians == sorted(medians, reverse=True)
    for row in settings:
        parameters = ("hidden", "learning_rate", "momentum", "l2")
        own = [other for other in networks if all(other[name] == row[name] for name in parameters)]
        scores, losses = (np.array([float(other[name]) for other in own]) for name in ("score", "loss"))
        assert [other["seed"] for other in own] == ["5", "6", "7"]
        assert float(row["score_q10"]) == pytest.approx(np.quantile(scores, 0.1))
        assert float(row["score_median"]) == np.median(scores)
        assert float(row["score_q90"]) == pytest.approx(np.quantile(scores, 0.9))
        assert float(row["loss_median"]) == np.median(losses)
        assert float(row["score_best"]) == scores.max()
        assert int(row["seed_best"]) == 5 + np.lexsort([losses, -scores])[0]
        assert (row["n_seeds"], row["n_diverged"], row["epochs"]) == ("3", "0", "4")


def test_the_ten_best_are_printed(folder):
    grid = ("--grid", "learning_rate=0.001,0.01,0.1", "--grid", "l2=0,0.001,0.01,0.1")
    output = run(*SMALL, *grid).stdout
    assert "36 networks: 12 settings, 3 seeds each; 120 training rows, 30 validation rows; 4 epochs" in output
    assert "all: hidden units 3\n" in output
    assert "validation accuracy over the seeds" in output
    assert output.endswith("2 more settings; --output takes all\n")
    table = [line.split() for line in output.splitlines() if line.startswith(" ") and line.strip()]
    head, _, *rows = table
    assert head[:4] == ["learning", "rate", "L2", "penalty"]
    assert len(rows) == 10
    result = run_json(*SMALL, *grid)
    assert result["metric"] == "validation accuracy"
    assert len(result["settings"]) == 12
    for row, setting in zip(rows, result["settings"], strict=False):
        assert float(row[0]) == setting["learning_rate"]
        assert float(row[3]) == pytest.approx(setting["score_median"], abs=1e-4)
    assert "more settings" not in run(*SMALL).stdout


def test_xor_has_no_rows_to_spare():
    result = run_json("sweep", "--dataset", "xor", "--hidden", "none", "--seeds", 2, "--epochs", 3)
    assert (result["metric"], result["n_validation"]) == ("training accuracy", 0)
    assert result["settings"][0]["hidden"] == "none"


def test_regression_and_the_saved_network(folder):
    x = np.linspace(-2, 2, 200)
    np.savez("data.npz", x=x, z=x**2, y=1e6 * np.sin(x) + 5e6)
    arguments = ("sweep", "data.npz", "--target", "y", "--hidden", "6,none", "--seeds", 3, "--epochs", 30)
    arguments = (*arguments, "--grid", "learning_rate=0.02", "--save", "net", "--activation", "tanh")
    result = run_json(*arguments)
    assert result["metric"] == "validation R^2"
    best = result["settings"][0]
    assert best["hidden"] == "6"
    samples_split = np.random.RandomState(0).permutation(200)[:40]  # as train sets rows aside
    predicted = np.array(run_json("predict", "net", "data.npz")["y"])[samples_split]
    y = 1e6 * np.sin(x[samples_split]) + 5e6
    r2 = 1 - ((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert r2 == pytest.approx(best["score_best"], abs=1e-4)
    others = ("--output", "settings.csv", "--networks", "networks.csv", "--plot", "sweep.png")
    assert run(*arguments, *others).stderr.splitlines() == [
        "settings written to settings.csv",
        "networks written to networks.csv",
        "curves drawn into sweep.png",
        "the best setting's best network saved to net",
    ]


def test_divergence_counts_as_the_worst(folder):
    result = run_json(
        *SMALL, "--grid", "learning_rate=1e30,0.01", "--networks", "networks.csv", "--plot", "a.png"
    )
    first, last = result["settings"]
    assert (first["learning_rate"], first["n_diverged"]) == (0.01, 0)
    assert (last["n_diverged"], last["score_median"], last["loss_median"]) == (3, None, None)
    assert [row["score"] for row in read("networks.csv") if row["diverged"] == "True"] == ["nan"] * 3

    mostly = outcome([0.9, np.nan, 0.8, 0.9])
    assert np.isnan(mostly.score("q10"))
    assert mostly.score() == pytest.approx(0.85)
    assert mostly.best == 0
    ranked = [
        outcome([0.9, 0.9, 0.9, 0.9]),
        outcome([0.9, 0.8, 0.9, 0.9]),
        outcome([0.9, 0.8, 0.9, 0.9], [0.6] * 4),
        mostly,
        outcome([np.nan, np.nan, 0.99, np.nan]),
        outcome([np.nan] * 4),
    ]
    shuffled = [ranked[i] for i in (5, 2, 0, 4, 1, 3)]
    assert sorted(shuffled, key=lambda outcome: outcome.rank) == ranked


def test_nothing_is_written_when_every_network_diverges(folder):
    line = refused(*SMALL, "--grid", "learning_rate=1e30", "--output", "a.csv", "--save", "net")
    assert "every network diverged (3)" in line
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("texts", "rule", "grid"),
    [
        ([], "sgd", {"learning_rate": [0.01], "l2": [0]}),
        (["l2 = 0, 1e-3"], "adam", {"learning_rate": [0.01], "l2": [0, 0.001]}),
        (["learning_rate=2"], "nesterov", {"learning_rate": [2], "momentum": [0.9], "l2": [0]}),
    ],
)
def test_grids(texts, rule, grid):
    assert parse_grid(texts, rule) == grid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid", "rate=0.1"], "no parameter 'rate'; allowed: learning_rate, momentum, l2"),
        (["--grid", "l2"], "numbabp: --grid l2 must have numbers such as l2=0.01,0.1, got ''"),
        (["--grid", "l2=0,,1"], "numbabp: --grid l2 must have numbers such as l2=0.01,0.1, got '0,,1'"),
        (["--grid", "l2=0,0.0"], "--grid l2 has 0 twice"),
        (["--grid", "l2=0", "--grid", "l2=1"], "--grid l2 is given twice"),
        (["--grid", "l2=-1"], "numbabp: --grid l2 must be finite and at least 0"),
        (["--grid", "learning_rate=0.1,0"], "numbabp: --grid learning_rate must not be 0"),
        (["--grid", "learning_rate=inf"], "numbabp: --grid learning_rate must be finite"),
        (["--grid", "momentum=1"], "numbabp: --grid momentum must be finite and at least 0 and less than 1"),
        (
            ["--grid", "momentum=0.5", "--update-rule", "adam"],
            "needs --update-rule momentum or nesterov, not adam",
        ),
        (["--update-rule", "newton"], "--update-rule newton is not known"),
        (["--schedule", "adaptive"], "--schedule adaptive is for one network"),
        (["--hidden", "8,,16"], "--hidden must be numbers of units such as 100, or 100x50"),
        (["--hidden", "8x,16"], "--hidden must be numbers of units"),
        (["--hidden", "8,8"], "--hidden has 8 twice"),
        (["--hidden", "8x4,8x4"], "--hidden has 8x4 twice"),
        (["--seeds", "0"], "--seeds"),
        (["--seed", "4294967294"], "--seed and --seeds together must be at most 4294967296"),
        (
            ["--seeds", "4000000000", "--epochs", "1000"],
            "not enough memory: n_networks=4000000000: histories",
        ),
        (["--hidden", "100000000x100000000"], "not enough memory"),
        (["--epochs", "0"], "numbabp: --epochs must be at least 1"),
        (["--n-threads", "0"], "numbabp: --n-threads must be at least 1"),
        (["--dtype", "int8"], "allowed: 'float32', 'float64'"),
        (["--activation", "step"], "--activation step is not known"),
        (["--validation-fraction", "1"], "--validation-fraction must be at least 0"),
        (["--output", "absent/a.csv"], "there is no folder absent"),
        (["--networks", "absent/a.csv"], "there is no folder absent"),
        (["--save", "."], "not a regular file"),
        (["--plot", "a.txt"], ".png, .svg or .pdf"),
        (["--plot", "absent/a.png"], "there is no folder absent"),
        (["--target", "y"], "a --dataset has its own"),
        (["data.csv"], "either a file or --dataset"),
    ],
)
def test_bad_options(folder, arguments, message):
    assert message in refused(*SMALL, *arguments)
    assert os.listdir(folder) == []


def test_train_takes_the_same_layouts(folder):
    for text, sizes in [("3x2", [4, 3, 2, 3]), ("3,2", [4, 3, 2, 3]), ("none", [4, 3])]:
        result = run_json("train", "--dataset", "iris", "--epochs", 1, "--hidden", text)
        assert result["layer_sizes"] == sizes


def test_interruption_writes_nothing(folder):
    for_hours = (*SMALL, "--epochs", 1_000_000, "--output", "a.csv")
    line = "numbabp: interrupted; nothing is saved. --checkpoint would keep the sweep.\n"
    assert interrupted(*for_hours) == (130, "", line)
    assert os.listdir(folder) == []


# Checkpoints

KEPT = (*SMALL, "--hidden", "3,2x2", "--grid", "learning_rate=0.01,0.1", "--epochs", 4000)
SECOND_CALL = """
from numbabp.training.engines import population_cpu as engine
really, calls = engine.train_lanes, []

def counting(*arguments):  # the first call compiles
    calls.append(1)
    if len(calls) == 2:
        send()
    return really(*arguments)

engine.train_lanes = counting
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_sweep_that_is_kept_goes_on_to_the_same_tables(folder, monkeypatch):
    tables = ("--output", "settings.csv", "--networks", "networks.csv", "--save", "net")

    def taken():
        contents = [(folder / name).read_bytes() for name in tables[1:4:2]]
        contents.append(nbp.load("net").network.parameters.tobytes())
        for name in tables[1::2]:
            os.unlink(name)
        return contents

    run(*KEPT, *tables)
    whole = taken()
    line = "numbabp: terminated; the sweep is kept in kept: the same command again goes on from there.\n"
    assert signalled(signal.SIGTERM, SECOND_CALL, *KEPT, *tables, "--checkpoint", "kept") == (143, "", line)
    assert os.listdir(folder) == ["kept"]
    assert os.listdir("kept") == ["3.safetensors"]
    epochs = files.read("kept/3.safetensors").standing.arrays["n_epochs"]
    assert 0 <= epochs.max() < 4000
    told = run(*KEPT, *tables, "--checkpoint", "kept").stderr
    assert f"numbabp: going on from {Path('kept/3.safetensors')}, where up to " in told
    assert " of 4000 epochs are done\n" in told and "2x2" not in told  # which had not begun
    assert taken() == whole
    # and now it is finished
    monkeypatch.setattr("numbabp.training.engines.population_cpu.train_lanes", None)
    told = run(*KEPT, *tables, "--checkpoint", "kept", "--n-threads", 1).stderr
    assert told.count("the training is finished in kept") == 2
    assert taken() == whole


def test_checkpoints_of_other_sweeps_are_refused_before_anything_is_trained(folder, monkeypatch):
    run(*SMALL, "--checkpoint", "kept")
    before = (folder / "kept" / "3.safetensors").read_bytes()
    monkeypatch.setattr("numbabp.training.engines.population_cpu.train_lanes", None)
    for changes, named in [
        (("--hidden", "5,3", "--epochs", 5), "epochs (4 there, 5 here)"),
        (("--seeds", 4), "number of networks"),
        (("--grid", "l2=0.1"), "l2"),
        (("--validation-fraction", 0), "the samples"),
        (("--seed", 1), "first seed (0 there, 1 here)"),
    ]:
        line = refused(*SMALL, *changes, "--checkpoint", "kept")
        assert named in line
        assert line.endswith("Name another one, or delete this one to begin anew.")
    (folder / "kept" / "5.safetensors").write_text("mine")
    assert "It is not replaced" in refused(*SMALL, "--hidden", 5, "--checkpoint", "kept")
    assert (folder / "kept" / "5.safetensors").read_text() == "mine"
    assert (folder / "kept" / "3.safetensors").read_bytes() == before
    assert "learning_rate" in refused(*SMALL, "--grid", "learning_rate=0", "--checkpoint", "new")
    assert os.listdir(folder) == ["kept"]


def test_a_folder_of_checkpoints_holds_nothing_else_of_the_command(folder):
    (folder / "d.csv").write_text("x,y\n" + "1,2\n3,4\n" * 20)
    (folder / "here").mkdir()
    os.symlink("../d.csv", folder / "here" / "3.safetensors")
    data = ("sweep", "d.csv", "--target", "y", "--hidden", 3)
    for options, message in [
        (("--checkpoint", "d.csv"), "--checkpoint d.csv is a file"),
        (("--checkpoint", "absent/kept"), "there is no folder absent"),
        (("--checkpoint", "new", "--output", "./new"), "--checkpoint and --output are the same file"),
        (("--checkpoint", "here", "--save", "here/../here/3.safetensors"), "would replace the data"),
        (("--checkpoint", "here"), "--checkpoint and the data are the same file"),
        (("--checkpoint", ".", "--networks", "3.safetensors"), "--checkpoint and --networks are the same"),
    ]:
        assert message in refused(*data, *options)
    assert sorted(os.listdir(folder)) == ["d.csv", "here"]


# The picture


def drawn(outcomes):
    figure = plots.draw_sweep(Sweep(outcomes, "validation accuracy", 1.0))
    figure.canvas.draw()
    return figure


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_plot_files(folder):
    pytest.importorskip("matplotlib")
    result = run(*SMALL, "--grid", "learning_rate=0.01,0.1", "--hidden", "3,2x2", "--plot", "a.png")
    assert result.stderr == "curves drawn into a.png\n"
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(run(*SMALL, "--plot", "a.svg", "--json").stdout)["n_networks"] == 3
    assert b"<svg" in (folder / "a.svg").read_bytes()


def test_one_parameter_is_drawn_in_its_order():
    pytest.importorskip("matplotlib")
    rates = [0.3, 0.1, 1.0]
    figure = drawn([outcome([0.9, 0.8], learning_rate=rate, l2=0.0) for rate in rates])
    (axis,) = figure.axes
    assert legend_of(figure) == ["0.1", "0.3", "1"]
    assert figure.legends[0].get_title().get_text() == "learning rate"
    assert axis.get_yscale() == "log"
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [1, 0.2])


def test_two_parameters_have_a_map():
    pytest.importorskip("matplotlib")
    rates, layouts = [0.1, 0.2, 0.5, 1.0, 2.0], [(8,), (16,)]
    outcomes = [
        outcome([rate - 0.1, rate, np.nan if rate > 1 else rate], hidden=hidden, learning_rate=rate)
        for rate in reversed(rates)
        for hidden in layouts
    ]
    figure = drawn(outcomes)
    losses, scores, _ = figure.axes
    assert len(losses.lines) == 8
    assert figure.legends[0].get_title().get_text() == "hidden units, learning rate (best 8 of 10)"
    assert [text.get_text() for text in scores.get_xticklabels()] == ["0.1", "0.2", "0.5", "1", "2"]
    assert [text.get_text() for text in scores.get_yticklabels()] == ["8", "16"]
    np.testing.assert_allclose(scores.images[0].get_array(), [[0.1, 0.2, 0.5, 1.0, 1.9]] * 2)


@pytest.mark.parametrize("n", [1, 300])
def test_pictures_of_odd_sweeps_are_drawn_without_warnings(n):
    pytest.importorskip("matplotlib")
    diverged = outcome([np.nan, np.nan, 0.5], epochs=n, learning_rate=0.1, momentum=0.5, l2=0.0)
    object.__setattr__(diverged, "curves", {name: np.full(n, np.nan) for name in diverged.curves})
    assert legend_of(drawn([diverged, outcome([0.5], epochs=n, learning_rate=0.2, momentum=0.4, l2=0.0)]))
    many = [
        outcome([np.nan], epochs=n, learning_rate=float(rate), l2=float(l2))
        for rate in range(15)
        for l2 in range(15)
    ]
    drawn(many)
    drawn([diverged])


def test_sweep_from_python():
    result = sweep(
        Split.of(load_dataset("wine"), 0.25, 0),
        [(4,)],
        {"learning_rate": [0.01, 0.1]},
        range(4),
        epochs=3,
        progress=False,
    )
    assert result.n_networks == 8
    assert result.epochs == 3
    assert result.varied == {"learning_rate": [0.01, 0.1]}
    assert result.fixed == {"hidden": "4"}
    best = result.outcomes[0]
    assert best.curves["median"][-1] == pytest.approx(best.loss())
    assert best.network.layer_sizes == (13, 4, 3)
