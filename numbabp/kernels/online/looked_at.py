"""One step with all its numbers left to be read, and the gradients of samples.

They are made of the pieces that training is made of. Reference: `gradient` in tests/reference.py.
"""

from typing import Any

from ...compiler.compiling import kernel, scalar_function
from ..general import add_gradient
from ..layers import forward, output_gradient
from ..sequential import step_sgd
from ..state import Model


@scalar_function
def _predict(model: Any, inputs: Any, targets: Any, s: Any) -> float:
    """Forward pass of sample s; its loss, with the output layer's gradient left in delta."""
    z, a, delta = model.units[0], model.units[1], model.units[2]
    for i in range(inputs.shape[1]):
        a[i] = inputs[s, i]
    forward(model, z, a)
    return output_gradient(model.loss, model.level, model.layout, z, a, targets, s, delta)


@kernel
def take_one_step(model: Any, inputs: Any, targets: Any, rate: Any, updated: Any) -> float:
    """A step of plain SGD with the only sample, also where its loss is not finite; returns that loss.

    Pre-activations, activations and delta of every layer are in model.units then.
    """
    loss = _predict(model, inputs, targets, 0)
    real = model.parameters.dtype.type
    step_sgd(model, real(rate), real(0), updated)
    return loss


@kernel
def add_gradients(model: Any, inputs: Any, targets: Any, gradients: Any) -> None:
    """Add the gradient of each sample to its row of gradients T (n, n_parameters), or all to the only one."""
    for s in range(len(inputs)):
        row = gradients[s if len(gradients) > 1 else 0]
        _predict(model, inputs, targets, s)
        into = Model(
            model.parameters,
            model.moments,
            row,
            model.units,
            model.scratch,
            model.layout,
            model.loss,
            model.hidden,
            model.output,
            model.metrics,
            model.level,
        )
        add_gradient(into, row.dtype.type(1))
