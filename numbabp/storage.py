"""Networks in files: safetensors, with the architecture in the file's metadata.

A file holds one tensor for each layer's weights and biases (``layers.0.weights``, ``layers.0.biases``, ...)
and, as strings in its metadata, the format and its version, the architecture and the user's metadata as JSON,
and a digest of these and of the parameters (`tensor_files`). What training needs to go on, where it is kept,
is in further tensors (``training. ...``) and a text of the metadata; the version is then 2. The architecture
and the dtype, shape and place of every tensor are checked against one another before memory is asked for;
then the bytes go straight into the parameters of the new network.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .architecture import Architecture
from .atomic_files import PathLike, write_atomically
from .checks.arguments import check_choice, check_dtype, check_layer_sizes
from .compiler.arithmetic.numerics import FAST
from .compiler.arrays import aligned_zeros
from .functions.initializers import INITIALIZERS
from .tensor_files import (
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    TENSOR_DTYPES,
    Tensor,
    digest,
    fill,
    located,
    opened,
    parse_json,
    read_header,
)

FORMAT = "numbabp-network"
POPULATION_FORMAT = "numbabp-population"
CHECKPOINT_FORMAT = "numbabp-checkpoint"
"""Of the files that training is kept in, which look like these, and are mistaken for them."""
FORMAT_VERSION = 1
VERSION_WITH_STATE = 2
"""Of a file that keeps what training needs to go on, which older versions of numbabp refuse by its number."""
OF_TRAINING = "training."
"""What names of tensors begin with that are kept for training."""


class Kept(NamedTuple):
    """What training needs to go on, as files hold it."""

    facts: dict[str, Any]
    """As JSON takes them."""
    arrays: dict[str, np.ndarray]


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
    kept : Kept or None
        For training, if the file has it.
    """

    architecture: Architecture
    init: str
    parameters: np.ndarray
    metadata: dict[str, Any]
    seeds: np.ndarray | None = None
    kept: Kept | None = None


def write_network(
    path: PathLike,
    architecture: Architecture,
    init: str,
    parameters: np.ndarray,
    metadata: Mapping[str, Any] | None = None,
    kept: Kept | None = None,
) -> None:
    """Write a network to a safetensors file, atomically; see `numbabp.loading.save`."""
    architecture.check_finite(parameters)
    tensors = {}
    layers = zip(architecture.weights_of(parameters), architecture.biases_of(parameters), strict=True)
    for layer, (weights, biases) in enumerate(layers):
        tensors[_weights_name(layer)] = weights
        tensors[_biases_name(layer)] = biases
    _write(path, FORMAT, (architecture, init), tensors, [parameters], metadata, kept)


def write_population(
    path: PathLike,
    architecture: Architecture,
    init: str,
    parameters: np.ndarray,
    seeds: np.ndarray,
    kept: Kept | None = None,
) -> None:
    """Write a population likewise: all parameters, and the seeds."""
    architecture.check_finite(parameters)
    tensors = {"parameters": parameters, "seeds": seeds}
    _write(path, POPULATION_FORMAT, (architecture, init), tensors, list(tensors.values()), kept=kept)


def _described(architecture: Architecture, init: str) -> str:
    further: dict[str, Any] = {}
    if architecture.loss == "quantile":
        further["quantile"] = architecture.quantile
    if architecture.numerics != FAST:
        further["numerics"] = architecture.numerics
    return json.dumps(
        {
            "layer_sizes": architecture.layer_sizes,
            "activations": architecture.activations,
            "loss": architecture.loss,
            **further,
            "init": init,
            "dtype": architecture.dtype.name,
        }
    )


def _extra(metadata: Mapping[str, Any] | None) -> str:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a dict, got {type(metadata).__name__}.")
    return json.dumps(dict(metadata or {}), allow_nan=False)


def _write(
    path: PathLike,
    file_format: str,
    of: tuple[Architecture, str],
    tensors: dict[str, np.ndarray],
    digested: list[np.ndarray],
    metadata: Mapping[str, Any] | None = None,
    kept: Kept | None = None,
) -> None:
    from safetensors.numpy import save as serialize

    texts = {"architecture": _described(*of), "metadata": _extra(metadata)}
    if kept is not None:
        texts["training"] = json.dumps(kept.facts, allow_nan=False)
        for name in sorted(kept.arrays):
            tensors[OF_TRAINING + name] = kept.arrays[name]
            digested.append(kept.arrays[name])
    content = serialize(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()},
        metadata={
            "format": file_format,
            "version": str(VERSION_WITH_STATE if "training" in texts else FORMAT_VERSION),
            **texts,
            "sha256": digest(list(texts.values()), *digested),
        },
    )
    if int.from_bytes(content[:LENGTH_BYTES], "little") > MAX_HEADER_BYTES:
        raise ValueError(
            f"metadata is too long: with it the file's header takes more than {MAX_HEADER_BYTES} bytes."
        )
    write_atomically(path, lambda file: file.write(content))


def read_network(path: PathLike) -> Stored:
    """Read a network that `write_network` wrote; see `numbabp.loading.load` for checks and errors."""
    return opened(path, _read)


def read_population(path: PathLike) -> Stored:
    """Read a population that `write_population` wrote; checks and errors as for a network."""
    return opened(path, _read_population)


def _weights_name(layer: int) -> str:
    return f"layers.{layer}.weights"


def _biases_name(layer: int) -> str:
    return f"layers.{layer}.biases"


def _read(file: BinaryIO) -> Stored:
    header, data_start, data_bytes = read_header(file)
    strings = _read_strings(header, FORMAT)
    described = parse_json("architecture", strings["architecture"])
    layer_sizes, dtype = _check_architecture(described)
    shapes: dict[str, list[int]] = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(layer_sizes)):
        shapes[_weights_name(layer)] = [fan_in, fan_out]
        shapes[_biases_name(layer)] = [fan_out]
    dtypes = dict.fromkeys(shapes, dtype)
    of_training = _of_training(header, strings)
    tensors = _check_tensors(header, f"layer_sizes={layer_sizes}", shapes, dtypes, data_bytes, of_training)
    extra = parse_json("metadata", strings["metadata"])

    architecture = _architecture_of(described, layer_sizes, dtype)
    parameters = aligned_zeros(architecture.n_parameters, dtype)
    layers = zip(architecture.weights_of(parameters), architecture.biases_of(parameters), strict=True)
    for layer, (weights, biases) in enumerate(layers):
        for name, view in ((_weights_name(layer), weights), (_biases_name(layer), biases)):
            fill(view, file, data_start + tensors[name].begin)
    for_training = _filled(of_training, tensors, file, data_start)
    _check_digest(strings, parameters, *for_training.values())
    architecture.check_finite(parameters)
    kept = _kept(strings, for_training)
    return Stored(architecture, described["init"], parameters, extra, kept=kept)


def _read_population(file: BinaryIO) -> Stored:
    header, data_start, data_bytes = read_header(file)
    strings = _read_strings(header, POPULATION_FORMAT)
    described = parse_json("architecture", strings["architecture"])
    layer_sizes, dtype = _check_architecture(described)
    n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(layer_sizes))
    of_training = _of_training(header, strings)
    if of_training:
        n_networks = _first_of_shape(header.get("seeds"))
    else:
        n_networks = data_bytes // (n_parameters * dtype.itemsize + 8)
    if n_networks < 1:
        raise ValueError("truncated: it holds no network")
    shapes = {"parameters": [n_networks, n_parameters], "seeds": [n_networks]}
    dtypes = {"parameters": dtype, "seeds": np.dtype(np.int64)}
    of_what = f"{n_networks} networks of layer_sizes={layer_sizes}"
    tensors = _check_tensors(header, of_what, shapes, dtypes, data_bytes, of_training)
    extra = parse_json("metadata", strings["metadata"])
    arrays = {name: np.empty(shapes[name], dtypes[name]) for name in shapes}
    for name, array in arrays.items():
        fill(array, file, data_start + tensors[name].begin)
    for_training = _filled(of_training, tensors, file, data_start)
    _check_digest(strings, *arrays.values(), *for_training.values())
    architecture = _architecture_of(described, layer_sizes, dtype)
    architecture.check_finite(arrays["parameters"])
    kept = _kept(strings, for_training)
    return Stored(architecture, described["init"], arrays["parameters"], extra, arrays["seeds"], kept)


def _of_training(header: dict[str, Any], strings: dict[str, str]) -> list[str]:
    """Names of the tensors that are kept for training, in the order of the digest."""
    return sorted(name for name in header if "training" in strings and name.startswith(OF_TRAINING))


def _filled(
    names: list[str], tensors: dict[str, Tensor], file: BinaryIO, data_start: int
) -> dict[str, np.ndarray]:
    arrays = {name: np.empty(tensors[name].shape, tensors[name].dtype) for name in names}
    for name, array in arrays.items():
        fill(array, file, data_start + tensors[name].begin)
    return arrays


def _kept(strings: dict[str, str], arrays: dict[str, np.ndarray]) -> Kept | None:
    if "training" not in strings:
        return None
    own = {name.removeprefix(OF_TRAINING): array for name, array in arrays.items()}
    return Kept(parse_json("training", strings["training"]), own)


def _first_of_shape(tensor: Any) -> int:
    """How many rows a header's tensor has; 0 where it is none."""
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    return shape[0] if isinstance(shape, list) and shape and type(shape[0]) is int else 0


def _architecture_of(
    described: dict[str, Any], layer_sizes: tuple[int, ...], dtype: np.dtype
) -> Architecture:
    *hidden, output = described["activations"]
    level, numerics = described.get("quantile", 0.5), described.get("numerics", FAST)
    try:
        return Architecture.checked(layer_sizes, hidden, output, described["loss"], dtype, level, numerics)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _check_digest(strings: dict[str, str], *arrays: np.ndarray) -> None:
    texts = [strings[name] for name in ("architecture", "metadata", "training") if name in strings]
    if digest(texts, *arrays) != strings["sha256"]:
        raise ValueError("altered: its content does not have the digest that was saved with it")


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
        if found == CHECKPOINT_FORMAT:
            raise ValueError(
                f"a checkpoint of training, not a {what}: the same `numbabp train` with --output "
                "model.safetensors writes the model; in Python the same fit goes on, and save writes it"
            )
        raise ValueError(f"not a {what} of numbabp: its metadata do not say so")
    version = str(VERSION_WITH_STATE if "training" in strings else FORMAT_VERSION)
    if strings.get("version") != version:
        raise ValueError(
            f"format version {strings.get('version')!r} is not known; "
            f"this numbabp reads versions {FORMAT_VERSION} and {VERSION_WITH_STATE}"
        )
    for name in ("architecture", "metadata", "sha256", *(["training"] if "training" in strings else [])):
        if not isinstance(strings.get(name), str):
            raise ValueError(f"its metadata lack {name!r}")
    return strings


def _check_architecture(architecture: dict[str, Any]) -> tuple[tuple[int, ...], np.dtype]:
    """Layer sizes and dtype; `Network` checks the names of activations and loss."""
    names = {"layer_sizes", "activations", "loss", "init", "dtype"}
    if architecture.get("loss") == "quantile":
        names.add("quantile")
    if "numerics" in architecture:  # of those that are not fast
        names.add("numerics")
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
    further: Collection[str] = (),
) -> dict[str, Tensor]:
    """Where tensors lie, once they are sure to be those expected and `further` ones, and to fill the file."""
    if set(header) - set(further) != set(shapes):
        names = sorted((set(header) - set(further)) ^ set(shapes))
        raise ValueError(
            f"its tensors are not those of {of_what}: {names[0]!r} is "
            f"{'missing' if names[0] in shapes else 'too many'}"
        )
    for name, shape in shapes.items():
        tensor = header[name]
        expected = {"dtype": TENSOR_DTYPES[dtypes[name].name], "shape": shape}
        if not isinstance(tensor, dict) or set(tensor) != {*expected, "data_offsets"}:
            raise ValueError(f"tensor {name!r} must have dtype, shape and data_offsets")
        for key, value in expected.items():
            if tensor[key] != value:
                raise ValueError(
                    f"tensor {name!r} has {key} {tensor[key]}, but its architecture says {value}"
                )
    return located(header, data_bytes)
