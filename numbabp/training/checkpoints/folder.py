"""Runs of many parts, such as searches: a folder with a file that says whose it is, and one for each part."""

import hashlib
import json
import os
import warnings
from typing import NamedTuple

from ...atomic_files import remove_leftovers
from . import files
from .files import CheckpointError, Identity
from .keeper import Checkpoint
from .standing import Standing

RUN = "run"
"""Name of the file that says whose run it is."""
SUFFIX = ".safetensors"
OF_RUN = "Name another folder, or delete this one to begin anew."
OF_PART = (
    "Delete this file, and only this part is begun anew; where samples differ, some random_state is no "
    "number, perhaps a transformer's."
)
"""What errors advise."""


class Folder(NamedTuple):
    """Of one run, which `opened` has made sure of."""

    path: str
    identity: Identity
    standing: Standing | None
    """What was kept of the run as a whole; None if it is a new one."""

    @classmethod
    def opened(cls, path: str, identity: Identity) -> "Folder":
        """See what is there, and change nothing.

        Raises
        ------
        CheckpointError
            If it is no folder, can't be written to, or is of another run: then it names what differs.
        """
        if not os.path.isdir(path):
            _check_can_be_made(path)
            return cls(path, identity, None)
        own = os.path.join(path, RUN + SUFFIX)
        found = files.prepare(own, resume=True, advice=OF_RUN)
        if found is None:
            return cls(path, identity, None)
        files.check_same_run(path, found.identity, identity, OF_RUN)
        return cls(path, identity, found.standing)

    def begin(self, standing: Standing) -> None:
        """Make the folder, if the run is a new one, and note whose it is and `standing`.

        Raises
        ------
        CheckpointError
            If that is not possible.
        """
        try:
            os.makedirs(self.path, exist_ok=True)
            remove_leftovers(self.path)
            if self.standing is None:
                files.write(self.file(RUN), self.identity, standing)
        except OSError as error:
            raise CheckpointError(f"checkpoint {self.path} could not be written: {error}.") from None

    def file(self, name: str) -> str:
        """Path of a part's file."""
        return os.path.join(self.path, name + SUFFIX)

    def checkpoint(self, name: str, of: Identity) -> Checkpoint:
        """Where a part is kept while it is under way, told apart from others by `of`."""
        return Checkpoint(self.file(name), beside=self._identity(of), advice=OF_PART)

    def read(self, name: str, of: Identity) -> Standing | None:
        """What was `put` for a part; None if nothing was.

        Raises
        ------
        CheckpointError
            If the file is damaged, or none of this run.
        """
        found = files.prepare(self.file(name), resume=True, advice=OF_PART)
        if found is None:
            return None
        files.check_same_run(self.file(name), found.identity, self._identity(of), OF_PART)
        return found.standing

    def put(self, name: str, of: Identity, standing: Standing) -> bool:
        """Keep what a part has found; whether that was possible: a full disk is no reason to lose a run."""
        try:
            files.write(self.file(name), self._identity(of), standing)
        except (OSError, ValueError) as error:
            warnings.warn(
                f"what is done could not be written to {self.file(name)}: {error}. It goes on, and after a "
                "stop this part would be done again.",
                RuntimeWarning,
                stacklevel=2,
            )
            return False
        return True

    def remove(self, name: str) -> None:
        """A part's file, which may be there or not; not one that is no checkpoint."""
        path = self.file(name)
        try:
            if files.is_checkpoint(path):
                os.unlink(path)
        except OSError:  # it is in nobody's way
            pass

    def _identity(self, of: Identity) -> Identity:
        whole = json.dumps(self.identity, sort_keys=True)
        return {"the run that it is a part of": hashlib.sha256(whole.encode()).hexdigest(), **of}


def _check_can_be_made(path: str) -> None:
    if os.path.lexists(path):
        raise CheckpointError(f"checkpoint {path} is no folder: a run of many parts has a file for each.")
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise CheckpointError(f"checkpoint {path}: {above} is no folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise CheckpointError(f"checkpoint {path}: no permission to write in {above}.")
