"""Networks into files, and back."""

from typing import Any

import numpy as np

from . import storage
from .network import Network
from .storage import PathLike


def save(network: Network, path: PathLike, metadata: Any = None) -> None:
    """Write a network to a safetensors file.

    The file appears whole or not at all: it is written beside `path`, synced and renamed; an existing file is
    replaced only then. History, state of the update rule and random state are not kept.

    Parameters
    ----------
    network : Network
        What to save: architecture and parameters, bit for bit.
    path : str or path-like
        Where to.
    metadata : dict, optional
        Anything else worth keeping, as JSON takes it; `load_metadata` returns it.

    Raises
    ------
    TypeError
        If `metadata` is not a dict or holds what JSON does not know.
    ValueError
        If `metadata` holds NaN or infinity, or is longer than `storage.MAX_HEADER_BYTES`.
    OSError
        If the file can't be written; an existing one is left as it is.
    """
    storage.write_network(path, network.architecture, network.init, network.parameters, metadata)


def load(path: PathLike) -> Network:
    """Read a network that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        A safetensors file.

    Returns
    -------
    Network
        With the architecture and, bit for bit, the parameters that were saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one that `save` wrote, is truncated or was altered; it says what is wrong.
    """
    return load_with_metadata(path)[0]


def load_metadata(path: PathLike) -> dict[str, Any]:
    """The `metadata` that a network was saved with; checks and errors as for `load`."""
    return load_with_metadata(path)[1]


def load_with_metadata(path: PathLike) -> tuple[Network, dict[str, Any]]:
    """Both of `load` and `load_metadata` in one go."""
    stored = storage.read_network(path)
    network = Network.of(
        stored.architecture,
        stored.parameters,
        init=stored.init,
        random_state=np.random.RandomState(),
    )
    return network, stored.metadata
