"""A sample forwards through the hidden layers of the blocked kernel (equation 5)."""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ....functions.units import activated
from ...layout import ACTIVATION, FAN_IN, OUTPUTS
from ..loops import at
from ..quads import store_quad
from .geometry import QUAD
from .places import A_AT, ABSENT, OWN, OWN_AT, STRIDE, TILE, place, start_of
from .products import add_columns, matrix_of
from .vectors import copy_vector


@device_function
def columns(
    network: Any, scratch: Any, me: Any, stage: Any, round: Any, vector: Any, has_velocity: Any
) -> None:
    """Into `scratch.sums`: every part's share of the inputs times the weights of the group's units."""
    zero = scratch.pool.dtype.type(0)
    layer = stage.layer
    fan_in, tile = place(scratch, layer, FAN_IN), place(scratch, layer, TILE)
    weights = matrix_of(network.parameters, scratch, me, layer)
    velocity = matrix_of(network.velocity, scratch, me, layer)
    sums = (zero, zero, zero, zero)
    carried = (zero, zero, zero, zero)
    begin = np.int32(0)
    while begin < fan_in:
        if fan_in > tile and (begin > 0 or round > 0):
            cuda.syncthreads()
            copy_vector(vector, begin, scratch, me, 0)
            cuda.syncthreads()
        sums = add_columns(weights, scratch, me, layer, round, begin, True, sums)
        if has_velocity:
            carried = add_columns(velocity, scratch, me, layer, round, begin, False, carried)
        begin = np.int32(begin + tile)
    x, y = scratch.of_weights[at(stage.t)], zero
    if has_velocity:
        y = scratch.of_velocity[at(stage.t)]
    cuda.syncthreads()  # others may still read what parts left in there
    store_quad(
        scratch.sums,
        QUAD * me.thread,
        (
            x * sums[0] + y * carried[0],
            x * sums[1] + y * carried[1],
            x * sums[2] + y * carried[2],
            x * sums[3] + y * carried[3],
        ),
    )


@scalar_function
def activate(block: Any, scratch: Any, stage: Any, own: Any, here: Any, total: Any, has_velocity: Any) -> Any:
    """A unit's activation, from all but the bias and a first layer's product of its pre-activation."""
    pool, layer, t = scratch.pool, stage.layer, stage.t
    bias = np.int32(place(scratch, layer, OWN_AT) + own)
    z = pool[at(bias)] + total
    if layer == 0:
        kept = place(scratch, layer, A_AT)
        if kept != ABSENT:
            z += scratch.of_weights[at(t)] * pool[at(kept + t * place(scratch, layer, STRIDE) + own)]
        else:
            z += scratch.of_weights[at(t)] * block.z[np.uint64(here)]
        if has_velocity:
            z += (
                scratch.of_velocity[at(t)]
                * block.carried[np.uint64(here - start_of(scratch, layer, OUTPUTS))]
            )
    pool[at(bias + place(scratch, layer, OWN))] = z
    return activated(place(scratch, layer, ACTIVATION), z)
