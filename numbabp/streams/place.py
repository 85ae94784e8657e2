"""The place in a stream that a checkpoint holds, and how a stream is known again there."""

from dataclasses import dataclass

import numpy as np

from ..devices.placement import on_host
from ..training.checkpoints.files import CheckpointError
from .batches import Batch
from .writing import Preparation

CLOSE = 1e-5
"""How far numbers may be off that are standardised again."""
ADVICE = "Name another file, or begin anew with resume=False of fit_stream."


class LastRow:
    """The last row that was learnt: prepared inputs T (n_inputs,), and targets T (n_outputs,)."""

    def __init__(self, n_inputs: int, n_outputs: int, dtype: np.dtype) -> None:
        self.inputs, self.targets = np.zeros(n_inputs, dtype), np.zeros(n_outputs, dtype)


@dataclass
class Place:
    """Where a stream is gone on with.

    Attributes
    ----------
    n_rows : int
        That were learnt, and are passed over.
    last : LastRow
        Of them.
    preparation : Preparation
        Of inputs, as it was after that row.
    """

    n_rows: int
    last: LastRow
    preparation: Preparation

    def check(self, batch: Batch, row: int) -> None:
        """Raise CheckpointError unless this row of a batch is the last one that was learnt."""
        raw = np.empty((1, batch.n_inputs))
        batch.write(raw, row)
        found = self.preparation.of_one(raw)[0]
        is_same = np.allclose(found, self.last.inputs, rtol=CLOSE, atol=CLOSE)
        if not is_same or not np.array_equal(on_host(batch.targets[row]), self.last.targets):
            raise CheckpointError(
                f"the stream is not the one of the checkpoint: its row {self.n_rows - 1}, the last one that "
                f"was learnt, is another. {ADVICE}"
            )

    def check_length(self, n_rows: int) -> None:
        """Raise CheckpointError for a stream that has ended before."""
        if n_rows < self.n_rows:
            raise CheckpointError(
                f"the stream is not the one of the checkpoint: it has {n_rows} rows, but {self.n_rows} were "
                f"learnt. {ADVICE}"
            )
