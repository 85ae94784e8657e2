"""Arrays and facts in safetensors files: read strictly, and streamed where they are large.

A file is a length, a header in JSON and the arrays' bytes without gaps. The header's ``__metadata__`` are
strings: the format and its version, texts in JSON, and a digest of these and of the arrays. Reading one runs
no code, and checks everything against the file's size before memory is asked for.

Models are written by the format's library. Reading is done here, because the library has every tensor twice
in memory and knows nothing of the digest; and so is the writing of checkpoints, of which the library would
make two copies.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeVar

import numpy as np

from .atomic_files import PathLike, write_atomically

MAX_HEADER_BYTES = 4 << 20
"""Longer headers are neither written nor read: JSON takes several times its length in memory."""
TENSOR_DTYPES = {
    "bool": "BOOL",
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
    "uint8": "U8",
    "uint32": "U32",
    "uint64": "U64",
}
"""As the format calls them."""
LENGTH_BYTES = 8

T = TypeVar("T")


class Tensor(NamedTuple):
    """Where an array lies in a file's bytes, and what it is."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int


def opened(path: PathLike, read: Callable[[BinaryIO], T]) -> T:
    """What `read` makes of a file; its ValueErrors name the path."""
    with of_file(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("not a regular file")
        with open(path, "rb") as file:
            return read(file)


@contextmanager
def of_file(path: PathLike) -> Iterator[None]:
    """Let ValueErrors name the file that they are about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {str(error).removesuffix('.'):.500}.") from None


def write_tensors(
    path: PathLike,
    strings: Mapping[str, str],
    arrays: Mapping[str, np.ndarray],
    before: Callable[[str], Any] | None = None,
) -> None:
    """Write arrays straight from their memory, atomically.

    Parameters
    ----------
    path
        Where to.
    strings
        The metadata, but the digest, which is added.
    arrays
        Contiguous, of `TENSOR_DTYPES`, by name.
    before
        See `write_atomically`.

    Raises
    ------
    TypeError
        For an array of another dtype, or of another order of bytes.
    OSError
        If that fails; what was at `path` before is still there.
    """
    _check_dtypes(arrays)
    ordered = _ordered(arrays)
    header: dict[str, Any] = {"__metadata__": {**strings, "sha256": _digest_of(strings, ordered)}}
    position = 0
    for name, array in ordered:
        header[name] = {
            "dtype": TENSOR_DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"its header would take {len(text)} bytes; at most {MAX_HEADER_BYTES} are allowed")

    def write(file: BinaryIO) -> None:
        file.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
        for _, array in ordered:
            file.write(bytes_of(array))

    write_atomically(path, write, before)


def read_tensors(
    path: PathLike, check: Callable[[dict[str, str]], None]
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Strings and arrays of a file that `write_tensors` wrote.

    Parameters
    ----------
    path
        Where from.
    check
        Called with the strings before the arrays are read; raises ValueError for what is no such file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is another file, truncated or altered; it names the path and says what is wrong.
    """

    def read(file: BinaryIO) -> tuple[dict[str, str], dict[str, np.ndarray]]:
        header, start, n_bytes = read_header(file)
        strings = _strings_of(header)
        check(strings)
        tensors = located(header, n_bytes)
        arrays = {name: np.empty(tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
        for name, array in arrays.items():
            fill(array, file, start + tensors[name].begin)
            if array.dtype == bool and (array.view(np.uint8) > 1).any():
                raise ValueError(f"tensor {name!r} has a byte that is neither 0 nor 1, of BOOL")
        if _digest_of(strings, _ordered(arrays)) != strings.get("sha256"):
            raise ValueError("altered: its content does not have the digest that was saved with it")
        return strings, arrays

    return opened(path, read)


def read_strings(path: PathLike) -> dict[str, str]:
    """The strings alone, of a file of any format; errors as of `read_tensors`."""
    return opened(path, lambda file: _strings_of(read_header(file)[0]))


def _strings_of(header: dict[str, Any]) -> dict[str, str]:
    strings = header.pop("__metadata__", {})
    if not isinstance(strings, dict) or not all(isinstance(text, str) for text in strings.values()):
        raise ValueError("its metadata are not strings")
    return strings


def _check_dtypes(arrays: Mapping[str, np.ndarray]) -> None:
    known = {np.dtype(name) for name in TENSOR_DTYPES}
    for name, array in arrays.items():
        if array.dtype not in known:  # nor is one that knows the order of bytes of other machines
            raise TypeError(
                f"array {name!r} is of dtype {array.dtype.str!r}; files hold {', '.join(TENSOR_DTYPES)}."
            )


def _ordered(arrays: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """The largest items first, so that each lies at a multiple of its size."""
    return sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))


def _digest_of(strings: Mapping[str, str], ordered: list[tuple[str, np.ndarray]]) -> str:
    """Of all that a file holds, names, dtypes and shapes too."""
    texts = [f"{name} {strings[name]}" for name in sorted(strings) if name != "sha256"]
    texts += [f"{name} {array.dtype.name} {array.shape}" for name, array in ordered]
    return digest(texts, *(array for _, array in ordered))


def bytes_of(array: np.ndarray) -> Any:
    """An array's bytes, without a copy where it is contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def digest(texts: list[str], *arrays: np.ndarray) -> str:
    """SHA-256 of texts and arrays."""
    result = hashlib.sha256()
    for text in texts:
        result.update(text.encode() + b"\0")
    for array in arrays:
        result.update(bytes_of(array))
    return result.hexdigest()


def read_header(file: BinaryIO) -> tuple[dict[str, Any], int, int]:
    """The JSON header, where the tensors' bytes begin, and how many there are."""
    size = os.fstat(file.fileno()).st_size
    if size <= LENGTH_BYTES:
        raise ValueError(f"{size} bytes are too few for a safetensors file")
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > size - LENGTH_BYTES:
        raise ValueError(
            f"truncated, or not a safetensors file: its header should take {length} bytes, "
            f"but {size - LENGTH_BYTES} are left"
        )
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header takes {length} bytes; at most {MAX_HEADER_BYTES} are allowed")
    try:
        text = file.read(length).decode()
    except UnicodeDecodeError:
        raise ValueError("not a safetensors file: its header is not UTF-8 text") from None
    return parse_json("header", text), LENGTH_BYTES + length, size - LENGTH_BYTES - length


def parse_json(what: str, text: str) -> dict[str, Any]:
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


def located(header: dict[str, Any], data_bytes: int) -> dict[str, Tensor]:
    """The tensors of a header without metadata, once it is sure that they fill the file without gaps."""
    known = {name: np.dtype(dtype) for dtype, name in TENSOR_DTYPES.items()}
    spans, tensors = [], {}
    for name, tensor in header.items():
        if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"tensor {name!r} must have dtype, shape and data_offsets")
        dtype, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
        if not isinstance(dtype, str) or dtype not in known:
            raise ValueError(f"tensor {name!r} has dtype {dtype!r}; allowed: {', '.join(known)}")
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"tensor {name!r} has shape {shape}; integers from 0 on are needed")
        if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
            raise ValueError(f"tensor {name!r} has data_offsets {offsets}; two integers are needed")
        spans.append((offsets[0], offsets[1], name))
        tensors[name] = Tensor(known[dtype], tuple(shape), offsets[0])
    position = 0
    for begin, end, name in sorted(spans):
        n_bytes = math.prod(tensors[name].shape) * tensors[name].dtype.itemsize
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
    return tensors


def fill(array: np.ndarray, file: BinaryIO, start: int) -> None:
    """With the bytes from `start` on."""
    file.seek(start)
    if file.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
        raise ValueError("truncated: the file ends before its last tensor")
