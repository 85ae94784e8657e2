"""The command line. Heavy imports stand inside the commands, so that help and version answer at once."""

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from . import __version__

if TYPE_CHECKING:
    import numpy as np

    from .history import History
    from .network import Network

BAD_INPUT = 2
INTERRUPTED = 130


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
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
            status = 1
        except Exception as error:
            # typer's usage errors have no public base class, and another one in every few versions
            if not hasattr(error, "format_message"):
                raise
            typer.echo(f"numbabp: {' '.join(error.format_message().split())}", err=True)
            status = getattr(error, "exit_code", BAD_INPUT)
        sys.exit(status)


app = typer.Typer(
    name="numbabp",
    help="Exact per-sample training of dense neural networks, compiled.",
    cls=Commands,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
)
demo_app = typer.Typer(help="Small experiments to learn from.")
app.add_typer(demo_app, name="demo")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]


class Task(StrEnum):
    """What is to be predicted."""

    auto = "auto"
    classification = "classification"
    regression = "regression"


def main() -> None:
    """Run the command line."""
    app()


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Turn errors that the user can mend into one line and an exit status, without a traceback."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("numbabp: interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise
        except MemoryError as error:
            typer.echo(f"numbabp: not enough memory: {error}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        except (ValueError, ArithmeticError, OSError, ImportError) as error:
            if isinstance(error, ArithmeticError):
                from .training import DivergenceError

                if not isinstance(error, DivergenceError):
                    raise
            if isinstance(error, OSError) and error.filename is not None:
                message = f"{error.filename}: {error.strerror}"
            else:
                message = " ".join(str(error).split())
            typer.echo(f"numbabp: {message}", err=True)
            raise typer.Exit(BAD_INPUT) from None

    return wrapper


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"numbabp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@demo_app.command()
@reported
def xor(
    zeros: Annotated[bool, typer.Option("--zeros", help="Start from weights of zero, and fail.")] = False,
    faithful: Annotated[
        bool, typer.Option("--faithful", help="The course notebook's run, with its exact figures.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves into this file (PNG, SVG, PDF).")] = None,
    as_json: Json = False,
) -> None:
    """Teach a 2-10-1 network exclusive or."""
    from . import xor_experiments
    from .datasets import xor as xor_samples

    if zeros and faithful:
        raise ValueError("--zeros and --faithful are two experiments: choose one.")
    if zeros:
        run = xor_experiments.zeros()
    elif faithful:
        run = xor_experiments.faithful()
    else:
        run = xor_experiments.learn()
    outputs = run.network.forward(xor_samples()[0])[:, 0]
    if plot is not None:
        _plot_xor(run, plot)
    if as_json:
        _print_json(
            {
                "loss": run.losses.tolist(),
                "accuracy": run.accuracies.tolist(),
                "outputs": outputs.tolist(),
                "weights": [weights.tolist() for weights in run.network.weights],
                "biases": [biases.tolist() for biases in run.network.biases],
                "weights_by_epoch": [[layer.tolist() for layer in weights] for weights in run.weights],
            }
        )
        return
    if not (zeros or faithful):
        typer.echo("Binary cross-entropy, learning rate 1, the four samples in a new order every epoch.")
    n_epochs = len(run.losses)
    for epoch in range(n_epochs):
        if faithful or zeros or epoch % 50 == 0 or epoch == n_epochs - 1:
            loss, accuracy = float(run.losses[epoch]), run.accuracies[epoch]
            typer.echo(f"epoch {epoch:3d}   loss {loss!r:<20}   accuracy {accuracy:g} %")
    if zeros:
        typer.echo("\nWeights after each epoch, a column a hidden unit:")
        for epoch, (first, second) in enumerate(run.weights):
            for name, row in (("from a", first[0]), ("from b", first[1]), ("to output", second[:, 0])):
                typer.echo(f"epoch {epoch}  {name:9}  " + " ".join(f"{value:.8f}" for value in row))
        typer.echo(
            "The hidden units begin equal, get equal gradients, and never differ: ten do the work of one."
        )
        return
    typer.echo("\n a  b   wanted   output")
    for (a, b), wanted, output in zip(*xor_samples(), outputs, strict=True):
        typer.echo(f" {a:.0f}  {b:.0f}   {wanted:6.0f}   {output:.4f}")
    solved = all(
        (output > 0.5) == (wanted > 0.5) for output, wanted in zip(outputs, xor_samples()[1], strict=True)
    )
    typer.echo("Learnt: every output is on the right side of 1/2." if solved else "Not learnt.")


@app.command()
@reported
def smoke(as_json: Json = False) -> None:
    """Train XOR through every kernel available here and check the figures."""
    from dataclasses import asdict

    from . import smoke as smoke_run

    rows = smoke_run.run()
    failed = any(row.passed is False for row in rows)
    if as_json:
        _print_json({"passed": not failed, "rows": [asdict(row) for row in rows]})
    else:
        table = _table("device", "kernel", "dtype", "ns/step", "CUPS", "largest error", "")
        for row in rows:
            verdict = {True: "pass", False: "FAIL", None: ""}[row.passed]
            table.add_row(
                row.device,
                row.kernel,
                row.dtype,
                "" if row.ns_per_step is None else f"{row.ns_per_step:.1f}",
                "" if row.cups is None else f"{row.cups:.3g}",
                "" if row.largest_error is None else f"{row.largest_error:.1e}",
                " ".join(filter(None, (verdict, row.note))),
            )
        _print(table)
    if failed:
        raise typer.Exit(1)


@app.command()
@reported
def train(
    data: Annotated[
        Path | None, typer.Argument(help="CSV or TSV with a header, NPZ, or Parquet (with pyarrow).")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Instead of a file: xor, iris, wine, breast_cancer, digits, diabetes.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where to save the model.")] = None,
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers, such as 100 or 100,50.")] = "100",
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = "relu",
    epochs: Annotated[int, typer.Option(help="Passes over the samples.")] = 50,
    learning_rate: Annotated[float, typer.Option(help="First learning rate.")] = 0.01,
    schedule: Annotated[
        str, typer.Option(help="constant, invscaling, exponential, step, cosine, adaptive.")
    ] = "constant",
    update_rule: Annotated[
        str, typer.Option(help="sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw.")
    ] = "sgd",
    batch_size: Annotated[int, typer.Option(help="Samples a step.")] = 1,
    l2: Annotated[float, typer.Option(help="L2 penalty.")] = 0.0,
    validation_fraction: Annotated[
        float, typer.Option(help="Part of the rows set aside to measure on; 0 for none.")
    ] = 0.2,
    early_stopping: Annotated[
        bool, typer.Option("--early-stopping", help="Stop when the validation loss no longer improves.")
    ] = False,
    task: Annotated[
        Task, typer.Option(help="auto: classes for text, or for up to 20 whole numbers.")
    ] = Task.auto,
    ignore: Annotated[str, typer.Option(help="Columns to leave out, such as id,date.")] = "",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the weights, the shuffles and the validation rows.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Train a network on a table and save it.

    Features are standardised with the training rows' means and deviations (so is a numerical target), which
    are saved with the model. Text features and missing values are errors that name column and row.
    """
    import numpy as np

    from .datasets import load_dataset
    from .tables import read_table

    if (data is None) == (dataset is None):
        raise ValueError("give either a file or --dataset.")
    if not 0 <= validation_fraction < 1:
        raise ValueError(
            f"--validation-fraction must be at least 0 and less than 1, got {validation_fraction}."
        )
    sizes = _sizes(hidden)
    if output is not None:
        _check_writable(output)
    if dataset is not None:
        if target is not None or ignore or task is not Task.auto:
            raise ValueError("--target, --task and --ignore go with a file: a --dataset has its own.")
        loaded = load_dataset(dataset)
        names, target_name, kind = loaded.feature_names, loaded.target_name, loaded.task
        X, y = loaded.X, loaded.y
    else:
        assert data is not None
        if target is None:
            raise ValueError("name the column to predict with --target.")
        table = read_table(data)
        y, kind = table.target(target, task.value)
        left_out = {target, *filter(None, map(str.strip, ignore.split(",")))}
        for name in left_out:
            table.column(name)
        names, target_name = [name for name in table.columns if name not in left_out], target
        X = table.features(names)
    order = np.random.RandomState(seed).permutation(len(X))
    n_validation = int(validation_fraction * len(X))  # none of XOR's four
    held_out, kept = order[:n_validation], order[n_validation:]
    if len(kept) < 2:
        raise ValueError(f"{len(X)} rows are too few to train on.")
    model = _Pipeline.fitted(X[kept], y[kept], y, kind, names, target_name)
    network = model.new_network(sizes, activation, dtype, seed)
    history = network.fit(
        model.inputs(X[kept]),
        model.targets(y[kept]),
        learning_rate=learning_rate,
        epochs=epochs,
        schedule=schedule,
        update_rule=update_rule,
        batch_size=batch_size,
        l2=l2,
        monitor=() if kind == "classification" else ("squared_error",),
        validation_data=(model.inputs(X[held_out]), model.targets(y[held_out])) if n_validation else None,
        early_stopping=early_stopping,
        progress=False if as_json else None,
    )
    scores = {"training": model.score(network, X[kept], y[kept])}
    if n_validation:
        scores["validation"] = model.score(network, X[held_out], y[held_out])
    if output is not None:
        model.save(network, output)
    _report_training(network, history, model, scores, len(kept), n_validation, output, as_json)


@app.command()
@reported
def predict(
    model: Annotated[Path, typer.Argument(help="Model saved by numbabp train.")],
    data: Annotated[Path, typer.Argument(help="Table with the model's feature columns.")],
    output: Annotated[Path | None, typer.Option(help="CSV file to write instead of printing.")] = None,
    as_json: Json = False,
) -> None:
    """Predict with a saved model: a column of predictions, and of each class's probability."""
    import csv
    import io

    from .storage import load_with_metadata, write_atomically
    from .tables import read_table

    network, settings = load_with_metadata(model)
    pipeline = _Pipeline.loaded(model, settings, network)
    table = read_table(data)
    columns = pipeline.predictions(network, table.features(pipeline.feature_names))
    if as_json:
        _print_json({name: column.tolist() for name, column in columns.items()})
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    if output is None:
        sys.stdout.write(text.getvalue())
    else:
        write_atomically(output, lambda file: file.write(text.getvalue().encode()))
        typer.echo(f"{table.n_rows} predictions written to {output}.")


@app.command()
@reported
def info(
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure what the planner should expect; some minutes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show versions, processor, threads, GPU, cache folder and where the planner's constants are from."""
    import platform

    import llvmlite.binding as llvm
    import numba
    import numpy
    import scipy
    import sklearn

    from .kernels.sequential import train_sgd
    from .machine import Machine, settings_path, this_machine
    from .smoke import gpu_name

    if calibrate:
        _calibrate()
    features = llvm.get_host_cpu_features()
    cache = getattr(train_sgd, "_cache", None)
    facts = {
        "numbabp": __version__,
        "python": platform.python_version(),
        "numba": numba.__version__,
        "llvm": ".".join(map(str, llvm.llvm_version_info)),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "platform": platform.platform(),
        "processor": llvm.get_host_cpu_name(),
        "vector extensions": [
            name for name in ("sse4.2", "avx", "avx2", "fma", "avx512f", "neon", "sve") if features.get(name)
        ],
        "threads": numba.config.NUMBA_NUM_THREADS,
        "gpu": gpu_name() or "none",
        "planner's constants": "built in" if this_machine() == Machine() else str(settings_path()),
        "cache folder": getattr(cache, "cache_path", None) or "none: kernels are compiled in every process",
    }
    if as_json:
        _print_json(facts)
        return
    table = _table("", "")
    for name, value in facts.items():
        table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    _print(table)


def _calibrate() -> None:
    """Fit the planner's constants to this machine and keep them."""
    from rich.console import Console

    from .calibration import calibrate
    from .machine import keep

    console = Console(stderr=True)
    with console.status("measuring") as status:
        machine, error = calibrate(lambda text: status.update(f"measuring {text}"))
        path = keep(machine)
    console.print(
        f"Predictions are {100 * error:.0f} % off (root mean square); the constants are kept in {path}."
    )


class _Pipeline:
    """A network with what stands before and behind it: standardised columns in, labels or units out."""

    def __init__(self, settings: dict[str, Any]) -> None:
        import numpy as np

        self.settings = settings
        self.feature_names: list[str] = settings["feature_names"]
        self.classes = None if settings["classes"] is None else np.array(settings["classes"])
        self._mean, self._scale = np.array(settings["mean"]), np.array(settings["scale"])

    @classmethod
    def fitted(
        cls,
        X: "np.ndarray",
        y: "np.ndarray",
        all_y: "np.ndarray",
        task: str,
        feature_names: list[str],
        target_name: str,
    ) -> "_Pipeline":
        """From the training rows, with the classes of all rows."""
        import numpy as np

        def mean_and_scale(values: np.ndarray, names: list[str]) -> tuple[list[float], list[float]]:
            with np.errstate(over="ignore", invalid="ignore"):
                mean, scale = values.mean(axis=0), values.std(axis=0)
            for name in np.array(names)[~np.isfinite(scale)]:
                raise ValueError(f"column {str(name)!r} has values too large to be standardised.")
            return mean.tolist(), np.where(scale > 0, scale, 1.0).tolist()

        classes = np.unique(all_y).tolist() if task == "classification" else None
        mean, scale = mean_and_scale(X, feature_names)
        target_mean, target_scale = (
            ([0.0], [1.0]) if classes else mean_and_scale(y[:, np.newaxis], [target_name])
        )
        return cls(
            {
                "feature_names": feature_names,
                "target_name": target_name,
                "classes": classes,
                "mean": mean,
                "scale": scale,
                "target_mean": target_mean[0],
                "target_scale": target_scale[0],
            }
        )

    @classmethod
    def loaded(cls, path: Path, settings: dict[str, Any], network: "Network") -> "_Pipeline":
        """From a model file's metadata, if they fit its network."""
        if "feature_names" not in settings:
            raise ValueError(f"{path}: a network, but not one saved by numbabp train: load it from Python.")

        def is_list(value: Any, kind: Any, length: int) -> bool:
            return (
                isinstance(value, list) and len(value) == length and all(isinstance(v, kind) for v in value)
            )

        number, classes = int | float, settings.get("classes")
        n_outputs = (
            1 if classes is None or (isinstance(classes, list) and len(classes) == 2) else network.n_outputs
        )
        n_classes = 2 if n_outputs == 1 else n_outputs
        if not (
            n_outputs == network.n_outputs
            and (classes is None or is_list(classes, str, n_classes))
            and is_list(settings["feature_names"], str, network.n_inputs)
            and is_list(settings.get("mean"), number, network.n_inputs)
            and is_list(settings.get("scale"), number, network.n_inputs)
            and isinstance(settings.get("target_name"), str)
            and isinstance(settings.get("target_mean"), number)
            and isinstance(settings.get("target_scale"), number)
        ):
            raise ValueError(
                f"{path}: what its metadata say of columns and classes does not fit the network."
            )
        return cls(settings)

    def save(self, network: "Network", path: Path) -> None:
        """Write network and settings."""
        from .storage import save

        save(network, path, self.settings)

    def new_network(self, hidden: tuple[int, ...], activation: str, dtype: str, seed: int) -> "Network":
        """Network of the right size: one output for two classes or a number, else one a class."""
        from .network import Network

        n_outputs = 1 if self.classes is None or len(self.classes) == 2 else len(self.classes)
        if self.classes is None:
            loss = "squared_error"
        else:
            loss = "binary_cross_entropy" if n_outputs == 1 else "categorical_cross_entropy"
        return Network(
            (len(self.feature_names), *hidden, n_outputs),
            hidden_activation=activation,
            loss=loss,
            init="he_normal" if activation.endswith("relu") else "glorot_uniform",
            dtype=dtype,
            random_state=seed,
        )

    def inputs(self, X: "np.ndarray") -> "np.ndarray":
        """Standardised features."""
        return (X - self._mean) / self._scale

    def targets(self, y: "np.ndarray") -> "np.ndarray":
        """Class indices, or the standardised target."""
        import numpy as np

        if self.classes is None:
            return (y - self.settings["target_mean"]) / self.settings["target_scale"]
        return np.searchsorted(self.classes, y)

    def predictions(self, network: "Network", X: "np.ndarray") -> "dict[str, np.ndarray]":
        """Columns of predictions and of probabilities."""
        import numpy as np

        outputs = network.forward(self.inputs(X))
        target = self.settings["target_name"]
        if self.classes is None:
            return {target: outputs[:, 0] * self.settings["target_scale"] + self.settings["target_mean"]}
        if outputs.shape[1] == 1:
            outputs = np.hstack([1 - outputs, outputs])
        columns = {target: self.classes[outputs.argmax(axis=1)]}
        columns.update({f"P({name})": outputs[:, k] for k, name in enumerate(self.classes)})
        return columns

    def score(self, network: "Network", X: "np.ndarray", y: "np.ndarray") -> float:
        """Accuracy, or R^2."""
        predicted = self.predictions(network, X)[self.settings["target_name"]]
        if self.classes is not None:
            return float((predicted == y).mean())
        spread = ((y - y.mean()) ** 2).sum()
        return float(1 - ((y - predicted) ** 2).sum() / spread) if spread > 0 else float("nan")


def _report_training(
    network: "Network",
    history: "History",
    model: _Pipeline,
    scores: dict[str, float],
    n_training: int,
    n_validation: int,
    output: Path | None,
    as_json: bool,
) -> None:
    metric = "R^2" if model.classes is None else "accuracy"
    if as_json:
        _print_json(
            {
                "layer_sizes": network.layer_sizes,
                "n_training": n_training,
                "n_validation": n_validation,
                "metric": metric,
                "scores": scores,
                "history": history.to_dict(),
                "output": None if output is None else str(output),
            }
        )
        return
    steps = history.n_epochs * n_training
    typer.echo(f"{'-'.join(map(str, network.layer_sizes))} network, {n_training} training rows")
    typer.echo(
        f"{history.n_epochs} epochs in {history.seconds:.3g} s ({history.seconds / steps * 1e6:.3g} us a "
        f"sample), {history.stop_reason}; last loss {history.loss[-1]:.6g}"
    )
    for part, score in scores.items():
        typer.echo(f"{part} {metric} {score:.4f}")
    if output is not None:
        typer.echo(f"saved to {output}")


def _sizes(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(
            f"--hidden must be numbers of units such as 100 or 100,50, or empty for none, got {text!r}."
        )
    return tuple(map(int, parts))


def _check_writable(path: Path) -> None:
    """Before any work is done, see whether its result can be saved."""
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}.")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} exists and is not a regular file.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: no permission to write in {path.parent}.")


def _plot_xor(run: Any, path: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        raise ImportError("--plot needs matplotlib; install numbabp with the extra 'plot'.") from None
    import io

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from .storage import write_atomically

    kind = path.suffix.lower().lstrip(".")
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    if kind not in figure.canvas.get_supported_filetypes():
        plt.close(figure)
        raise ValueError(f"{path}: --plot files must end in .png, .svg or .pdf.")
    epochs = range(len(run.losses))
    (loss,) = axis.plot(epochs, run.losses, color="tab:blue", label="loss, sum of the 4 samples")
    axis.set(xlabel="epoch", ylabel="binary cross-entropy", title="A 2-10-1 network learns exclusive or")
    right = axis.twinx()
    (accuracy,) = right.step(
        epochs, run.accuracies, color="tab:orange", where="mid", alpha=0.7, label="accuracy"
    )
    right.set(ylabel="accuracy in percent", ylim=(-3, 103))
    axis.set_ylim(bottom=0)
    figure.legend(handles=[loss, accuracy], loc="outside lower center", ncols=2)
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=150)
    plt.close(figure)
    write_atomically(path, lambda file: file.write(picture.getvalue()))
    typer.echo(f"curves drawn into {path}", err=True)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(_without_nan(value), indent=1, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """The same with null for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(*columns: str) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, show_header=any(columns), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console()
    Console(width=None if console.is_terminal else 140).print(table)
