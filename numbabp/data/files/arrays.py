"""Arrays in files, as columns: NPY, NPZ, and the IDX files of MNIST."""

import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import TableError, said
from .sources import Source

TARGETS = ("y", "Y", "label", "labels", "target", "targets")
"""Arrays of an archive that are there to be predicted."""
_IDX_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_npy(source: Source) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Columns of an array of two dimensions, x0, x1 and so on; of a structured one its fields."""
    array = _load(source, "NPY file of a plain array")
    if not isinstance(array, np.ndarray):
        raise TableError(f"{source.name}: is an archive of arrays: call it .npz.")
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}, ()
    return columns_of(source.name, "x", array), ()


def read_npz(source: Source, part: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Columns of the arrays of an archive: of one that has x_train and x_test, the part that is asked for."""
    arrays = _load(source, "NPZ file of plain arrays")
    if isinstance(arrays, np.ndarray):
        raise TableError(
            f"{source.name}: damaged, or not an NPZ file of plain arrays: it is a single array, no archive."
        )
    if "indptr" in arrays:
        raise TableError(
            f"{source.name}: is a sparse matrix: save X.toarray(), or take scipy.sparse.load_npz and "
            "MLPClassifier or MLPRegressor in Python."
        )
    arrays = _part_of(source.name, arrays, part)
    columns: dict[str, np.ndarray] = {}
    targets: list[str] = []
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[1] == 1 and name in TARGETS:
            array = array[:, 0]
        found = columns_of(source.name, name, array)
        columns.update(found)
        if name in TARGETS:  # all of its columns, so that none of them is learnt from
            targets.extend(found)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise TableError(
            f"{source.name}: arrays have different lengths: {lengths}; save only those that have a row for "
            "each sample."
        )
    return columns, tuple(targets)


def _part_of(path: str, arrays: dict[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    """Arrays for training or tests, x_train or train_images say, by names without it; all if none is so."""
    if not any(name.endswith("_train") or name.startswith("train_") for name in arrays):
        return arrays
    of_part = {
        name.removesuffix(f"_{part}").removeprefix(f"{part}_"): array
        for name, array in arrays.items()
        if name.endswith(f"_{part}") or name.startswith(f"{part}_")
    }
    if not of_part:
        raise TableError(f"{path}: there are no arrays for this part, whose names end in _{part}.")
    return of_part


def columns_of(path: str, name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """An array of one dimension as a column, or one of more, X say, as X0, X1, ..."""
    if array.ndim < 1 or array.dtype.kind not in "biufUMS":
        raise TableError(
            f"{path}: array {name!r} has shape {array.shape} and dtype {array.dtype}; "
            "columns must be arrays of numbers or text, with a row for each sample."
        )
    if array.ndim == 1:
        return {name: array}
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    return {f"{name}{j}": flat[:, j] for j in range(flat.shape[1])}


def _load(source: Source, what: str) -> Any:
    try:
        with source.opened() as file:
            loaded = np.load(_seekable(file), allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                _check_characters(loaded)
                return loaded
            arrays = {name: loaded[name] for name in loaded.files}
            for name, array in arrays.items():
                if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is no array
                    raise ValueError(f"{name!r} in it is no array")
                _check_characters(array)
            return arrays
    except TableError:
        raise
    except Exception as error:
        if "allow_pickle" in str(error):
            raise TableError(
                f"{source.name}: not an {what}: it has Python's objects (dtype=object), which only "
                "unpickling could read, and that is never done; save numbers or text, with "
                "array.astype(float) or array.astype(str)."
            ) from None
        # wrong bytes make NumPy and zipfile raise some ten kinds of them
        raise TableError(f"{source.name}: damaged, or not an {what}: {said(error)}.") from None


def _check_characters(array: np.ndarray) -> None:
    """Raise ValueError for texts with numbers that are no characters: Python makes broken strings of them."""
    for name in array.dtype.names or ():
        _check_characters(array[name])
    if array.dtype.kind == "U" and array.dtype.itemsize:
        texts = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        codes: np.ndarray = texts.reshape(-1).view(np.uint32)
        if codes.size and codes.max() > sys.maxunicode:
            raise ValueError("its texts hold numbers that are no characters")


def _seekable(file: Any) -> Any:
    """NumPy asks files of the system for their number, which one that is uncompressed on the way has not."""
    import gzip
    import io

    return io.BytesIO(file.read()) if isinstance(file, gzip.GzipFile) else file


def read_idx(source: Source) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Pixels of the images in an IDX file, and their labels from the file of that name beside it."""
    images = _idx_array(source)
    if images.ndim == 1:
        raise TableError(f"{source.name}: has the labels alone: name the file of images.")
    columns = columns_of(source.name, "pixel", images)
    beside = _labels_of(Path(source.path))
    if beside is None:
        return columns, ()
    labels = _idx_array(Source.of(beside))
    if labels.shape != (len(images),):
        raise TableError(f"{beside}: has shape {labels.shape}, but {source.name} has {len(images)} images.")
    return {**columns, "label": labels}, ("label",)


def is_idx(head: bytes) -> bool:
    """Whether these are the first bytes of an IDX file."""
    return len(head) > 3 and head[:2] == b"\0\0" and head[2] in _IDX_DTYPES and 0 < head[3] < 8


def _labels_of(images: Path) -> Path | None:
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    if name == images.name:
        return None
    plain = name.removesuffix(".gz")
    for other in (name, plain, plain + ".gz"):
        if os.path.exists(images.with_name(other)):
            return images.with_name(other)
    return None


def _idx_array(source: Source) -> np.ndarray:
    with source.opened() as file:
        content = file.read()
    if not is_idx(content):
        raise TableError(f"{source.name}: not an IDX file.")
    dtype, n_dimensions = np.dtype(_IDX_DTYPES[content[2]]), content[3]
    start = 4 + 4 * n_dimensions
    if len(content) < start:
        raise TableError(f"{source.name}: damaged: it ends within its header.")
    shape = tuple(np.frombuffer(content, ">u4", n_dimensions, 4).tolist())
    if len(content) - start != math.prod(shape) * dtype.itemsize or not shape[0]:
        raise TableError(f"{source.name}: damaged: {len(content) - start} bytes can't be of shape {shape}.")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
