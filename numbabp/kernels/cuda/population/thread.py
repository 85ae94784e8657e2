"""A network a thread: for networks whose parameters, and what their rule keeps, fit into its registers."""

from functools import cache
from typing import Any

from ....compiler.compiling import scalar_function
from ....compiler.toolchain import SIMULATED
from ....functions.activations import SOFTMAX, exp
from ....functions.losses import LAST_JOINT
from ....functions.units import (
    activated,
    derivative,
    gradient_of_output,
    highest_of,
    is_right,
    loss_of_output,
)
from .arithmetic import make_log_of_sum, make_settled, make_step_bias, make_step_weight, real_of_sums
from .batches import Part
from .chaining import chain
from .kernel import Pieces, make_kernel
from .specialisation import Specialisation

THREADS = 4 if SIMULATED else 128
"""Of a block, and so networks."""


@cache
def make_train(of: Specialisation, max_registers: int | None = None) -> Any:
    """The kernel for a specialisation, launched with a thread a network; see `kernel.make_kernel`."""
    layers = range(of.n_layers)
    n_own, n_units = of.n_parameters, of.n_units
    n_kept = of.n_kept * n_own

    @scalar_function
    def load(team: Any, networks: Any, i: Any) -> None:
        for j in range(n_own):
            team.parameters[j] = networks.parameters[i, j]
        for j in range(n_kept):
            team.moments[j] = networks.moments[i, j]

    @scalar_function
    def store(team: Any, networks: Any, i: Any) -> None:
        for j in range(n_own):
            networks.parameters[i, j] = team.parameters[j]
        for j in range(n_kept):
            networks.moments[i, j] = team.moments[j]

    forward = chain([_make_forward(of, layer) for layer in layers])
    backward = chain([_make_backward(of, layer) for layer in reversed(layers)])
    ends = [*of.weights_at[1:], n_own]
    parts = [
        part
        for w, b, end in zip(of.weights_at, of.biases_at, ends, strict=True)
        for part in (Part(w, b - w, True), Part(b, end - b, False))
    ]
    pieces = Pieces(
        1, THREADS, n_own, n_units, 0, False, parts, _alone, load, forward, _make_outputs(of), backward, store
    )
    return make_kernel(of, pieces, max_registers)


@scalar_function
def _alone(team: Any, value: Any) -> Any:
    """The sum over a team of one."""
    return value


def _make_forward(of: Specialisation, layer: int) -> Any:
    fan_in, fan_out = of.layer_sizes[layer : layer + 2]
    w, b, out, code = of.weights_at[layer], of.biases_at[layer], of.outputs_at[layer], of.codes[layer]
    x = of.outputs_at[layer - 1]
    is_first, is_last = layer == 0, layer == of.n_layers - 1
    settled = make_settled(of)

    @scalar_function
    def forward(team: Any, s: Any, weight: Any) -> None:
        """z = b + W^T a, a = f(z)."""
        for k in range(fan_out):
            total = team.parameters[b + k]
            for j in range(fan_in):
                a = team.inputs[s, j] if is_first else team.a[x + j]
                total += a * team.parameters[w + j * fan_out + k]
            team.z[out + k] = total
            team.a[out + k] = activated(code, total) if is_last else settled(activated(code, total))

    return forward


def _make_outputs(of: Specialisation) -> Any:
    loss, level, monitored, n = of.loss, of.level, of.monitored, of.layer_sizes[-1]
    out, code = of.outputs_at[-1], of.codes[-1]
    of_activations = loss > LAST_JOINT  # else the loss is taken with its own activation
    zero, nothing = of.real(0), real_of_sums(of)(0)
    settled, log_of_sum = make_settled(of), make_log_of_sum(of)

    @scalar_function
    def outputs(team: Any, s: Any, weight: Any) -> Any:
        z, a, delta, targets = team.z, team.a, team.delta, team.targets
        normaliser, total, mass = nothing, zero, zero
        if code == SOFTMAX:
            highest = highest_of(z, out, n)
            for k in range(n):
                z[out + k] -= highest
                a[out + k] = exp(z[out + k])
                total += a[out + k]
            normaliser = log_of_sum(total, a, out, n)
            for k in range(n):
                a[out + k] /= total
        for k in range(n):
            mass += targets[s, k]
        value, mean = nothing, zero
        for k in range(n):
            value += loss_of_output(loss, level, z[out + k], a[out + k], targets[s, k], normaliser)
            delta[out + k] = weight * gradient_of_output(loss, level, a[out + k], targets[s, k], mass)
            mean += delta[out + k] * a[out + k]
        if of_activations and code == SOFTMAX:
            for k in range(n):
                delta[out + k] = a[out + k] * (delta[out + k] - mean)
        elif of_activations:
            for k in range(n):
                delta[out + k] *= derivative(code, z[out + k], a[out + k])
        for k in range(n):
            delta[out + k] = settled(delta[out + k])
        return value, monitored and is_right(loss, a, out, n, targets, s)

    return outputs


def _make_backward(of: Specialisation, layer: int) -> Any:
    fan_in, fan_out = of.layer_sizes[layer : layer + 2]
    w, b, out = of.weights_at[layer], of.biases_at[layer], of.outputs_at[layer]
    x, code_below = of.outputs_at[layer - 1], of.codes[layer - 1]
    is_first, zero, settled = layer == 0, of.real(0), make_settled(of)
    step_weight, step_bias = make_step_weight(of, of.n_parameters), make_step_bias(of, of.n_parameters)

    @scalar_function
    def backward(team: Any, s: Any, step: Any) -> None:
        """Delta of the layer below, f'(z) W delta, and the update of this one."""
        parameters, moments, delta = team.parameters, team.moments, team.delta
        for j in range(fan_in):
            a = team.inputs[s, j] if is_first else team.a[x + j]
            total = zero
            for k in range(fan_out):
                p = w + j * fan_out + k
                old, d = parameters[p], delta[out + k]
                total += old * d
                step_weight(step, parameters, moments, p, old, a, d)
            if not is_first:
                delta[x + j] = settled(total * derivative(code_below, team.z[x + j], a))
        for k in range(fan_out):
            step_bias(step, parameters, moments, b + k, delta[out + k])

    return backward
