"""docs/formulas.md has every name that there is, and docs/differences.md the defaults that there are."""

import inspect
import re
from pathlib import Path

import pytest

import numbabp as nbp
from numbabp.functions.activations import ACTIVATIONS
from numbabp.functions.initializers import INITIALIZERS
from numbabp.functions.losses import LOSSES
from numbabp.kernels.update_rules import UPDATE_RULES
from numbabp.options import Options
from numbabp.schedules import SCHEDULE_OPTIONS

DOCS = Path(__file__).parents[2] / "docs"
FORMULAS = (DOCS / "formulas.md").read_text(encoding="utf-8")
DIFFERENCES = (DOCS / "differences.md").read_text(encoding="utf-8")
TABLES = {
    "Activations": ACTIVATIONS,
    "Losses": LOSSES,
    "Update rules": UPDATE_RULES,
    "Initial weights": INITIALIZERS,
    "Learning rates by epoch": SCHEDULE_OPTIONS,
}


def row(page: str, name: str) -> list[str]:
    """Cells of the row that begins with a name."""
    (found,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", page, re.MULTILINE)
    return [cell.strip() for cell in found.split(" | ")]


@pytest.mark.parametrize("title", TABLES)
def test_every_name_has_a_formula(title):
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", FORMULAS, re.MULTILINE | re.DOTALL)
    _, _, rows = section.partition("|---")  # the head apart
    assert sorted(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)) == sorted(TABLES[title])


def test_options_of_schedules_are_those_that_there_are():
    for name, options in SCHEDULE_OPTIONS.items():
        told = re.findall(r"`(\w+)`", row(FORMULAS, f"`{name}`")[-1])
        assert told == list(options), name


def test_defaults_are_as_told():
    options = Options()
    assert row(DIFFERENCES, "learning rate")[0].startswith(f"{options.learning_rate};")
    assert row(DIFFERENCES, "default $\\mu$")[0].startswith(f"{options.momentum},")
    assert row(DIFFERENCES, "adagrad's $\\epsilon$")[0].startswith("1e-8,") and options.epsilon == 1e-8
    assert row(DIFFERENCES, "rmsprop")[0].startswith(f"$\\rho = {options.rho}$")
    of_network = inspect.signature(nbp.Network).parameters
    assert row(DIFFERENCES, "weights")[0].startswith(f"`{of_network['init'].default}`")
    assert row(DIFFERENCES, "hidden activation")[0] == of_network["hidden_activation"].default
    of_fit = inspect.signature(nbp.Network.fit).parameters
    assert row(DIFFERENCES, "by default")[0] == f"after `epochs`, {of_fit['epochs'].default}"


def test_defaults_of_scikit_learn_are_as_told():
    from sklearn.neural_network import MLPClassifier

    theirs = MLPClassifier()
    assert row(DIFFERENCES, "learning rate")[1].startswith(f"{theirs.learning_rate_init};")
    assert row(DIFFERENCES, "default $\\mu$")[1].startswith(f"{theirs.momentum},")
    assert theirs.nesterovs_momentum and theirs.batch_size == "auto" and theirs.activation == "relu"
    ends = row(DIFFERENCES, "by default")[1]
    assert (
        str(theirs.max_iter) in ends
        and f"than {theirs.n_iter_no_change} epochs" in ends
        and theirs.tol == 1e-4
    )


def test_defaults_of_pytorch_are_as_told():
    optim = pytest.importorskip("torch.optim")

    def default(rule, name):
        return inspect.signature(getattr(optim, rule)).parameters[name].default

    assert default("Adam", "lr") == default("SGD", "lr") == 0.001 and default("SGD", "momentum") == 0
    assert default("AdamW", "weight_decay") == 0.01 and default("Adagrad", "eps") == 1e-10
    assert default("RMSprop", "alpha") == 0.99 and default("RMSprop", "eps") == 1e-8
    assert default("Rprop", "lr") == 0.01 and default("Rprop", "etas") == (0.5, 1.2)
    assert default("Rprop", "step_sizes") == (1e-6, 50)


def test_the_same_step_as_scikit_learn_takes_the_same_rate():
    """On one sample of two outputs, with half the squared error."""
    import numpy as np
    from sklearn.neural_network import MLPRegressor

    X, Y = np.array([[0.3, -0.7]]), np.array([[1.0, -2.0]])
    theirs = MLPRegressor(
        hidden_layer_sizes=(3,),
        activation="tanh",
        solver="sgd",
        momentum=0,
        alpha=0,
        learning_rate_init=0.1,
        random_state=0,
    )
    net = nbp.Network((2, 3, 2), hidden_activation="tanh")
    theirs.partial_fit(X, Y)
    before = [theirs.coefs_, theirs.intercepts_]
    net.weights, net.biases = ([part.copy() for part in parts] for parts in before)
    theirs.partial_fit(X, Y)
    net.partial_fit(X, Y, learning_rate=0.1)
    for ours, other in zip([*net.weights, *net.biases], [*theirs.coefs_, *theirs.intercepts_], strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-12, atol=1e-15)
