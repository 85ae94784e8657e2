"""The whole of a file: its head, and the pieces behind it in their order."""

import sys
from collections.abc import Iterator

from .checking import add_check
from .inference import add_forward, add_layers, add_parameters, widths
from .literals import in_comment
from .pieces import Pieces
from .program import Program
from .training import add_model, add_training, stack_of_step

VERSION = sys.modules[__name__.partition(".")[0]].__version__
"""Of the package, whose `__init__` stands above this module."""

HEAD = """
/* A neural network, $sizes, written by numbabp $version for $purpose.

$facts

   Use:

$use
 */
"""

DECLARED = "/* Declarations, to be copied to where these are called{}. */"
DOUBLE = """
#include <float.h>

#if DBL_MANT_DIG != 53
#error "double is no float64 here: write the network with dtype float32"
#endif
"""


def source_of(program: Program) -> str:
    """The file's text, in ASCII."""
    pieces = Pieces(program)
    add_parameters(pieces)
    if program.learning is not None:
        add_model(pieces)
    n_before_functions = len(pieces.written)
    add_layers(pieces)
    add_forward(pieces)
    if program.learning is not None:
        add_training(pieces)
    if program.samples is not None:
        add_check(pieces)
    if not program.is_header:
        declared = DECLARED.format("" if program.learning is None else ", with the struct above")
        pieces.written.insert(n_before_functions, "\n".join([declared, *pieces.prototypes, ""]))
    parts = [_head(pieces), *_beginning(pieces), *pieces.written]
    if program.is_header:
        parts.append("#endif\n")
    return "\n".join(parts)


def _head(pieces: Pieces) -> str:
    program = pieces.program
    return pieces.filled(
        HEAD.lstrip("\n"),
        sizes=_sizes(program),
        version=VERSION,
        purpose="inference" if program.learning is None else "inference and training",
        # names and labels may have a dollar of their own
        facts="\n".join(f"   {what:<11} {fact}" for what, fact in _facts(pieces)).replace("$", "$$"),
        use="\n".join(f"       {line}".rstrip() for line in _use(program)),
    )


def _beginning(pieces: Pieces) -> Iterator[str]:
    """Guard, includes and macros."""
    program, net = pieces.program, pieces.program.name.upper()
    if program.is_header:
        yield f"#ifndef NUMBABP_{net}_H\n#define NUMBABP_{net}_H\n"
    if pieces.dtype.itemsize == 8:
        yield DOUBLE.lstrip("\n")
    if pieces.calls:
        yield "#include <math.h>\n"
    architecture = program.architecture
    macros = {"INPUTS": architecture.n_inputs, "OUTPUTS": architecture.n_outputs}
    macros["PARAMETERS"] = architecture.n_parameters
    if program.classifies:
        macros["CLASSES"] = max(2, architecture.n_outputs)
    yield "\n".join(f"#define {net}_N_{what} {n}" for what, n in macros.items()) + "\n"


def _sizes(program: Program) -> str:
    return "-".join(map(str, program.architecture.layer_sizes))


def _facts(pieces: Pieces) -> Iterator[tuple[str, str]]:
    """What is to be known of the network and of what it takes, line by line."""
    program, architecture = pieces.program, pieces.program.architecture
    units = [f"{layer.fan_out} {layer.activation}" for layer in program.layers]
    yield "layers", ", ".join([f"{architecture.n_inputs} inputs", *units])
    if program.inputs is not None:
        yield "inputs", "as they are: they are standardised here"
    for i, name in enumerate(program.input_names):
        yield f"input {i}", in_comment(name)
    if program.outputs is not None:
        yield "outputs", "in the units of the targets"
    for i, label in enumerate(program.classes or ()):
        yield f"class {i}", in_comment(repr(label))
    size, n = architecture.dtype.itemsize, architecture.n_parameters
    yield "numbers", f"{'float' if size == 4 else 'double'}, {n} parameters of {n * size} bytes, constant"
    room = sum(widths(program)) * size
    learning = program.learning
    if learning is not None:
        velocity = "" if learning.update_rule == "sgd" else f", momentum {learning.momentum:g}"
        level = f" {architecture.quantile:g}" if architecture.loss == "quantile" else ""
        yield "training", f"of {architecture.loss}{level} by {learning.update_rule}{velocity}"
        has_velocity = learning.update_rule != "sgd"
        numbers = (n + 1) * (2 if has_velocity else 1)
        yield "memory", f"{numbers * size} bytes for each {program.name}_model"
        room = max(room, stack_of_step(program) * size)
    yield "stack", f"{room} bytes for units of layers, beside what calls take"
    yield "math.h", ", ".join(sorted(pieces.calls)) or "nothing"


def _use(program: Program) -> list[str]:
    """A few lines that call it."""
    net, prefix, is_learning = program.name, program.name.upper(), program.learning is not None
    real = "float" if program.architecture.dtype.itemsize == 4 else "double"
    lines = [f'#include "{net}.h"', ""] if program.is_header else []
    lines.append(f"{real} inputs[{prefix}_N_INPUTS], outputs[{prefix}_N_OUTPUTS];")
    model = ""
    if is_learning:
        model = "&model, "
        lines.append(f"{real} targets[{prefix}_N_OUTPUTS];")
        lines.append(f"static {net}_model model;")
        lines.append(f"{net}_init(&model);")
        lines.append(f"{net}_learn(&model, inputs, targets, outputs);")
    lines.append(f"{net}_forward({model}inputs, outputs);")
    if program.classifies:
        lines.append(f"int class_index = {net}_classify({model}inputs);")
    elif program.architecture.n_outputs == 1:
        lines.append(f"{real} prediction = {net}_predict({model}inputs);")
    return lines
