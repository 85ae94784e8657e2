"""Where the training of one network of many may pause, so that all of them can be kept at once."""

from collections.abc import Callable

from .standing import Standing


class Pausing:
    """Stands in for a `Keeper` in the training of one network: what keeps the others keeps it, too.

    Parameters
    ----------
    pause
        Called where the network can be gone on with from `standing`, until others may train it on.
    found
        Where it stands to begin with, if it was begun by another process.
    """

    def __init__(self, pause: Callable[[], None], found: Standing | None) -> None:
        self._pause, self._found = pause, found
        self._standing: Callable[[], Standing] | None = None
        self._is_finished = False
        self.is_lost = False
        """Whether it was interrupted where it can't be gone on with."""

    def look(self, standing: Callable[[], Standing]) -> None:
        """See `Keeper`."""
        self._standing = standing
        self._pause()

    def finish(self, standing: Standing) -> None:
        """See `Keeper`; a copy, as what is put off will be taken."""
        copied = standing.copied()
        self._standing, self._is_finished = lambda: copied, True

    def random_states(self) -> None:
        """See `Keeper`; those that draw for all are kept with all."""

    def close(self) -> None:
        """See `Keeper`."""
        self.is_lost = not self._is_finished

    @property
    def has_begun(self) -> bool:
        """Whether it stands anywhere."""
        return self._standing is not None or self._found is not None

    def standing(self) -> Standing:
        """Where it stands, while it pauses or after it was interrupted."""
        if self._standing is None:
            assert self._found is not None
            return self._found
        return self._standing()
