"""Networks in files: safetensors, with the architecture in the file's metadata.

A file holds one tensor for each layer's weights and biases (``layers.0.weights``, ``layers.0.biases``, ...)
and, as strings in its metadata, the format and its version, the architecture and the user's metadata as JSON,
and a digest of these and of the parameters. Reading one runs no code. It checks the file's size, the header,
the architecture and the dtype, shape and place of every tensor against one another before it asks for memory;
then the bytes go straight into the parameters of the new network.

The format's library writes; reading is done here, because the library has every tensor twice in memory and
knows nothing of the digest.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, NoReturn

import numpy as np

from .architecture import Architecture
from .atomic_files import PathLike, write_atomically
from .checks.arguments import check_choice, check_dtype, check_layer_sizes
from .compiler.arrays import aligned_zeros
from .functions.initializers import INITIALIZERS

FORMAT = "numbabp-network"
POPULATION_FORMAT = "numbabp-population"
FORMAT_VERSION = 1
MAX_HEADER_BYTES = 4 << 20
"""Longer headers are neither written nor read: JSON takes several times its length in memory."""

_TENSOR_DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64"}
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes
    ----------
    architecture : Architecture
    init : str
        What the weights were drawn by.
    parameters : ndarray
        T (n_parameters,) of a network, T (n_networks, n_parameters) of a population.
    metadata : dict
        The user's.
    seeds : ndarray of int64, shape (n_networks,), or None
        Of a population.
    """

    architecture: Architecture
    init: str
    parameters: np.ndarray
    metadata: dict[str, Any]
    seeds: np.ndarray | None = None


def write_network(
    path: PathLike,
    architecture: Architecture,
    init: str,
    parameters: np.ndarray,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a network to a safetensors file, atomically; see `numbabp.loading.save`."""
    tensors = {}
    layers = zip(architecture.weights_of(parameters), architecture.biases_of(parameters), strict=True)
    for layer, (weights, biases) in enumerate(layers):
        tensors[_weights_name(layer)] = weights
        tensors[_biases_name(layer)] = biases
    _write(path, FORMAT, (architecture, init), tensors, [parameters], metadata)


def write_population(
    path: PathLike,
    architecture: Architecture,
    init: str,
    parameters: np.ndarray,
    seeds: np.ndarray,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a population likewise: all parameters, and the seeds."""
    tensors = {"parameters": parameters, "seeds": seeds}
    _write(path, POPULATION_FORMAT, (architecture, init), tensors, list(tensors.values()), metadata)


def _write(
    path: PathLike,
    file_format: str,
    of: tuple[Architecture, str],
    tensors: dict[str, np.ndarray],
    digested: list[np.ndarray],
    metadata: Mapping[str, Any] | None,
) -> None:
    from safetensors.numpy import save as serialize

    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a dict, got {type(metadata).__name__}.")
    described, init = of
    level = {"quantile": described.quantile} if described.loss == "quantile" else {}
    architecture = json.dumps(
        {
            "layer_sizes": described.layer_sizes,
            "activations": described.activations,
            "loss": described.loss,
            **level,
            "init": init,
            "dtype": described.dtype.name,
        }
    )
    extra = json.dumps(dict(metadata or {}), allow_nan=False)
    content = serialize(
        tensors,
        metadata={
            "format": file_format,
            "version": str(FORMAT_VERSION),
            "architecture": architecture,
            "metadata": extra,
            "sha256": _digest(architecture, extra, *digested),
        },
    )
    if int.from_bytes(content[:_LENGTH_BYTES], "little") > MAX_HEADER_BYTES:
        raise ValueError(
            f"metadata is too long: with it the file's header takes more than {MAX_HEADER_BYTES} bytes."
        )
    write_atomically(path, lambda file: file.write(content))


def read_network(path: PathLike) -> Stored:
    """Read a network that `write_network` wrote; see `numbabp.loading.load` for checks and errors."""
    return _opened(path, _read)


def read_population(path: PathLike) -> Stored:
    """Read a population that `write_population` wrote; checks and errors as for a network."""
    return _opened(path, _read_population)


def _opened(path: PathLike, read: Callable[[BinaryIO], Stored]) -> Stored:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("not a regular file")
        with open(path, "rb") as file:
            return read(file)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {str(error).removesuffix('.'):.500}.") from None


def _weights_name(layer: int) -> str:
    return f"layers.{layer}.weights"


def _biases_name(layer: int) -> str:
    return f"layers.{layer}.biases"


def _digest(architecture: str, extra: str, *arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for text in (architecture, extra):
        digest.update(text.encode() + b"\0")
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read(file: BinaryIO) -> Stored:
    header, data_start, data_bytes = _read_header(file)
    strings = _read_strings(header, FORMAT)
    described = _parse_json("architecture", strings["architecture"])
    layer_sizes, dtype = _check_architecture(described)
    shapes: dict[str, list[int]] = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(layer_sizes)):
        shapes[_weights_name(layer)] = [fan_in, fan_out]
        shapes[_biases_name(layer)] = [fan_out]
    dtypes = dict.fromkeys(shapes, dtype)
    offsets = _check_tensors(header, f"layer_sizes={layer_sizes}", shapes, dtypes, data_bytes)
    extra = _parse_json("metadata", strings["metadata"])

    architecture = _architecture_of(described, layer_sizes, dtype)
    parameters = aligned_zeros(architecture.n_parameters, dtype)
    layers = zip(architecture.weights_of(parameters), architecture.biases_of(parameters), strict=True)
    for layer, (weights, biases) in enumerate(layers):
        for name, view in ((_weights_name(layer), weights), (_biases_name(layer), biases)):
            _fill(view, file, data_start + offsets[name])
    _check_digest(strings, parameters)
    return Stored(architecture, described["init"], parameters, extra)


def _read_population(file: BinaryIO) -> Stored:
    header, data_start, data_bytes = _read_header(file)
    strings = _read_strings(header, POPULATION_FORMAT)
    described = _parse_json("architecture", strings["architecture"])
    layer_sizes, dtype = _check_architecture(described)
    n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(layer_sizes))
    n_networks = data_bytes // (n_parameters * dtype.itemsize + 8)
    if n_networks < 1:
        raise ValueError("truncated: it holds no network")
    shapes = {"parameters": [n_networks, n_parameters], "seeds": [n_networks]}
    dtypes = {"parameters": dtype, "seeds": np.dtype(np.int64)}
    of_what = f"{n_networks} networks of layer_sizes={layer_sizes}"
    offsets = _check_tensors(header, of_what, shapes, dtypes, data_bytes)
    extra = _parse_json("metadata", strings["metadata"])
    arrays = {name: np.empty(shapes[name], dtypes[name]) for name in shapes}
    for name, array in arrays.items():
        _fill(array, file, data_start + offsets[name])
    _check_digest(strings, *arrays.values())
    architecture = _architecture_of(described, layer_sizes, dtype)
    return Stored(architecture, described["init"], arrays["parameters"], extra, arrays["seeds"])


def _architecture_of(
    described: dict[str, Any], layer_sizes: tuple[int, ...], dtype: np.dtype
) -> Architecture:
    *hidden, output = described["activations"]
    level = described.get("quantile", 0.5)
    try:
        return Architecture.checked(layer_sizes, hidden, output, described["loss"], dtype, level)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _fill(array: np.ndarray, file: BinaryIO, start: int) -> None:
    """With the bytes from `start` on."""
    file.seek(start)
    if file.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
        raise ValueError("truncated: the file ends before its last tensor")


def _check_digest(strings: dict[str, str], *arrays: np.ndarray) -> None:
    if _digest(strings["architecture"], strings["metadata"], *arrays) != strings["sha256"]:
        raise ValueError("altered: its content does not have the digest that was saved with it")


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], int, int]:
    """The JSON header, where the tensors' bytes begin, and how many there are."""
    size = os.fstat(file.fileno()).st_size
    if size <= _LENGTH_BYTES:
        raise ValueError(f"{size} bytes are too few for a safetensors file")
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if length > size - _LENGTH_BYTES:
        raise ValueError(
            f"truncated, or not a safetensors file: its header should take {length} bytes, "
            f"but {size - _LENGTH_BYTES} are left"
        )
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header takes {length} bytes; at most {MAX_HEADER_BYTES} are allowed")
    try:
        text = file.read(length).decode()
    except UnicodeDecodeError:
        raise ValueError("not a safetensors file: its header is not UTF-8 text") from None
    return _parse_json("header", text), _LENGTH_BYTES + length, size - _LENGTH_BYTES - length


def _parse_json(what: str, text: str) -> dict[str, Any]:
    """A JSON object, strictly: every name once, no NaN or infinity."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a name occurs twice")
        return result

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {what} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"its {what} is not a JSON object")
    return value


def _read_strings(header: dict[str, Any], file_format: str) -> dict[str, str]:
    """The strings that `save` puts beside the tensors."""
    strings = header.pop("__metadata__", None)
    found = strings.get("format") if isinstance(strings, dict) else None
    if not isinstance(strings, dict) or found != file_format:
        what, other = ("network", "population")
        if file_format == POPULATION_FORMAT:
            what, other = other, what
        if found in (FORMAT, POPULATION_FORMAT):
            raise ValueError(f"a {other} of numbabp, not a {what}: load it as one")
        raise ValueError(f"not a {what} of numbabp: its metadata do not say so")
    if strings.get("version") != str(FORMAT_VERSION):
        raise ValueError(
            f"format version {strings.get('version')!r} is not known; "
            f"this numbabp reads version {FORMAT_VERSION}"
        )
    for name in ("architecture", "metadata", "sha256"):
        if not isinstance(strings.get(name), str):
            raise ValueError(f"its metadata lack {name!r}")
    return strings


def _check_architecture(architecture: dict[str, Any]) -> tuple[tuple[int, ...], np.dtype]:
    """Layer sizes and dtype; `Network` checks the names of activations and loss."""
    names = {"layer_sizes", "activations", "loss", "init", "dtype"}
    if architecture.get("loss") == "quantile":
        names.add("quantile")
    if set(architecture) != names:
        raise ValueError(f"its architecture must have {', '.join(sorted(names))} and nothing else")
    try:
        layer_sizes = check_layer_sizes(architecture["layer_sizes"])
        check_choice("init", architecture["init"], INITIALIZERS)
        check_choice("dtype", architecture["dtype"], ("float32", "float64"))
    except TypeError as error:
        raise ValueError(str(error)) from None
    activations = architecture["activations"]
    if not isinstance(activations, list) or len(activations) != len(layer_sizes) - 1:
        raise ValueError("its activations are not a list with one name for each layer")
    return layer_sizes, check_dtype(architecture["dtype"])


def _check_tensors(
    header: dict[str, Any],
    of_what: str,
    shapes: dict[str, list[int]],
    dtypes: dict[str, np.dtype],
    data_bytes: int,
) -> dict[str, int]:
    """Where each tensor begins, once it is sure that they are those expected and fill the file."""
    if set(header) != set(shapes):
        names = sorted(set(header) ^ set(shapes))
        raise ValueError(
            f"its tensors are not those of {of_what}: {names[0]!r} is "
            f"{'missing' if names[0] in shapes else 'too many'}"
        )
    spans = []
    for name, shape in shapes.items():
        tensor = header[name]
        expected = {"dtype": _TENSOR_DTYPES[dtypes[name].name], "shape": shape}
        if not isinstance(tensor, dict) or set(tensor) != {*expected, "data_offsets"}:
            raise ValueError(f"tensor {name!r} must have dtype, shape and data_offsets")
        for key, value in expected.items():
            if tensor[key] != value:
                raise ValueError(
                    f"tensor {name!r} has {key} {tensor[key]}, but its architecture says {value}"
                )
        offsets = tensor["data_offsets"]
        if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
            raise ValueError(f"tensor {name!r} has data_offsets {offsets}; two integers are needed")
        spans.append((offsets[0], offsets[1], name))
    position = 0
    for begin, end, name in sorted(spans):
        n_bytes = math.prod(shapes[name]) * dtypes[name].itemsize
        if begin != position or end - begin != n_bytes:
            raise ValueError(
                f"tensor {name!r} lies at bytes {begin} to {end}, but should take {n_bytes} from {position}"
            )
        position = end
    if position != data_bytes:
        raise ValueError(
            f"{'truncated' if position > data_bytes else 'too long'}: its tensors take {position} bytes, "
            f"but the file holds {data_bytes}"
        )
    return {name: begin for begin, _, name in spans}
