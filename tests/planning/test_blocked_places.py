"""Where the blocked kernel on a GPU keeps what is its own in shared memory."""

import numpy as np
import pytest

from numbabp.architecture import Architecture
from numbabp.kernels.cuda.blocked import places as at
from numbabp.kernels.cuda.blocked.geometry import blocked_geometry, static_bytes

H100 = 227 * 1024
SIZES = [
    (784, 2048, 2048, 10),
    (784, 4096, 4096, 4096, 10),
    (841, 2500, 2000, 1500, 1000, 500, 10),
    (20, 30_000, 30_001, 512),
    (784, 100, 10),
    (784, 10),
]


def places_of(sizes, dtype, length, shared):
    layout, _ = at.block_layout(Architecture.checked(sizes, dtype=dtype).layout)
    geometry = blocked_geometry(sizes, 132)
    itemsize = np.dtype(dtype).itemsize
    found = at.block_places(
        layout, geometry, length, itemsize, shared - static_bytes(geometry.threads, itemsize)
    )
    return *found, geometry


def pieces_of(places, geometry, length):
    """(offset, length) of all that lies in a launch's shared memory, but for the places themselves."""
    outputs = int(places[-1, at.FAN_OUT])
    yield int(places[0, at.VECTOR_AT]), int(places[0, at.TILE])
    for layer, row in enumerate(places):
        is_output = layer == len(places) - 1
        yield int(row[at.OWN_AT]), 3 * int(row[at.OWN])
        lengths = {
            at.A_AT: outputs if is_output else length * int(row[at.STRIDE]),
            at.DELTA_AT: length * int(row[at.STRIDE]),
            at.FORWARD_AT: int(row[at.N_FORWARD]) * at.TURN * 4 * geometry.threads,
            at.BACKWARD_AT: int(row[at.N_BACKWARD]) * at.HALF_TURN * 4 * geometry.threads,
        }
        if is_output and len(places) > 1:
            lengths[at.BACKWARD_AT] = int(places[-2, at.OWN]) * outputs
        yield from ((int(row[column]), n) for column, n in lengths.items() if row[column] != at.ABSENT)


@pytest.mark.parametrize("shared", [64 * 1024, H100])
@pytest.mark.parametrize("length", [16, 128])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_nothing_lies_on_anything_else(sizes, dtype, length, shared):
    itemsize = np.dtype(dtype).itemsize
    if sizes[1] == 30_000 and itemsize == 8 and shared < H100:
        with pytest.raises(ValueError, match="too wide for this GPU: its units need 36,256 bytes"):
            places_of(sizes, dtype, length, shared)
        return
    places, n_bytes, geometry = places_of(sizes, dtype, length, shared)
    assert n_bytes <= shared - static_bytes(geometry.threads, itemsize)
    end = places.size * 8 / itemsize
    for start, n in sorted(pieces_of(places, geometry, length)):
        assert start >= end and start % 4 == 0
        end = start + n
    assert end * itemsize <= n_bytes


def test_most_weights_of_a_large_network_stay():
    places, _, geometry = places_of((784, 2048, 2048, 10), "float32", 64, H100)
    hidden = places[1]
    of_columns = int(hidden[at.N_FORWARD]) * at.TURN * 4 * geometry.threads
    of_rows = int(hidden[at.N_BACKWARD]) * at.HALF_TURN * 4 * geometry.threads
    assert of_columns == 2048 * 16
    assert of_rows >= 2048 * 4
