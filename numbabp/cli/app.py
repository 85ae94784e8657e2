"""The command line. Heavy imports stand inside the commands, so that help and version answer at once."""

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__
from .console import Commands, Json, new_table, print_json, print_table, reported

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..data.pipeline import Split

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


class Task(StrEnum):
    """What is to be predicted."""

    auto = "auto"
    classification = "classification"
    regression = "regression"


Data = Annotated[
    Path | None, typer.Argument(help="CSV or TSV with a header, NPZ, or Parquet (with pyarrow).")
]
Target = Annotated[str | None, typer.Option(help="Column to predict.")]
DatasetName = Annotated[
    str | None,
    typer.Option("--dataset", help="Instead of a file: xor, iris, wine, breast_cancer, digits, diabetes."),
]
TaskName = Annotated[Task, typer.Option(help="auto: classes for text, or for up to 20 whole numbers.")]
Ignore = Annotated[str, typer.Option(help="Columns to leave out, such as id,date.")]
ValidationFraction = Annotated[
    float, typer.Option(help="Part of the rows set aside to measure on; 0 for none.")
]
Activation = Annotated[str, typer.Option(help="Of the hidden layers.")]
Epochs = Annotated[int, typer.Option(help="Passes over the samples.")]
Dtype = Annotated[str, typer.Option(help="float32 or float64.")]
Device = Annotated[
    str,
    typer.Option(help="auto (a GPU where that is predicted to be faster), cpu, cuda, or cuda:N of several."),
]


def main() -> None:
    """Run the command line."""
    app()


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
    from ..data.datasets import xor as xor_samples
    from . import plots, xor_experiments

    if zeros and faithful:
        raise ValueError("--zeros and --faithful are two experiments: choose one.")
    if plot is not None:
        plots.check(plot)
    if zeros:
        run = xor_experiments.zeros()
    elif faithful:
        run = xor_experiments.faithful()
    else:
        run = xor_experiments.learn()
    outputs = run.network.forward(xor_samples()[0])[:, 0]
    if plot is not None:
        plots.write(plots.draw_xor(run), plot)
        typer.echo(f"curves drawn into {plot}", err=True)
    if as_json:
        print_json(
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
    from . import smoke as smoke_run
    from .reports import report_smoke

    if not report_smoke(smoke_run.run, as_json):
        raise typer.Exit(1)


@app.command()
@reported
def train(
    data: Data = None,
    target: Target = None,
    dataset: DatasetName = None,
    output: Annotated[Path | None, typer.Option(help="Where to save the model.")] = None,
    hidden: Annotated[
        str,
        typer.Option(help="Units of the hidden layers, such as 100, or 100x50 or 100,50 for two; or none."),
    ] = "100",
    activation: Activation = "relu",
    epochs: Epochs = 50,
    learning_rate: Annotated[float, typer.Option(help="First learning rate.")] = 0.01,
    schedule: Annotated[
        str, typer.Option(help="constant, invscaling, exponential, step, cosine, adaptive.")
    ] = "constant",
    update_rule: Annotated[
        str, typer.Option(help="sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw.")
    ] = "sgd",
    batch_size: Annotated[int, typer.Option(help="Samples a step.")] = 1,
    l2: Annotated[float, typer.Option(help="L2 penalty.")] = 0.0,
    validation_fraction: ValidationFraction = 0.2,
    early_stopping: Annotated[
        bool, typer.Option("--early-stopping", help="Stop when the validation loss no longer improves.")
    ] = False,
    task: TaskName = Task.auto,
    ignore: Ignore = "",
    dtype: Dtype = "float32",
    device: Device = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the weights, the shuffles and the validation rows.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Train a network on a table and save it.

    Features are standardised with the training rows' means and deviations (so is a numerical target), which
    are saved with the model. Text features and missing values are errors that name column and row.
    """
    from ..files import check_writable
    from ..network import Network
    from .reports import report_training

    sizes = _layout(hidden, "[x,]") if hidden.strip() else ()
    if output is not None:
        check_writable(output)
    split = _split(data, dataset, target, task, ignore, validation_fraction, seed)
    network = Network(**split.pipeline.architecture(sizes, activation, dtype), random_state=seed)
    history = network.fit(
        split.inputs,
        split.targets,
        learning_rate=learning_rate,
        epochs=epochs,
        schedule=schedule,
        update_rule=update_rule,
        batch_size=batch_size,
        l2=l2,
        monitor=() if split.pipeline.classes is not None else ("squared_error",),
        validation_data=split.held_out,
        early_stopping=early_stopping,
        device=device,
        progress=False if as_json else None,
    )
    scores = split.scores(network)
    if output is not None:
        split.pipeline.save(network, output)
    report_training(network, history, split, scores, output, as_json)


@app.command()
@reported
def sweep(
    data: Data = None,
    target: Target = None,
    dataset: DatasetName = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="Values of learning_rate, momentum or l2, such as learning_rate=0.01,0.1; may be repeated."
        ),
    ] = None,
    hidden: Annotated[
        str,
        typer.Option(
            help="Layouts of hidden layers to try: 8,16 is one layer of 8, then one of 16 units; 16x8 is one "
            "layout of two layers; none is one without."
        ),
    ] = "100",
    seeds: Annotated[
        int, typer.Option(min=1, max=2**32, help="Networks of each setting, from --seed on.")
    ] = 32,
    output: Annotated[Path | None, typer.Option(help="CSV file for the table of all settings.")] = None,
    networks: Annotated[Path | None, typer.Option(help="CSV file for the table of all networks.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw loss and scores into this file (PNG, SVG, PDF).")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Where to save the best setting's best network, for predict.")
    ] = None,
    activation: Activation = "relu",
    epochs: Epochs = 50,
    schedule: Annotated[
        str, typer.Option(help="constant, invscaling, exponential, step, cosine.")
    ] = "constant",
    update_rule: Annotated[
        str | None, typer.Option(help="As for train; by default sgd, or momentum where --grid has it.")
    ] = None,
    validation_fraction: ValidationFraction = 0.2,
    task: TaskName = Task.auto,
    ignore: Ignore = "",
    dtype: Dtype = "float32",
    device: Device = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="First of the seeds; draws the order of rows too.")
    ] = 0,
    n_threads: Annotated[int | None, typer.Option(help="Threads; by default all there are.")] = None,
    as_json: Json = False,
) -> None:
    """Train every combination of settings, layouts and seeds on a table, all at once, and rank the settings.

    A setting ranks by its median score over the seeds on rows set aside for it (on the training rows where
    there are none); a network that diverges counts as the worst. The best score of many is an optimistic one.
    """
    from ..data.tables import write_csv
    from ..files import check_writable
    from . import plots
    from . import sweep as sweeps
    from .reports import report_sweep

    if update_rule is None:
        has_momentum = any(text.partition("=")[0].strip() == "momentum" for text in grid or ())
        update_rule = "momentum" if has_momentum else "sgd"
    values = sweeps.parse_grid(grid or (), update_rule)
    layouts = [_layout(text) for text in hidden.split(",")]
    sweeps.check_distinct("--hidden", layouts)
    if seed + seeds > 2**32:
        raise ValueError(f"--seed and --seeds together must be at most {2**32}, got {seed} and {seeds}.")
    for path in filter(None, (output, networks, save)):
        check_writable(path)
    if plot is not None:
        plots.check(plot)
    split = _split(data, dataset, target, task, ignore, validation_fraction, seed)
    result = sweeps.sweep(
        split,
        layouts,
        values,
        range(seed, seed + seeds),
        activation=activation,
        dtype=dtype,
        epochs=epochs,
        schedule=schedule,
        update_rule=update_rule,
        n_threads=n_threads,
        device=device,
        progress=False if as_json else None,
    )
    if output is not None:
        write_csv(output, [outcome.summary() for outcome in result.outcomes])
    if networks is not None:
        write_csv(networks, [row for outcome in result.outcomes for row in outcome.rows()])
    if plot is not None:
        plots.write(plots.draw_sweep(result), plot)
        typer.echo(f"curves drawn into {plot}", err=True)
    if save is not None:
        split.pipeline.save(result.outcomes[0].network, save)
    report_sweep(result, split, output, as_json)


@app.command()
@reported
def predict(
    model: Annotated[Path, typer.Argument(help="Model saved by numbabp train.")],
    data: Annotated[Path, typer.Argument(help="Table with the model's feature columns.")],
    output: Annotated[Path | None, typer.Option(help="CSV file to write instead of printing.")] = None,
    as_json: Json = False,
) -> None:
    """Predict with a saved model: a column of predictions, and of each class's probability."""
    from ..data.pipeline import Pipeline
    from ..data.tables import csv_text, read_table, write_csv
    from ..loading import load_with_metadata

    network, settings = load_with_metadata(model)
    pipeline = Pipeline.loaded(model, settings, network)
    table = read_table(data)
    columns = pipeline.predictions(network, table.features(pipeline.feature_names))
    if as_json:
        print_json({name: column.tolist() for name, column in columns.items()})
        return
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if output is None:
        sys.stdout.write(csv_text(rows))
    else:
        write_csv(output, rows)
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

    from ..compiler.caching import cache_folder
    from ..devices.placement import describe_gpu
    from ..kernels.sequential import train_sgd
    from ..planning.cpu_costs import Machine, settings_path, this_machine

    if calibrate:
        _calibrate()
    features = llvm.get_host_cpu_features()
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
        "gpu": describe_gpu(),
        "planner's constants": "built in" if this_machine() == Machine() else str(settings_path()),
        "cache folder": cache_folder(train_sgd) or "none: kernels are compiled in every process",
    }
    if as_json:
        print_json(facts)
        return
    table = new_table("", "")
    for name, value in facts.items():
        table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    print_table(table)


def _calibrate() -> None:
    """Fit the planner's constants to this machine and keep them."""
    from ..planning.cpu_costs import keep
    from ..training.progress import Foot
    from .calibration import calibrate

    foot = Foot(sys.stderr)
    try:
        machine, error = calibrate(lambda text: foot.show(f"measuring {text}"))
    finally:
        foot.hide()
    path = keep(machine)
    typer.echo(
        f"Predictions are {100 * error:.0f} % off (root mean square); the constants are kept in {path}.",
        err=True,
    )


def _split(
    data: Path | None,
    dataset: str | None,
    target: str | None,
    task: Task,
    ignore: str,
    validation_fraction: float,
    seed: int,
) -> "Split":
    """Read what is to be learnt, and set rows aside to measure on."""
    from ..data.datasets import load_dataset
    from ..data.pipeline import Split

    if (data is None) == (dataset is None):
        raise ValueError("give either a file or --dataset.")
    if not 0 <= validation_fraction < 1:
        raise ValueError(
            f"--validation-fraction must be at least 0 and less than 1, got {validation_fraction}."
        )
    if dataset is not None:
        if target is not None or ignore or task is not Task.auto:
            raise ValueError("--target, --task and --ignore go with a file: a --dataset has its own.")
        samples = load_dataset(dataset)
    else:
        assert data is not None
        samples = _read_samples(data, target, task, ignore)
    return Split.of(samples, validation_fraction, seed)


def _read_samples(data: Path, target: str | None, task: Task, ignore: str) -> "Dataset":
    from ..data.datasets import Dataset
    from ..data.tables import read_table

    if target is None:
        raise ValueError("name the column to predict with --target.")
    table = read_table(data)
    y, kind = table.target(target, task.value)
    left_out = {target, *filter(None, map(str.strip, ignore.split(",")))}
    for name in left_out:
        table.column(name)
    names = [name for name in table.columns if name not in left_out]
    return Dataset(table.features(names), y, names, target, kind)


def _layout(text: str, separator: str = "x") -> tuple[int, ...]:
    """Units of the hidden layers, such as 100, 100x50 or none."""
    parts = [] if text.strip() == "none" else [part.strip() for part in re.split(separator, text)]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(
            f"--hidden must be numbers of units such as 100, or 100x50 for two layers, or none, got {text!r}."
        )
    return tuple(map(int, parts))
