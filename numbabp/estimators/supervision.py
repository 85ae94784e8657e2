"""What a search asks of a fit beside the estimator's parameters: where it is kept, and when it is to end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..training.checkpoints.keeper import Checkpoint


class Supervision(NamedTuple):
    """Of one fit; an interruption of it then passes, and is no warning."""

    checkpoint: Checkpoint | None = None
    """Where its run is kept, instead of where the parameter says."""
    stop: threading.Event | None = None
    """Ends it as by Ctrl-C once it is set: for threads that Ctrl-C does not reach."""


@contextmanager
def supervised(model: Any, by: Supervision) -> Iterator[None]:
    """Meanwhile each fit of a `BaseMLP` is supervised."""
    model.supervision = by
    try:
        yield
    finally:
        del model.supervision
