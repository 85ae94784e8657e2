"""The forward pass, and what is decided by it."""

from .formulas import ACTIVATIONS
from .literals import array_of
from .pieces import Pieces
from .program import Affine, Program

PARAMETERS = """
/* Layer by layer and unit by unit: the bias, and then the weights. */
static const $real ${net}_parameters[$n] = $numbers;
"""

# An input is read once for two units: 64-32-10 takes 9,941 instructions of a Cortex-M4F where one unit at a
# time takes 13,484, for 110 bytes more. Each sum runs as before, from the bias through the inputs.
LAYER = """
/* z = b + W x of a layer, two units at a time; of each unit p has the bias, and then the weights. */
${helper}void ${net}_layer(const $real *p, int n_inputs, const $real *x, int n_units, $real *z)
{
    int k = 0;
    for (; k + 1 < n_units; k += 2) {
        const $real *q = p + n_inputs + 1;
        $real sum = *p++, other = *q++;
        for (int i = 0; i < n_inputs; i++) {
            const $real input = x[i];
            sum += *p++ * input;
            other += *q++ * input;
        }
        z[k] = sum;
        z[k + 1] = other;
        p = q;
    }
    if (k < n_units) {
        $real sum = *p++;
        for (int i = 0; i < n_inputs; i++)
            sum += *p++ * x[i];
        z[k] = sum;
    }
}
"""

ACTIVATE = """
/* Activations of a layer; z and a may be the same array. */
${helper}void ${net}_$activation(const $real *z_of, $real *a_of, int n)
{
    for (int k = 0; k < n; k++) {
        const $real z = z_of[k];
        a_of[k] = $value;
    }
}
"""

SOFTMAX = """
/* Activations of a layer; z and a may be the same array. */
${helper}void ${net}_softmax(const $real *z, $real *a, int n)
{
    $real highest = z[0], sum = 0.0$f;
    for (int k = 1; k < n; k++)
        highest = z[k] > highest ? z[k] : highest;
    for (int k = 0; k < n; k++) {
        a[k] = exp$f(z[k] - highest);
        sum += a[k];
    }
    for (int k = 0; k < n; k++)
        a[k] /= sum;
}
"""

FORWARD = """
/* What the network computes; the two arrays must not overlap. */
${public}void ${net}_forward(${model}const $real *inputs, $real *outputs)
{
$body
}
"""

CLASSIFY_BY_LARGEST = """
/* The index of the class with the largest output. */
${public}int ${net}_classify(${model}const $real *inputs)
{
    $real outputs[${NET}_N_OUTPUTS];
    int best = 0;
    ${net}_forward(${with}inputs, outputs);
    for (int k = 1; k < ${NET}_N_OUTPUTS; k++)
        best = outputs[k] > outputs[best] ? k : best;
    return best;
}
"""

CLASSIFY_BY_HALF = """
/* 1 where the output, the probability of class 1, is above one half, else 0. */
${public}int ${net}_classify(${model}const $real *inputs)
{
    $real outputs[1];
    ${net}_forward(${with}inputs, outputs);
    return outputs[0] > 0.5$f;
}
"""

PREDICT = """
/* The output. */
${public}$real ${net}_predict(${model}const $real *inputs)
{
    $real outputs[1];
    ${net}_forward(${with}inputs, outputs);
    return outputs[0];
}
"""

STANDARDIZE = """
static const $real ${net}_shift[$n] = $shift;
$low
static const $real ${net}_factor[$n] = $factor;

/* Inputs as the first layer takes them$note. */
${helper}void ${net}_standardize(const $real *inputs, $real *x)
{
    for (int i = 0; i < $n; i++)
        x[i] = $value;
}
"""
LOW = "static const $real ${net}_shift_low[$n] = $low;"

UNSTANDARDIZE = """
static const $real ${net}_mean[$n] = $mean;
static const $real ${net}_scale[$n] = $scale;

/* Outputs in the units of the targets. */
${helper}void ${net}_unstandardize($real *outputs)
{
    for (int k = 0; k < $n; k++)
        outputs[k] = outputs[k] * ${net}_scale[k] + ${net}_mean[k];
}
"""


def add_parameters(pieces: Pieces) -> None:
    """Parameters, and what is done to inputs and outputs."""
    program = pieces.program
    numbers = array_of(program.rows, pieces.dtype)
    pieces.add(PARAMETERS, n=program.architecture.n_parameters, numbers=numbers)
    if program.inputs is not None:
        _add_standardization(pieces, program.inputs)
    if program.outputs is not None:
        mean, scale = (
            array_of([column], pieces.dtype) for column in (program.outputs.shift, program.outputs.factor)
        )
        pieces.add(UNSTANDARDIZE, n=len(program.outputs.shift), mean=mean, scale=scale)


def _add_standardization(pieces: Pieces, inputs: Affine) -> None:
    shift, factor = (column.astype(pieces.dtype) for column in inputs)
    rest = (inputs.shift - shift.astype(float)).astype(pieces.dtype)
    fillings = {"low": "", "note": "", "value": "(inputs[i] - ${net}_shift[i]) * ${net}_factor[i]"}
    if rest.any():
        # a float has few digits of a mean that is large beside the spread, but x - shift has no error then
        fillings = {
            "low": pieces.filled(LOW, n=len(rest), low=array_of([rest], pieces.dtype)),
            "note": "; the shift is the sum of two numbers, for its digits",
            "value": "((inputs[i] - ${net}_shift[i]) - ${net}_shift_low[i]) * ${net}_factor[i]",
        }
    arrays = {"shift": array_of([shift], pieces.dtype), "factor": array_of([factor], pieces.dtype)}
    pieces.add(STANDARDIZE, n=len(shift), **arrays, **fillings)


def add_layers(pieces: Pieces) -> None:
    """What `forward` calls."""
    pieces.add(LAYER)
    for activation in dict.fromkeys(pieces.program.architecture.activations):
        if activation == "softmax":
            pieces.add(SOFTMAX)
        elif activation != "identity":
            pieces.add(ACTIVATE, activation=activation, value=ACTIVATIONS[activation].value)


def add_forward(pieces: Pieces) -> None:
    """The network's outputs, and its decision."""
    body = "\n".join(f"    {line}" for line in [*_room(pieces.program), *_calls(pieces.program)])
    pieces.add_public(FORWARD, body=body)
    n_outputs = pieces.program.architecture.n_outputs
    if pieces.program.classifies:
        pieces.add_public(CLASSIFY_BY_HALF if n_outputs == 1 else CLASSIFY_BY_LARGEST)
    elif n_outputs == 1:
        pieces.add_public(PREDICT)


def widths(program: Program) -> list[int]:
    """Lengths of the arrays between layers, of which every other one takes the same room."""
    sizes = list(program.architecture.layer_sizes[1:-1])
    if program.inputs is not None:
        sizes.insert(0, program.architecture.n_inputs)
    return [max(part) for part in (sizes[0::2], sizes[1::2]) if part]


def _room(program: Program) -> list[str]:
    arrays = [f"units{i}[{width}]" for i, width in enumerate(widths(program))]
    return [f"$real {', '.join(arrays)};"] if arrays else []


def _calls(program: Program) -> list[str]:
    lines, source, room = [], "inputs", 0
    if program.inputs is not None:
        lines.append("${net}_standardize(inputs, units0);")
        source, room = "units0", 1
    for layer in program.layers:
        units = "outputs" if layer.number == len(program.layers) else f"units{room}"
        at = f"$parameters + {layer.start}" if layer.start else "$parameters"
        lines.append(f"${{net}}_layer({at}, {layer.fan_in}, {source}, {layer.fan_out}, {units});")
        if layer.activation != "identity":
            lines.append(f"${{net}}_{layer.activation}({units}, {units}, {layer.fan_out});")
        source, room = units, 1 - room
    if program.outputs is not None:
        lines.append("${net}_unstandardize(outputs);")
    return lines
