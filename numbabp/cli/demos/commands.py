"""The commands. Heavy imports stand inside them, so that help answers at once."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Commands, Json, help_alone, reported
from ..parameters import hidden_layers
from ..process.outputs import check_outputs

demo_app = typer.Typer(help="Small experiments to learn from.", cls=Commands, invoke_without_command=True)

SETTINGS: dict[str, tuple[str, Any]] = {
    "epochs": ("epochs", Annotated[int | None, typer.Option(help="Passes over the samples.")]),
    "hidden": (
        "hidden",
        Annotated[
            str | None, typer.Option(help="Units of the hidden layers, such as 10; 10x5 for two; or none.")
        ],
    ),
    "seed": (
        "random_state",
        Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Of the weights and the shuffles.")],
    ),
    "learning_rate": ("learning_rate", Annotated[float | None, typer.Option(help="Learning rate.")]),
    "init": (
        "init",
        Annotated[
            str | None,
            typer.Option(help="lecun_normal, zeros, glorot_uniform, glorot_normal, he_normal, he_uniform."),
        ],
    ),
    "activation": (
        "activation",
        Annotated[
            str | None,
            typer.Option(
                help="Of hidden layers: identity, sigmoid, tanh, relu, leaky_relu, elu, softplus, silu, gelu."
            ),
        ],
    ),
}
"""How a demo's network is made and trained: the argument that each option becomes, and its type."""
Plot = Annotated[Path | None, typer.Option(help="Draw a picture into this file (PNG, SVG, PDF).")]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `SETTINGS`; it gets those that are there as one dict, `given`."""

    @wraps(command)
    def taking_settings(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in SETTINGS}
        if given["hidden"] is not None:
            given["hidden"] = hidden_layers(given["hidden"])
        command(given={name: value for name, value in given.items() if value is not None}, **arguments)

    parameters = [
        *(
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, (_, kind) in SETTINGS.items()
        ),
        *(
            p.replace(kind=Parameter.KEYWORD_ONLY)
            for p in signature(command).parameters.values()
            if p.name != "given"
        ),
    ]
    # from where Typer and the messages take the options
    taking_settings.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    taking_settings.__annotations__ = {p.name: p.annotation for p in parameters}
    return taking_settings


def arguments_of(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments of an experiment for the settings that are given."""
    return {SETTINGS[name][0]: value for name, value in given.items()}


@demo_app.callback()
def _demo(context: typer.Context) -> None:
    help_alone(context)


@demo_app.command()
@reported
@with_settings
def xor(
    given: dict[str, Any],
    zeros: Annotated[
        bool,
        typer.Option(
            "--zeros",
            help="Start from weights of zero, and fail: the notebook's run at learning rate -1, then +1.",
        ),
    ] = False,
    faithful: Annotated[
        bool, typer.Option("--faithful", help="The course notebook's run, with its exact figures.")
    ] = False,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Teach a network exclusive or.

    By default 2-10-1, sigmoid, lecun_normal weights of seed 0, learning rate 1, 500 epochs.
    """
    from .. import plots
    from ..reports import report_xor
    from ..xor_experiments import EXPERIMENTS, learn

    if zeros and faithful:
        raise ValueError("--zeros and --faithful are two experiments: choose one.")
    if given and (zeros or faithful):
        raise ValueError(
            f"{'--zeros' if zeros else '--faithful'} is one run with known figures: leave out "
            f"{', '.join('--' + name.replace('_', '-') for name in given)}."
        )
    if plot is not None:
        plots.check(plot)
    check_outputs({"--plot": plot}, {})
    name = "zeros" if zeros else "faithful" if faithful else "learn"
    run = EXPERIMENTS[name]() if zeros or faithful else learn(**arguments_of(given))
    if plot is not None:
        plots.write(plots.draw_xor(run), plot)
        typer.echo(f"curves drawn into {plot}", err=True)
    report_xor(name, run, as_json)


@demo_app.command()
@reported
@with_settings
def spirals(
    given: dict[str, Any],
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Teach a network to tell two spirals apart.

    By default 2-32-32-1, relu, he_normal weights of seed 0, learning rate 0.01, 1000 epochs.
    """
    from .. import plots
    from .spirals import draw, learn, report

    if plot is not None:
        plots.check(plot)
    check_outputs({"--plot": plot}, {})
    network, history = learn(**arguments_of(given))
    if plot is not None:
        plots.write(draw(network), plot)
        typer.echo(f"decision boundary drawn into {plot}", err=True)
    report(network, history, as_json)
