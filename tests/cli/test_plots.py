"""What pictures show: axes, ticks and titles."""

import numpy as np
import pytest
from commands import run

from numbabp.cli import plots
from numbabp.cli.scoring import pictures
from numbabp.cli.scoring.evaluation import of_numbers
from numbabp.cli.xor_experiments import learn
from numbabp.history import History

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(
    ("n_epochs", "ticks"),
    [
        (1, [1]),
        (7, [1, 2, 3, 4, 5, 6, 7]),
        (12, [1, 2, 4, 6, 8, 10, 12]),
        (50, [1, 10, 20, 30, 40, 50]),
        (73, [1, 10, 20, 30, 40, 50, 60, 73]),
        (1000, [1, 200, 400, 600, 800, 1000]),
    ],
)
def test_ticks_are_at_round_epochs_and_the_last(n_epochs, ticks):
    from matplotlib.figure import Figure

    axis = Figure().subplots()
    plots.tick_epochs(axis, n_epochs)
    assert axis.get_xticks().tolist() == ticks


def test_losses_have_plain_figures():
    losses = np.geomspace(0.6, 0.03, 20)
    history = History({"loss": losses}, learning_rate=np.full(20, 0.1), seconds=1.0)
    numbers = of_numbers("y", np.arange(5.0), np.arange(5.0))
    figure = pictures.draw_training(history, "squared_error", [numbers], "validation R^2 1.0000")
    figure.canvas.draw()
    axis = figure.axes[0]
    labels = {label.get_text() for label in axis.get_yticklabels(which="both")}
    assert {"0.1", "0.05", "0.2", "0.5"} <= labels
    assert not any("times" in label for label in labels)
    assert axis.get_xticks()[-1] == 20


def test_loss_of_xor_stands_before_the_accuracy_from_the_same_zero():
    figure = plots.draw_xor(learn(epochs=30))
    loss, accuracy = figure.axes
    assert (loss.get_ylim()[0], accuracy.get_ylim()[0]) == (0, 0)
    assert loss.get_ylim()[1] > loss.lines[0].get_ydata().max()
    assert loss.get_zorder() > accuracy.get_zorder()
    assert not loss.patch.get_visible()  # which would hide what is behind


@pytest.mark.parametrize(("dataset", "said"), [("iris", "accuracy"), ("diabetes", "R^2")])
def test_evaluate_has_the_score_in_its_picture(folder, monkeypatch, dataset, said):
    from sklearn import datasets

    titles = []
    monkeypatch.setattr(plots, "write", lambda figure, path: titles.append(figure.axes[0].get_title()))
    X, y = getattr(datasets, f"load_{dataset}")(return_X_y=True)
    np.savez(folder / "d.npz", X=X, y=y)
    told = run(
        "train", "d.npz", "--target", "y", "--epochs", 2, "--validation-fraction", 0, "--output", "net"
    )
    run("evaluate", "net", "d.npz", "--plot", "a.png")
    score = next(line for line in told.stdout.splitlines() if line.startswith("training ")).split()[-1]
    assert titles == [f"net on d.npz: {said} {score}".replace("R^2", "R$^2$")]
