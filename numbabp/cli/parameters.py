"""What train and sweep both take from the command line, and the samples that it names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..data.files.reading import Reading
    from ..data.split import Split
    from ..data.tables import Table


class Task(StrEnum):
    """What is to be predicted."""

    auto = "auto"
    classification = "classification"
    labels = "labels"
    regression = "regression"


Data = Annotated[
    Path | None,
    typer.Argument(
        help="Table: CSV and its kin, Parquet, Feather, NPY, NPZ, IDX, ARFF, libsvm or FANN's, .gz or not; - "
        "is standard input."
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(help="What stands between a text file's fields, such as ; or tab; by default found."),
]
Decimal = Annotated[str | None, typer.Option(help="Decimal sign, . or , where the numbers leave it open.")]
Missing = Annotated[
    str,
    typer.Option(
        help="What stands for no value besides NA, ? and the like: n.d.,-999. Rows whose target has none are "
        "left out then."
    ),
]
Texts = Annotated[str, typer.Option("--text", help="Columns of numbers to take for names: zip,code.")]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header", help="Whether the first line names the columns.", show_default=False
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", help="Column to predict; may be repeated for several, of numbers or of two classes each."
    ),
]
DatasetName = Annotated[
    str | None,
    typer.Option("--dataset", help="Instead of a file: xor, iris, wine, breast_cancer, digits, diabetes."),
]
TaskName = Annotated[
    Task,
    typer.Option(
        help="auto: classes for text, or for up to 20 whole numbers; of several targets of 0 and 1 whose "
        "rows hold a single 1, one class. labels: several targets of classes, each by itself."
    ),
]
Ignore = Annotated[str, typer.Option(help="Columns to leave out, such as id,date.")]
ValidationFraction = Annotated[
    float, typer.Option(help="Part of the rows set aside to measure on; 0 for none.")
]
EscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--escape-formulas",
        help="Put an apostrophe before texts in CSV that begin with =, +, - or @, which a spreadsheet would "
        "take for formulas; numbers stay numbers.",
    ),
]
Activation = Annotated[
    str,
    typer.Option(
        help="Of the hidden layers: identity, sigmoid, tanh, relu, leaky_relu, elu, softplus, silu, gelu."
    ),
]
Epochs = Annotated[int, typer.Option(help="Passes over the samples.")]
Dtype = Annotated[str, typer.Option(help="float32 or float64.")]
Dtypes = Annotated[
    list[str] | None, typer.Option("--dtype", help="float64 or float32; both by default.", show_default=False)
]
Uses = Annotated[
    list[str] | None,
    typer.Argument(help="networks, populations, streams or estimators; all by default.", show_default=False),
]
Device = Annotated[
    str,
    typer.Option(help="auto (a GPU where that is predicted to be faster), cpu, cuda, or cuda:N of several."),
]


@dataclass(frozen=True)
class Source:
    """What is to be learnt, as the command line names it: a table and its targets, or a bundled set."""

    data: Path | None
    targets: Sequence[str] | None
    dataset: str | None
    task: Task
    ignore: str
    reading: "Reading | None" = None

    def split(self, validation_fraction: float, seed: int) -> "Split":
        """Read it, and set rows aside to measure on; errors as for `check_fractions` and `samples`."""
        from ..data.split import Split

        check_fractions(validation_fraction)
        return Split.of(self.samples(), validation_fraction, seed)

    def samples(self) -> "Dataset":
        """Read it.

        Raises
        ------
        ValueError
            For options that don't go together, and for a table that does not have what they name.
        """
        if (self.data is None) == (self.dataset is None):
            raise ValueError("give either a file or --dataset.")
        return self._from_table(self.data) if self.dataset is None else self._bundled(self.dataset)

    def _bundled(self, name: str) -> "Dataset":
        from ..data.datasets import load_dataset

        if self.targets or self.ignore or self.task is not Task.auto:
            raise ValueError("--target, --task and --ignore go with a file: a --dataset has its own.")
        return load_dataset(name)

    def _from_table(self, path: Path | None) -> "Dataset":
        from ..data.datasets import Dataset
        from ..data.table_files import read_table
        from ..data.targets import read_targets

        assert path is not None
        table = read_table(path, self.reading)
        targets = self._targets(table)
        missing = () if self.reading is None else self.reading.missing
        if missing:
            table = table.with_values_of(targets)
        found = read_targets(table, targets, self.task.value)
        left_out = {*targets, *table.targets, *names_in(self.ignore)}
        for name in left_out:
            table.column(name)  # raises for one that there is not
        names = [name for name in table.columns if name not in left_out]
        return Dataset(table, names, found.columns, found.task, missing, found.one_hot)

    def _targets(self, table: "Table") -> Sequence[str]:
        """Those that are named, or those that the kind of file sets apart."""
        from ..data.tables import listed

        if not self.targets:
            # y, or y1, y2, ...: one array's; of arrays named otherwise each may be the one
            if len({name.rstrip("0123456789") for name in table.targets}) == 1:
                return table.targets
            repeat = ", once for each" if len(table.targets) > 1 else ""
            there_are = listed(table.targets or table.columns)
            raise ValueError(f"name the column to predict with --target{repeat}; there are: {there_are}.")
        for name in self.targets:
            parts = names_in(name)
            if name not in table.columns and len(parts) > 1 and set(parts) <= set(table.columns):
                repeated = " ".join(f"--target {part}" for part in parts)
                raise ValueError(f"there is no column {name!r}; name several targets as {repeated}.")
        return self.targets


def reading(
    separator: str | None = None,
    decimal: str | None = None,
    missing: str = "",
    texts: str = "",
    header: bool | None = None,
) -> "Reading":
    """What the command line says of a file."""
    from ..data.files.reading import Reading

    return Reading(separator, decimal, names_in(missing), names_in(texts), header)


def names_in(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(filter(None, map(str.strip, text.split(","))))


def check_fractions(validation: float, test: float = 0.0) -> None:
    """Raise ValueError for parts of the rows that can't be set aside."""
    if not 0 <= validation < 1:
        raise ValueError(f"--validation-fraction must be at least 0 and less than 1, got {validation}.")
    if not 0 <= test < 1 - validation:
        raise ValueError(
            f"--test-fraction must be at least 0 and leave rows to train on beside the validation's "
            f"{validation:g}, got {test:g}."
        )


def step_size(update_rule: str, n_training: int) -> int:
    """Samples of a step where none are asked for: one, or all for a rule that needs the whole gradient."""
    from ..kernels.update_rules import OF_ALL_SAMPLES

    return n_training if update_rule in OF_ALL_SAMPLES else 1


def hidden_layers(text: str, separator: str = "x") -> tuple[int, ...]:
    """Units of the hidden layers, such as 100, 100x50 or none."""
    parts = [] if text.strip() == "none" else [part.strip() for part in re.split(separator, text)]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(
            f"--hidden must be numbers of units such as 100, or 100x50 for two layers, or none, got {text!r}."
        )
    return tuple(map(int, parts))
