"""From the checked arguments of `Network.fit_stream` to a stream that can be learnt from."""

from dataclasses import replace
from typing import Any, NamedTuple

from ..architecture import Architecture
from ..checks.arguments import check_bool, check_integer, check_real
from ..devices.memory import Device
from ..kernels.update_rules import OF_ALL_SAMPLES
from ..options import NAMES, Options, check_names
from ..training.checkpoints import identities
from ..training.checkpoints.keeper import Checkpoint
from ..training.checkpoints.kept_run import KeptRun
from ..training.state import Statistics
from .batches import Convert
from .learning import Callback
from .sources import Source
from .tables import Columns
from .writing import Preparation

OF_EPOCHS = "schedules give a rate for every epoch, of which a stream has none"
PASSED_OVER_ONCE = "a stream is passed over once; a callback may end it"
WHY_NOT = {
    "shuffle": "samples are learnt in the order in which they come",
    "epochs": PASSED_OVER_ONCE,
    "schedule": OF_EPOCHS,
    "schedule_options": OF_EPOCHS,
    "early_stopping": PASSED_OVER_ONCE,
    "patience": PASSED_OVER_ONCE,
    "tol": PASSED_OVER_ONCE,
    "validation_data": "a callback may evaluate the network",
    "random_state": "nothing is drawn",
}
"""Arguments of `fit` that streams do without."""


class Asked(NamedTuple):
    """Arguments of `fit_stream` beside those on how to take a step."""

    batches: Any
    columns: Columns
    convert: Convert | None
    standardize: bool
    scaler: Any
    missing: str | float
    history_every: int
    callback: Callback | None
    checkpoint: Checkpoint | None

    def check(self) -> None:
        """Raise for an argument that is not allowed."""
        check_integer("history_every", self.history_every, minimum=1)
        check_bool("standardize", self.standardize)
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be callable, got {self.callback!r}.")
        if isinstance(self.missing, str):
            if self.missing not in ("error", "mean"):
                raise ValueError(
                    f"missing={self.missing!r} is not known; allowed: 'error', 'mean', or a number."
                )
        else:
            check_real("missing", self.missing)

    def preparation(self, n_inputs: int) -> Preparation:
        """What is done to inputs."""
        filling = None if isinstance(self.missing, str) else float(self.missing)
        statistics = Statistics.new(n_inputs)
        return Preparation(statistics, bool(self.standardize), self.missing == "mean", filling)

    def check_device(self, device: str) -> None:
        """Raise for what is done to rows on the host, if they are to be learnt on a GPU."""
        if device == "cpu":
            return
        for name, default in (("standardize", False), ("scaler", None), ("missing", "error")):
            value = getattr(self, name)
            if value is not default and value != default:
                raise ValueError(
                    f"{name}={value!r} is not possible with device={device!r}, where rows are learnt as they "
                    f"come; allowed: {name}={default!r}, or device='cpu' with batches in the host's memory."
                )

    def source(self, architecture: Architecture, gpu: Device | None) -> Source:
        """The stream, whose batches may lie on the GPU."""
        with_gaps = self.missing != "error"
        return Source(architecture, self.batches, self.columns, self.convert, self.scaler, with_gaps, gpu)

    def kept(self, architecture: Architecture, options: Options) -> KeptRun | None:
        """What writes checkpoints, and what there is to go on from; None where none are asked for.

        A stream is not read to be told apart from others: it is known by the last row that was learnt.
        """
        if self.checkpoint is None:
            return None
        how = {"standardize": self.standardize, "missing": self.missing, "history_every": self.history_every}
        of = {
            "run": "fit_stream",
            **identities.of_architecture(architecture),
            **identities.of_options(options),
            **{name: identities.plain(value) for name, value in {**self.columns._asdict(), **how}.items()},
            "scaler": None if self.scaler is None else type(self.scaler).__name__,
        }
        return KeptRun.opened(self.checkpoint, of, {})


OWN = {*Asked._fields, *Columns._fields, "checkpoint_every", "resume"} - {"batches", "columns"}
"""Arguments of `fit_stream` that are no options of a step."""


def stream_options(given: dict[str, Any]) -> Options:
    """How to take a step, of the keyword arguments, checked."""
    for name, why in WHY_NOT.items():
        if name in given:
            raise TypeError(f"fit_stream takes no {name!r}: {why}.")
    check_names("fit_stream", given, NAMES - set(WHY_NOT), OWN)
    options = Options(**{**given, "shuffle": False})
    if options.update_rule in OF_ALL_SAMPLES:
        raise ValueError(
            f"update_rule={options.update_rule!r} compares the gradients of all samples, which a stream does "
            "not keep; allowed are the other rules."
        )
    # where batches lie nobody knows before they are read
    return replace(options, device="cpu") if options.device == "auto" else options
