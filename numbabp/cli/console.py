"""What all commands share: errors in one line, exit statuses, JSON and tables on the terminal."""

import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.models import OptionInfo

from ..errors import DivergenceError, NoGPUError
from ..training.progress import compiling_said, new_console
from .process.signals import SIGNALS
from .process.streams import give_up, is_of_output, tell

BAD_INPUT = 2
CALLED = {"hidden_activation": "activation", "layer_sizes": "hidden", "random_state": "seed"}
"""Arguments of the package whose options are called otherwise."""
BEGINNING = r"(?:^|(?<=[;.,] ))"
"""Of what is said of an argument."""
IN_GRID = ("learning_rate", "momentum", "l2")
"""Those that a sweep takes many values of."""


class Commands(TyperGroup):
    """Says what is wrong with a command line in one line, and nothing to a reader that has gone."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        """Run a command, and exit with its status."""
        if not options.get("standalone_mode", True):
            return super().main(args, *others, **options)
        options["standalone_mode"] = False
        try:
            status = super().main(args, *others, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            give_up(sys.stdout)
            status = 1
        except OSError as error:
            if not is_of_output(error):
                raise
            give_up(sys.stdout)
            tell(f"standard output: {error.strerror or error}.")
            status = 1
        except Exception as error:
            # typer's usage errors have no public base class, and another one in every few versions
            if not hasattr(error, "format_message"):
                raise
            tell(" ".join(error.format_message().split()))
            status = getattr(error, "exit_code", BAD_INPUT)
        sys.exit(status)

    def resolve_command(self, *arguments: Any) -> Any:
        """The command that is named; an error names those that there are, unless one is alike."""
        try:
            return super().resolve_command(*arguments)
        except Exception as error:
            message = getattr(error, "message", "")
            if message.startswith("No such command") and "Did you mean" not in message:
                error.message = f"{message.rstrip('.')}; there are: {', '.join(self.commands)}."  # type: ignore[attr-defined]
            raise


Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Turn errors that the user can mend into one line and an exit status, without a traceback."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            with compiling_said():
                command(*args, **kwargs)
        except KeyboardInterrupt as error:
            message, status = SIGNALS.line(error), SIGNALS.status()
        except MemoryError as error:
            message, status = f"not enough memory: {error}", BAD_INPUT
        except (ValueError, DivergenceError, NoGPUError, OSError, ImportError) as error:
            if isinstance(error, OSError) and is_of_output(error):
                raise  # which `Commands` deals with
            message, status = naming_options(_message(error), command), BAD_INPUT
        else:
            return
        tell(message)
        raise typer.Exit(status)

    return wrapper


def naming_options(message: str, command: Callable[..., None]) -> str:
    """What an error of the package says, with the options of the command for the arguments that it names.

    They are replaced where they have a value, as in ``schedule='no'``, or must be something: elsewhere they
    may be words, or names of columns.
    """
    options = _options_of(command)
    for name, option in options.items():
        message = re.sub(rf"(?<![\w.'\"/-]){name}=('?)([\w.+:-]*\w)\1(?!\w)", rf"{option} \2", message)
        message = re.sub(rf"{BEGINNING}{name}(?= must )", option, message)
    if "grid" in options:
        message = re.sub(rf"{BEGINNING}({'|'.join(IN_GRID)})(?= must )", r"--grid \1", message)
    return message


def _options_of(command: Callable[..., None]) -> dict[str, str]:
    """Of each argument that the package may name, what sets it."""
    options = {}
    for name, parameter in signature(command).parameters.items():
        for option in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(option, OptionInfo):
                declared = [text.partition("/")[0] for text in option.param_decls or ()]
                options[name] = next(iter(declared), "--" + name.replace("_", "-"))
    return {**options, **{other: options[own] for other, own in CALLED.items() if own in options}}


def _message(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, DivergenceError):  # its own message names arguments that the command line lacks
        return (
            f"training diverged in epoch {error.epoch} at training row {error.sample + 1} with learning rate "
            f"{error.learning_rate:g}: the loss or the weights are no longer finite, or beyond any use. "
            "Nothing is saved; try a lower --learning-rate."
        )
    if isinstance(error, OSError) and error.filename is not None:  # the system's number says nothing to users
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def help_alone(context: typer.Context) -> None:
    """Print the help of a group that is called without a command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def print_json(value: Any) -> None:
    """Print a value as JSON, with null for NaN and infinity."""
    typer.echo(json_text(value))


def json_text(value: Any) -> str:
    """A value as JSON, likewise."""
    return json.dumps(_without_nan(value), indent=1, allow_nan=False)


def warn(message: str) -> None:
    """Tell on standard error what a user should know of a result."""
    tell(f"warning: {message}")


def _without_nan(value: Any) -> Any:
    """The same with null for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def new_table(*columns: str) -> Any:
    """A table of rich, with a heading where columns have names."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, show_header=any(columns), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Any) -> None:
    """Print a table on standard output."""
    new_console().print(table)
