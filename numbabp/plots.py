"""Pictures of experiments, drawn with matplotlib, which is imported only here and in `History.plot`."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .storage import check_writable, write_atomically

if TYPE_CHECKING:
    from .xor_experiments import Experiment

KINDS = (".png", ".svg", ".pdf")


def check(path: Path) -> None:
    """Before any work is done, see whether a picture can be drawn into a file.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        For a file of another kind or in a place where none can be.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError("--plot needs matplotlib; install numbabp with the extra 'plot'.") from None
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"{path}: --plot files must end in .png, .svg or .pdf.")
    check_writable(path)


def write(figure: Any, path: Path) -> None:
    """Put a figure into a file, whole or not at all."""
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.lower().lstrip("."), dpi=150)
    write_atomically(path, lambda file: file.write(picture.getvalue()))


def draw_xor(run: "Experiment") -> Any:
    """Figure of loss and accuracy of an XOR experiment against the epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
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
    return figure
