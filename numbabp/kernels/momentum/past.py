"""The samples before, of which the velocity is made, and where they are kept."""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import LINE, aligned_zeros
from ...compiler.compiling import scalar_function
from ..layout import DELAYED, FAN_IN, FAN_OUT, FORM

# Entries of Past.place: the row that the next block begins with, where the rows before it end if they are the
# last ones, samples since the split, and how many of them count.
HEAD, UPPER, AGE, COUNT = range(4)


class Past(NamedTuple):
    """The samples that F is made of, and since when; with K the length of a block.

    There is an F of the first layer and one of each that is `DELAYED`: those are in the order of layers here.
    """

    inputs: np.ndarray  # T (most that count + 2 K, n_inputs or some more)
    deltas: np.ndarray  # T (most that count + 2 K, fan_out of the first layer)
    hidden_inputs: np.ndarray  # T (delayed layers, most that count + 2 K, their largest fan_in or some more)
    hidden_deltas: np.ndarray  # T (delayed layers, most that count + 2 K, their largest fan_out or some more)
    place: np.ndarray  # int64 (4,)
    rate: np.ndarray  # float64 (1,): the learning rate that S and F are of; 0 where there are W and v
    near: np.ndarray  # T (K, most that count), scratch: their products with the block's samples
    fading: np.ndarray  # T (K + most that count,), scratch: the coefficients of these
    within: np.ndarray  # T (K,), scratch: those of the block's own
    pairs: np.ndarray  # T (K + most that count or a fan_in,), scratch: a hidden row's products


class Work(NamedTuple):
    """What `train_momentum` works on beside the model, where S and F are in the place of some W and v."""

    block: Any  # blocked.Block
    past: Past


def row_size(n: int, dtype: np.dtype) -> int:
    """Numbers of a row of n: whole cache lines, but no whole pages, of which the cache has few places."""
    line = LINE // dtype.itemsize
    size = -(-n // line) * line
    return size + line if size * dtype.itemsize % 4096 == 0 else size


def make_past(length: int, count: int, layout: np.ndarray, dtype: np.dtype) -> Past:
    """Room for as many samples as count, in blocks of a length."""
    rows = count + 2 * length  # what counts is not written over, wherever a block begins again at the first
    first, delayed = layout[0], layout[layout[:, FORM] == DELAYED]
    largest = {column: int(delayed[:, column].max(initial=0)) for column in (FAN_IN, FAN_OUT)}

    def units(column: int) -> np.ndarray:
        return aligned_zeros((len(delayed), rows, row_size(largest[column], dtype)), dtype)

    return Past(
        aligned_zeros((rows, row_size(int(first[FAN_IN]), dtype)), dtype),
        aligned_zeros((rows, row_size(int(first[FAN_OUT]), dtype)), dtype),
        units(FAN_IN),
        units(FAN_OUT),
        np.zeros(4, np.int64),
        np.zeros(1),
        aligned_zeros((length, count), dtype),
        np.zeros(length + count, dtype),
        np.zeros(length, dtype),
        np.zeros(max(length + count, largest[FAN_IN]), dtype),
    )


def check_place(place: np.ndarray, rate: np.ndarray, past: Past) -> None:
    """Raise ValueError for a place that no run comes to."""
    head, upper, age, count = (int(n) for n in place)
    n = min(age, count)
    older = n - min(n, head)
    is_within = min(head, upper, age, count) >= 0 and max(head, upper) <= len(past.deltas)
    if not (is_within and count <= past.near.shape[1] and older <= upper and np.isfinite(rate).all()):
        raise ValueError("'past_place' is not one that a run comes to")


@scalar_function
def pieces(past: Any, head: Any, n: Any) -> Any:
    """Rows of the n samples before a head, oldest first: twice (first row, end, how many before)."""
    older = n - min(n, head)
    return (past.place[UPPER] - older, past.place[UPPER], np.int64(0)), (head - n + older, head, older)


@scalar_function
def n_counting(past: Any) -> int:
    """How many samples there are that count."""
    n: int = min(past.place[AGE], past.place[COUNT])
    return n


@scalar_function
def next_head(past: Any, length: Any) -> int:
    """The row that a block begins with: the first one, where there are too few left."""
    head: int = past.place[HEAD]
    if head + length > len(past.deltas):
        past.place[UPPER] = head
        head = 0
    return head
