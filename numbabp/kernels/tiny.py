"""The tiny kernel: plain per-sample SGD of one small hidden layer, compiled for its sizes.

A step of a tiny network is a chain of dependent operations - product, exponential, division, product, ... -
that a processor can't overlap, so what counts is its length. With sizes, activation and loss as constants,
the parameters stay in arrays on the stack, the hidden units are padded to whole vectors, and every loop is
unrolled. At 2-10-1 a step takes 72 ns in float32 and 79 in float64, of the sequential kernel's 82 and 89;
compiling takes 1 to 2 s for every new network. Measured and slower at 2-10-1 in float64: padding to half
lines (95 ns beside 85), and losses put off to be taken eight at a time (110 beside 93), which now overlap
with the next step. Reference: `train` in tests/reference.py.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..compiler.arrays import LINE
from ..compiler.compiling import stack_zeros, training_kernel
from ..compiler.constants import constant
from ..functions.activations import ACTIVATIONS, FUNCTIONS
from ..functions.losses import LOSSES
from .layers import backward_layer, observe, softmax
from .layout import ZERO, layout
from .state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, Model, begin_epoch, end_epoch, sample_weight


@cache
def make_train_tiny(
    layer_sizes: tuple[int, int, int],
    activations: tuple[str, str],
    loss: str,
    dtype: str,
    updated: bool,
    with_l2: bool,
) -> Callable[..., int]:
    """A kernel that is called as `sequential.train_sgd`, for just these sizes, functions and options."""
    n_inputs, n_hidden, n_outputs = layer_sizes
    in_line = LINE // np.dtype(dtype).itemsize
    padded = -(-n_hidden // in_line) * in_line
    n_first, n_second = n_inputs * padded, n_outputs * padded
    first_bias = n_inputs * n_hidden
    second = first_bias + n_hidden
    second_bias = second + n_hidden * n_outputs
    function, derivative = FUNCTIONS[activations[0]]
    loss_code = LOSSES[loss]
    # the output layer alone, its units at the head of its arrays
    output_code = ACTIVATIONS[activations[1]]
    output_layout = layout((0, n_outputs), (output_code,))
    is_softmax = activations[1] == "softmax"
    output_function = FUNCTIONS["identity" if is_softmax else activations[1]][0]

    @training_kernel
    def train_tiny(
        model: Any, samples: Any, rule: Any, run: Any, updated_: Any, stop_epoch: Any, max_samples: Any
    ) -> int:
        parameters = model.parameters
        real = parameters.dtype.type
        outputs = Model(
            parameters,
            model.moments,
            model.gradient,
            model.units,
            model.scratch,
            output_layout,
            constant(loss_code),
            constant(output_code),
            constant(output_code),
            model.metrics,
            model.level,
        )
        # W1 by rows and W2 by columns, both padded to whole lines; the padding's weights stay 0
        w1, w2 = stack_zeros(n_first, parameters), stack_zeros(n_second, parameters)
        b1, b2 = stack_zeros(padded, parameters), stack_zeros(n_outputs, parameters)
        z1, a1, delta1 = (
            stack_zeros(padded, parameters),
            stack_zeros(padded, parameters),
            stack_zeros(padded, parameters),
        )
        z2, a2, delta2 = (
            stack_zeros(n_outputs, parameters),
            stack_zeros(n_outputs, parameters),
            stack_zeros(n_outputs, parameters),
        )
        is_unit = stack_zeros(padded, parameters)
        for k in range(n_hidden):
            is_unit[k] = real(1)
            b1[k] = parameters[first_bias + k]
            for i in range(n_inputs):
                w1[i * padded + k] = parameters[i * n_hidden + k]
            for o in range(n_outputs):
                w2[o * padded + k] = parameters[second + k * n_outputs + o]
        for o in range(n_outputs):
            b2[o] = parameters[second_bias + o]

        position = run.position
        status = PAUSED
        done = 0
        while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
            begin_epoch(samples, run)
            epoch_rate = run.learning_rates[position[EPOCH]]
            shrink = real(epoch_rate * rule.l2)
            until = min(samples.order.size, position[SAMPLE] + max_samples - done)
            done += until - position[SAMPLE]
            for j in range(position[SAMPLE], until):
                s = samples.order[j]
                weight = sample_weight(samples, s)
                if weight == 0:  # no step
                    continue
                for k in range(padded):
                    z = b1[k]
                    for i in range(n_inputs):
                        z += samples.inputs[s, i] * w1[i * padded + k]
                    z1[k] = z
                    a1[k] = function(z)
                for o in range(n_outputs):
                    z = b2[o]
                    for k in range(padded):
                        z += a1[k] * w2[o * padded + k]
                    z2[o] = z
                if is_softmax:  # not a function of one unit
                    softmax(z2, a2, ZERO, np.uint64(n_outputs))
                else:
                    for o in range(n_outputs):
                        a2[o] = output_function(z2[o])
                # a loss that is not finite: the sample has changed nothing
                if not observe(outputs, samples, run, s, weight, z2, a2, delta2):
                    until = j
                    status = DIVERGED
                    break
                backward_layer(outputs, 0, z2, a2, delta2)
                rate = real(epoch_rate) * weight
                for k in range(padded):
                    back = real(0)
                    g = rate * is_unit[k] * a1[k]  # 0 for the padding, whose weights would leave 0 otherwise
                    for o in range(n_outputs):
                        old = w2[o * padded + k]
                        kept = old - shrink * old if with_l2 else old
                        new = kept - g * delta2[o]
                        w2[o * padded + k] = new
                        back += delta2[o] * (new if updated else old)
                    delta1[k] = back * derivative(z1[k], a1[k])
                for o in range(n_outputs):
                    b2[o] -= rate * delta2[o]
                for i in range(n_inputs):
                    g = rate * samples.inputs[s, i]
                    for k in range(padded):
                        old = w1[i * padded + k]
                        kept = old - shrink * old if with_l2 else old
                        w1[i * padded + k] = kept - g * delta1[k]
                for k in range(padded):
                    b1[k] -= rate * delta1[k]
                position[STEP] += 1
            position[SAMPLE] = until
            end_epoch(samples, run)

        for k in range(n_hidden):
            parameters[first_bias + k] = b1[k]
            for i in range(n_inputs):
                parameters[i * n_hidden + k] = w1[i * padded + k]
            for o in range(n_outputs):
                parameters[second + k * n_outputs + o] = w2[o * padded + k]
        for o in range(n_outputs):
            parameters[second_bias + o] = b2[o]
        return status

    return train_tiny
