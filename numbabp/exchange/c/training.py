"""One step of training by backpropagation: of a sample's loss, by sgd, momentum or nesterov."""

from collections.abc import Callable

from ...functions.losses import JOINT
from .formulas import ACTIVATIONS, LOSSES
from .literals import literal
from .pieces import Pieces
from .program import Layer, Program

MODEL = """
/* A network that learns. `parameters` are as they are in the array above: they can be kept and put back. */
typedef struct {
    $real parameters[$n];
$velocity    $real learning_rate;
} ${net}_model;
"""
VELOCITY = """    $real velocity[$n];
    $real momentum;
"""

INIT = """
/* Begin as the network that was written, with its learning rate. */
${public}void ${net}_init(${net}_model *model)
{
    for (int j = 0; j < $n; j++)
        model->parameters[j] = ${net}_parameters[j];
$velocity    model->learning_rate = $rate;
}
"""
INIT_VELOCITY = """    for (int j = 0; j < $n; j++)
        model->velocity[j] = 0.0$f;
    model->momentum = $momentum;
"""

BACK = """
/* W^T delta of a layer: the gradient with respect to what it takes. */
${helper}void ${net}_back(const $real *p, int n_inputs, $real *gradient, int n_units, const $real *delta)
{
    for (int i = 0; i < n_inputs; i++)
        gradient[i] = 0.0$f;
    for (int k = 0; k < n_units; k++) {
        const $real d = delta[k];
        p++; /* the bias */
        for (int i = 0; i < n_inputs; i++)
            gradient[i] += *p++ * d;
    }
}
"""

ACTIVATION_BACK = """
/* delta = dLoss/dz from dLoss/da, by the derivative of the activation. */
${helper}void ${net}_${activation}_back($arguments, $real *delta, int n)
{
    for (int k = 0; k < n; k++) {
$values
        delta[k] *= $derivative;
    }
}
"""

SOFTMAX_BACK = """
/* delta = dLoss/dz from dLoss/da, by the Jacobian diag(a) - a a^T. */
${helper}void ${net}_softmax_back(const $real *a, $real *delta, int n)
{
    $real mean = 0.0$f;
    for (int k = 0; k < n; k++)
        mean += delta[k] * a[k];
    for (int k = 0; k < n; k++)
        delta[k] = a[k] * (delta[k] - mean);
}
"""

OUTPUT = """
/* $what of the loss. */
${helper}void ${net}_output(const $real *outputs, const $real *targets, $real *delta)
{
$mass    for (int k = 0; k < ${NET}_N_OUTPUTS; k++) {
        const $real a = outputs[k], y = targets[k];
        delta[k] = $gradient;
    }
}
"""
MASS = """    $real mass = 0.0$f;
    for (int k = 0; k < ${NET}_N_OUTPUTS; k++)
        mass += targets[k];
"""

STEP = """
/* W -= eta delta x^T of a layer. */
${helper}void ${net}_step(${net}_model *model, int start,
    int n_inputs, const $real *x, int n_units, const $real *delta)
{
    $real *p = model->parameters + start;
    for (int k = 0; k < n_units; k++) {
        const $real step = model->learning_rate * delta[k];
        *p++ -= step;
        for (int i = 0; i < n_inputs; i++)
            *p++ -= step * x[i];
    }
}
"""

STEP_WITH_VELOCITY = """
/* $formula of a layer, with g = delta x^T. */
${helper}void ${net}_step(${net}_model *model, int start,
    int n_inputs, const $real *x, int n_units, const $real *delta)
{
    $real *p = model->parameters + start, *v = model->velocity + start;
    for (int k = 0; k < n_units; k++) {
        for (int i = -1; i < n_inputs; i++, p++, v++) {
            const $real g = i < 0 ? delta[k] : delta[k] * x[i];
            *v = model->momentum * *v + g;
            *p -= model->learning_rate * $direction;
        }
    }
}
"""
DIRECTIONS = {
    "momentum": ("v = mu v + g, W -= eta v", "*v"),
    "nesterov": ("v = mu v + g, W -= eta (g + mu v)", "(g + model->momentum * *v)"),
}

LEARN = """
/* One step from a sample and its targets; `outputs` are those of before it. No two arrays may overlap. */
${public}void ${net}_learn(${net}_model *model, const $real *inputs, const $real *targets, $real *outputs)
{
$body
}
"""

LEARN_CLASS = """
/* The same from the index of the sample's class. */
${public}void ${net}_learn_class(${net}_model *model, const $real *inputs, int class_index, $real *outputs)
{
    $real targets[${NET}_N_OUTPUTS];
$targets
    ${net}_learn(model, inputs, targets, outputs);
}
"""
ONE_TARGET = "    targets[0] = class_index ? 1.0$f : 0.0$f;"
TARGET_EACH = """    for (int k = 0; k < ${NET}_N_OUTPUTS; k++)
        targets[k] = k == class_index ? 1.0$f : 0.0$f;"""

LOSS = """
/* The loss of outputs$note. */
${public}$real ${net}_loss(const $real *outputs, const $real *targets)
{
    $real total = 0.0$f;
    for (int k = 0; k < ${NET}_N_OUTPUTS; k++) {
        const $real y = targets[k];
$values
        total += $value;
    }
    return total;
}
"""


def add_model(pieces: Pieces) -> None:
    """The struct."""
    n = pieces.program.architecture.n_parameters
    pieces.add(MODEL, n=n, velocity=VELOCITY.replace("$n", str(n)) if _has_velocity(pieces.program) else "")


def add_training(pieces: Pieces) -> None:
    """All that a step takes, behind the forward pass."""
    architecture, learning = pieces.program.architecture, pieces.program.learning
    assert learning is not None
    n = architecture.n_parameters
    rate, momentum = (literal(number, pieces.dtype) for number in (learning.learning_rate, learning.momentum))
    velocity = INIT_VELOCITY.replace("$n", str(n)).replace("$momentum", momentum)
    pieces.add_public(INIT, n=n, rate=rate, velocity=velocity if _has_velocity(pieces.program) else "")
    _add_output(pieces)
    if architecture.n_layers > 1:
        pieces.add(BACK)
    for activation in dict.fromkeys(layer.activation for layer in _with_derivative(pieces.program)):
        _add_derivative(pieces, activation)
    if _has_velocity(pieces.program):
        formula, direction = DIRECTIONS[learning.update_rule]
        pieces.add(STEP_WITH_VELOCITY, formula=formula, direction=direction)
    else:
        pieces.add(STEP)
    body = "\n".join(f"    {line}" for line in _learning(pieces.program))
    pieces.add_public(LEARN, body=body)
    if pieces.program.classifies:
        pieces.add_public(LEARN_CLASS, targets=ONE_TARGET if architecture.n_outputs == 1 else TARGET_EACH)
    _add_loss(pieces)


def stack_of_step(program: Program) -> int:
    """Numbers that a step has in arrays of its own."""
    names = dict(part.rstrip("]").split("[") for part in _arrays(program))
    return sum(map(int, names.values()))


def _has_velocity(program: Program) -> bool:
    return program.learning is not None and program.learning.update_rule in DIRECTIONS


def _is_joint(program: Program) -> bool:
    """Whether the loss gives dLoss/dz of the outputs."""
    return program.architecture.loss in JOINT


def _with_derivative(program: Program) -> list[Layer]:
    """Layers whose activation's derivative is needed."""
    layers = program.layers[:-1] if _is_joint(program) else program.layers
    return [layer for layer in layers if layer.activation != "identity"]


def _needs(activation: str) -> str:
    return "a" if activation == "softmax" else ACTIVATIONS[activation].needs


def _add_derivative(pieces: Pieces, activation: str) -> None:
    if activation == "softmax":
        pieces.add(SOFTMAX_BACK)
        return
    needs = _needs(activation)
    pieces.add(
        ACTIVATION_BACK,
        activation=activation,
        arguments=", ".join(f"const $real *{letter}_of" for letter in needs),
        values="\n".join(f"        const $real {letter} = {letter}_of[k];" for letter in needs),
        derivative=ACTIVATIONS[activation].derivative,
    )


def _add_output(pieces: Pieces) -> None:
    loss = LOSSES[pieces.program.architecture.loss]
    pieces.add(
        OUTPUT,
        what="delta = dLoss/dz" if _is_joint(pieces.program) else "dLoss/da",
        mass=MASS if "mass" in loss.gradient else "",
        gradient=loss.gradient,
    )


def _add_loss(pieces: Pieces) -> None:
    loss = LOSSES[pieces.program.architecture.loss]
    lines, note = ["const $real a = outputs[k];"], ""
    if loss.lowest:
        note = ", which are cut to where it is finite"
        lines = [f"$real p = outputs[k] < {loss.lowest} ? {loss.lowest} : outputs[k];"]
    if loss.highest:
        lines.append(f"p = p > {loss.highest} ? {loss.highest} : p;")
    values = "\n".join(f"        {line}" for line in lines)
    pieces.add_public(LOSS, note=note, values=values, value=loss.value)


class _Places:
    """Names of the arrays of a step."""

    def __init__(self, program: Program) -> None:
        self._last = len(program.layers)
        kept = [layer for layer in _with_derivative(program) if "z" in _needs(layer.activation)]
        self.with_z = {layer.number for layer in kept}

    def a(self, number: int) -> str:
        """Activations of a layer; 0 are the inputs."""
        return "inputs" if number == 0 else "outputs" if number == self._last else f"a{number}"

    def z(self, number: int) -> str:
        """Pre-activations, in the place of the activations unless both are needed."""
        return f"z{number}" if number in self.with_z else self.a(number)


def _arrays(program: Program) -> list[str]:
    """Declarators of the arrays of a step; of deltas every other layer takes the same room."""
    places, layers = _Places(program), program.layers
    arrays = [f"a{layer.number}[{layer.fan_out}]" for layer in layers[:-1]]
    arrays += [f"z{layer.number}[{layer.fan_out}]" for layer in layers if layer.number in places.with_z]
    for parity in (1, 0):
        widths = [layer.fan_out for layer in layers if layer.number % 2 == parity]
        arrays += [f"delta{parity}[{max(widths)}]"] if widths else []
    return arrays


def _learning(program: Program) -> list[str]:
    """Statements of a step."""
    places, layers = _Places(program), program.layers
    lines = [f"$real {', '.join(_arrays(program))};"]

    def at(layer: Layer) -> str:
        return f"model->parameters + {layer.start}" if layer.start else "model->parameters"

    for layer in layers:
        x, z, a = places.a(layer.number - 1), places.z(layer.number), places.a(layer.number)
        lines.append(f"${{net}}_layer({at(layer)}, {layer.fan_in}, {x}, {layer.fan_out}, {z});")
        if layer.activation != "identity":
            lines.append(f"${{net}}_{layer.activation}({z}, {a}, {layer.fan_out});")
    derived = {layer.number for layer in _with_derivative(program)}
    derivative = _derivative_of(places)
    lines.append(f"${{net}}_output(outputs, targets, delta{len(layers) % 2});")
    for layer in reversed(layers):
        n, delta = layer.number, f"delta{layer.number % 2}"
        if n in derived:
            lines.append(derivative(layer, delta))
        if n > 1:
            before = f"delta{(n - 1) % 2}"
            lines.append(f"${{net}}_back({at(layer)}, {layer.fan_in}, {before}, {layer.fan_out}, {delta});")
        x = places.a(n - 1)
        lines.append(f"${{net}}_step(model, {layer.start}, {layer.fan_in}, {x}, {layer.fan_out}, {delta});")
    return lines


def _derivative_of(places: _Places) -> Callable[[Layer, str], str]:
    def call(layer: Layer, delta: str) -> str:
        of = {"z": places.z(layer.number), "a": places.a(layer.number)}
        taken = ", ".join(of[letter] for letter in _needs(layer.activation))
        return f"${{net}}_{layer.activation}_back({taken}, {delta}, {layer.fan_out});"

    return call
