"""The blocked kernel on a GPU: one large network, the trajectory of per-sample SGD up to rounding.

Within a block of samples all weights are only read: they are those of the block's start plus a sum of
products of inputs and deltas (docs/blocked.md; numbers in brackets are its equations). So one launch takes
the block's samples one after the other, with the weights streaming through all multiprocessors; before it and
after it come matrix products (`numbabp.training.engines.network_cuda_blocked`).

A layer's units are dealt out to the blocks of threads in groups of neighbours. A block that owns a group
reads those columns of the layer's weights forwards, and those rows of the next layer's backwards, whole: a
unit is done without a word from other blocks. What a later phase needs of all units together - inner products
with the samples before, the output layer's sums - every block leaves as a row of `Block.parts`, and after the
next barrier every block adds up all rows. The output layer itself, with the loss, every block computes alike.
That makes 2 L - 3 barriers of the grid a sample for L layers of weights, none for one layer.

Reference: `train` in tests/reference.py.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import float64

from ....compiler.cuda import kernel
from ....compiler.toolchain import cuda
from ...layout import BIASES, FAN_OUT, WEIGHTS
from ...powers import V_FROM_V, V_FROM_W, W_FROM_V, W_FROM_W
from ...state import DIVERGED
from .backward import backward, scale_deltas, step_bias
from .forward import forward, output_sums, predict
from .geometry import MAX_GROUP, MAX_OUTPUTS, MAX_PARTS, MAX_THREADS
from .state import AT, NUMBER, STATUS, STEPS, Sample, Scratch, Threads
from .sums import WARP


@cache
def make_train_block(has_velocity: bool) -> Any:
    """The kernel for networks with a velocity, or without."""

    @kernel
    def train_block(
        network: Any,
        samples: Any,
        block: Any,
        record: Any,
        group: Any,
        epoch: Any,
        number: Any,
        first: Any,
        n_samples: Any,
    ) -> None:
        """Steps of one block of samples: biases and `block` change, weights stay as they are.

        Launched with no more blocks of threads than fit on the GPU at once, for one layer with one.

        Parameters
        ----------
        network, samples, block, record
            See `Network`, `Samples`, `Block` and `Record`. block.z begins with the samples times W_0.
        group
            Units that a block of threads takes at a time; divides the number of threads.
        epoch
            Row of record.sums.
        number
            Of this block among those that follow each other. If one diverges, those after it take no step.
        first, n_samples
            The block's samples are samples.rows[first : first + n_samples].
        """
        grid = cuda.cg.this_grid()
        # sizes are constants, and so are the addresses: a thread has better use for its registers
        scratch = Scratch(
            cuda.shared.array(MAX_THREADS, float64),
            cuda.shared.array(MAX_THREADS, network.parameters.dtype),
            cuda.shared.array(MAX_PARTS, network.parameters.dtype),
            cuda.shared.array(MAX_PARTS, network.parameters.dtype),
            cuda.shared.array(MAX_GROUP, network.parameters.dtype),
            cuda.shared.array(MAX_GROUP, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
        )
        real = network.parameters.dtype.type
        last = len(network.layout) - 1
        n_outputs = np.int64(network.layout[last, FAN_OUT])
        thread, n_threads = np.int32(cuda.threadIdx.x), np.int32(cuda.blockDim.x)
        me = Threads(
            thread,
            n_threads,
            np.int32(thread % WARP),
            np.int32(thread // WARP),
            np.int32(n_threads // WARP),
            np.int32(thread % group),
            np.int32(thread // group),
            np.int32(n_threads // group),
            np.int32(group),
            np.int32(cuda.blockIdx.x),
            np.int32(cuda.gridDim.x),
        )
        # every block has the output layer's biases for itself, to step them without a barrier
        biases = np.int64(network.layout[last, BIASES])
        for k in range(thread, n_outputs, n_threads):
            scratch.biases[k] = network.parameters[biases + k]
            if has_velocity:
                scratch.velocity[k] = network.velocity[biases + k]
        cuda.syncthreads()
        goes_on = record.state[STATUS] != DIVERGED
        phase = 0
        t = np.int64(0)
        while goes_on and t < n_samples:
            s = samples.rows[first + t]
            weight = samples.weights[s] if samples.weights.size > 0 else real(1)
            sample = Sample(t, n_samples, s, weight)
            for layer in range(last):
                forward(network, block, scratch, me, phase, layer, sample, has_velocity)
                grid.sync()
                phase += 1
            output_sums(network, block, scratch, me, phase, sample, has_velocity)
            goes_on = predict(network, samples, block, record, scratch, me, sample, epoch)
            if goes_on:  # else the sample has changed nothing
                for k in range(thread, n_outputs, n_threads):
                    step_bias(block, scratch.biases, scratch.velocity, k, scratch.delta[k], has_velocity)
                for layer in range(last, 0, -1):
                    backward(network, block, scratch, me, phase, layer, t, has_velocity)
                    if layer > 1:  # below layer 1 the next sample's first phase goes on, unit by unit
                        grid.sync()
                        phase += 1
                t += np.int64(1)
        grid.sync()
        scale_deltas(network, block, me, t, n_samples)
        if me.block == 0:  # all blocks have the same
            for k in range(thread, n_outputs, n_threads):
                network.parameters[biases + k] = scratch.biases[k]
                if has_velocity:
                    network.velocity[biases + k] = scratch.velocity[k]
            if thread == 0:
                record.state[STEPS] = t
                if not goes_on and record.state[STATUS] != DIVERGED:  # the first to do so is on record
                    record.state[STATUS] = DIVERGED
                    record.state[NUMBER] = number
                    record.state[AT] = t

    return train_block


@kernel
def carry_weights(network: Any, block: Any, record: Any) -> None:
    """Weights and velocity as the steps of a block carry them on, but for its gradients (equation 8).

    For L2 or a velocity; else they stay as they are.
    """
    layout, powers = network.layout, block.powers
    n_steps = record.state[STEPS]
    parameters, velocity = network.parameters, network.velocity
    begin = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for layer in range(len(layout)):
        first = np.int64(layout[layer, WEIGHTS])
        for i in range(first + begin, np.int64(layout[layer, BIASES]), cuda.gridDim.x * cuda.blockDim.x):
            old = parameters[i]
            new = powers[n_steps, W_FROM_W] * old
            if velocity.size > 0:
                new += powers[n_steps, W_FROM_V] * velocity[i]
                velocity[i] = powers[n_steps, V_FROM_W] * old + powers[n_steps, V_FROM_V] * velocity[i]
            parameters[i] = new
