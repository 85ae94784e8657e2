"""Networks in files: safetensors, with the architecture in the file's metadata.

A safetensors file is a JSON header and the plain bytes of its arrays; reading one runs no code, and the
format's own library checks every offset against the file's size before anything is built.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .network import Network

FORMAT = "numbabp-network"
FORMAT_VERSION = 1

PathLike = str | os.PathLike[str]


def save(network: Network, path: PathLike, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a network to a file, atomically: a reader finds the old file or the new one, never a part.

    Parameters
    ----------
    network : Network
        Its architecture and parameters are kept, bit for bit; history, rule state and random state are not.
    path : path-like
        Where to write; an existing file is replaced.
    metadata : mapping, optional
        Anything that JSON takes, to be had back from `load_metadata`.

    Raises
    ------
    OSError
        If the file can't be written; an existing one is then unharmed.
    """
    from safetensors.numpy import save as to_bytes

    architecture = {
        "layer_sizes": network.layer_sizes,
        "activations": network.activations,
        "loss": network.loss,
        "init": network.init,
        "dtype": network.dtype.name,
    }
    header = {
        "format": FORMAT,
        "version": str(FORMAT_VERSION),
        "architecture": json.dumps(architecture),
        "metadata": json.dumps(dict(metadata or {})),
    }
    content = to_bytes(_tensors(network), metadata=header)
    write_atomically(path, lambda file: file.write(content))


def load(path: PathLike) -> Network:
    """Read a network that `save` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Network

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a network, or is truncated or altered; the message says what is wrong.
    """
    with _Reader(path) as reader:
        return reader.network()


def load_metadata(path: PathLike) -> dict[str, Any]:
    """Read the metadata given to `save`; errors as for `load`."""
    with _Reader(path) as reader:
        return reader.json("metadata")


def write_atomically(path: PathLike, write: Callable[[IO[bytes]], Any]) -> None:
    """Have `write` fill a temporary file beside `path`, then rename it to `path`.

    The file is synced before and its folder after, so that a crash leaves the old file or the new one.
    """
    target = Path(path)
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115
        dir=target.parent, prefix=f".{target.name}.", suffix=".tmp", delete=False
    )
    try:
        with file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(file.name, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~umask)
        os.replace(file.name, target)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _tensors(network: Network) -> dict[str, np.ndarray]:
    pairs = enumerate(zip(network.weights, network.biases, strict=True))
    return {
        f"layers.{i}.{name}": array
        for i, layer in pairs
        for name, array in zip(("weights", "biases"), layer, strict=True)
    }


class _Reader:
    """An open file with its checks; every complaint is a ValueError that begins with the path."""

    def __init__(self, path: PathLike) -> None:
        from safetensors import SafetensorError, safe_open

        self._path = os.fspath(path)
        with open(self._path, "rb"):  # OSError, if any, as usual for files
            pass
        try:
            self._file = safe_open(self._path, framework="numpy").__enter__()
            self._header = self._file.metadata() or {}
            self._names = set(self._file.keys())
        except (SafetensorError, OSError, UnicodeDecodeError) as error:
            raise self._error(f"not a whole safetensors file: {error}") from None

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.__exit__(*exception)

    def json(self, key: str) -> dict[str, Any]:
        """One JSON object of the header."""
        if self._header.get("format") != FORMAT:
            raise self._error("a safetensors file, but not a network of numbabp")
        if self._header.get("version") != str(FORMAT_VERSION):
            raise self._error(
                f"format version {self._header.get('version')!r} is not known; "
                f"this numbabp reads version {FORMAT_VERSION}"
            )
        try:
            value = json.loads(self._header[key])
        except (KeyError, ValueError, RecursionError) as error:
            raise self._error(f"{key} can't be read: {error!r}") from None
        if not isinstance(value, dict):
            raise self._error(f"{key} is not a JSON object")
        return value

    def network(self) -> Network:
        """The network, built only after its sizes have been found in the file's own arrays."""
        architecture = self.json("architecture")
        try:
            sizes = architecture["layer_sizes"]
            activations = architecture["activations"]
            self._check_arrays(sizes, architecture["dtype"])
            network = Network(
                sizes,
                hidden_activation=activations[:-1],
                output_activation=activations[-1],
                loss=architecture["loss"],
                init=architecture["init"],
                dtype=architecture["dtype"],
                random_state=np.random.RandomState(),
                _draw=False,
            )
        except (KeyError, TypeError, IndexError, ValueError) as error:
            if isinstance(error, ValueError) and str(error).startswith(self._path):
                raise
            raise self._error(f"the architecture is not valid: {error}") from None
        for name, view in _tensors(network).items():
            view[...] = self._file.get_tensor(name)
        return network

    def _check_arrays(self, sizes: Any, dtype: Any) -> None:
        if not isinstance(sizes, list) or not all(type(size) is int for size in sizes):
            raise self._error(f"layer_sizes must be a list of integers, got {sizes!r:.200}")
        code = {"float32": "F32", "float64": "F64"}.get(dtype)
        expected = {}
        for i, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
            expected[f"layers.{i}.weights"] = [fan_in, fan_out]
            expected[f"layers.{i}.biases"] = [fan_out]
        if set(expected) != self._names:
            raise self._error(
                f"layer_sizes {sizes!r:.200} do not go with the arrays {sorted(self._names)!r:.200}"
            )
        for name, shape in expected.items():
            part = self._file.get_slice(name)
            if part.get_shape() != shape or part.get_dtype() != code:
                raise self._error(
                    f"{name} should be {dtype} of shape {shape}, "
                    f"but is {part.get_dtype()} of shape {part.get_shape()}"
                )

    def _error(self, what: str) -> ValueError:
        return ValueError(f"{self._path}: {what}.")
