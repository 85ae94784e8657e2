"""The demos with settings of one's own, and the second one."""

import numpy as np
import pytest
from commands import refused, run, run_json

import numbabp as nbp
from numbabp.cli import plots, xor_experiments
from numbabp.cli.demos import spirals
from numbabp.data.datasets import two_spirals, xor


def test_xor_takes_settings():
    settings = ["--hidden", "4x3", "--activation", "tanh", "--init", "glorot_uniform", "--seed", 3]
    output = run("demo", "xor", *settings, "--learning-rate", 0.3, "--epochs", 120).stdout
    assert "learning rate 0.3" in output
    assert "A 2-4-3-1 network, tanh/tanh/sigmoid, weights by glorot_uniform." in output
    assert output.count("epoch ") == 11 and "epoch 119" in output
    result = run_json("demo", "xor", *settings, "--learning-rate", 0.3, "--epochs", 120)
    net = nbp.Network(
        (2, 4, 3, 1),
        hidden_activation="tanh",
        loss="binary_cross_entropy",
        init="glorot_uniform",
        random_state=3,
    )
    history = net.fit(*xor(), learning_rate=0.3, epochs=120)
    assert result["loss"] == (4 * history.loss).tolist()
    assert result["outputs"] == net.forward(xor()[0])[:, 0].tolist()


def test_settings_that_stay_as_they_are_are_not_told():
    output = run("demo", "xor", "--epochs", 20, "--hidden", 10).stdout
    assert "network" not in output and output.endswith("Not learnt.\n")
    assert run("demo", "xor", "--epochs", 500, "--seed", 0).stdout == run("demo", "xor").stdout


def test_zeros_and_no_hidden_layer_do_not_learn_it():
    for settings in (["--init", "zeros"], ["--hidden", "none"]):
        assert run("demo", "xor", *settings).stdout.endswith("Not learnt.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--zeros", "--epochs", 3], "--zeros is one run with known figures: leave out --epochs."),
        (["--faithful", "--learning-rate", 3, "--seed", 1], "leave out --seed, --learning-rate."),
        (["--hidden", "q"], "--hidden must be numbers of units"),
        (["--activation", "no"], "--activation no is not known; allowed: elu, "),
        (["--init", "no"], "--init no is not known; allowed: glorot_normal, "),
        (["--learning-rate", 0], "--learning-rate must not be 0"),
        (["--epochs", 0], "--epochs must be at least 1"),
        (["--seed", -1], "--seed"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    assert message in refused("demo", "xor", *arguments)


def test_the_picture_says_which_network_it_is_of():
    pytest.importorskip("matplotlib")
    figure = plots.draw_xor(xor_experiments.learn(epochs=3, hidden=(4, 3)))
    assert figure.axes[0].get_title() == "Exclusive or and a 2-4-3-1 network"


def test_spirals_are_wound_into_one_another():
    X, y = two_spirals()
    assert X.shape == (194, 2) and y.sum() == 97
    np.testing.assert_array_equal(X[y == 1], -X[y == 0])
    radius = np.hypot(*X.T)
    assert radius.max() == 3 and np.isclose(radius.min(), 3 * 8 / 104)
    turns = np.unwrap(np.arctan2(*X[y == 1].T)) / (2 * np.pi)
    assert np.isclose(turns[-1] - turns[0], 3)


def test_spirals_are_learnt():
    output = run("demo", "spirals").stdout
    lines = output.splitlines()
    assert lines[0].startswith("Two spirals of 194 points, a 2-32-32-1 network, relu/relu/sigmoid")
    n_right = int(lines[-1].split()[0])
    assert n_right >= 185  # other processors round otherwise
    drawn = [line for line in lines if set(line) == {"#", "."}]
    assert (len(drawn), {len(line) for line in drawn}) == (31, {61})
    found = run_json("demo", "spirals")
    assert (found["n_right"], found["n_samples"]) == (n_right, 194)
    assert len(found["loss"]) == 1000


def test_what_the_plane_shows_is_what_the_network_says():
    network, _ = spirals.learn(epochs=2, hidden=(3,))
    drawn = spirals.plane(network).splitlines()
    # the first line is the top
    corner = network.forward([[-spirals.REACH, spirals.REACH], [spirals.REACH, -spirals.REACH]])[:, 0]
    assert [drawn[0][0], drawn[-1][-1]] == ["#" if value > 0.5 else "." for value in corner]


def test_spirals_take_settings_and_draw(folder):
    pytest.importorskip("matplotlib")
    settings = ["--hidden", 5, "--epochs", 3, "--learning-rate", 0.5, "--activation", "tanh"]
    found = run("demo", "spirals", *settings, "--plot", "a.png")
    assert "2-5-1 network, tanh/sigmoid" in found.stdout and "learning rate 0.5" in found.stdout
    assert "decision boundary drawn into a.png" in found.stderr
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    assert ".png, .svg or .pdf" in refused("demo", "spirals", "--plot", "a.txt")
