"""An architecture as a table with a row a layer."""

from typing import Any

from . import tables


def layers_as_html(title: str, architecture: Any) -> str:
    """What an architecture fixes, below a title.

    Parameters
    ----------
    title
        What has it.
    architecture : Architecture
        Stands above this package.
    """
    sizes = architecture.layer_sizes
    rows = [["input", "", str(sizes[0]), "", ""]]
    for layer, activation in enumerate(architecture.activations):
        fan_in, fan_out = sizes[layer], sizes[layer + 1]
        name = f"hidden {layer + 1}" if layer < architecture.n_layers - 1 else "output"
        n_parameters = f"{fan_in * fan_out + fan_out:,}"
        rows.append([name, activation, str(fan_out), f"{fan_in} x {fan_out}", n_parameters])
    facts = [architecture.loss, str(architecture.dtype), f"{architecture.n_parameters:,} parameters"]
    if architecture.numerics != "fast":
        facts.append(architecture.numerics)
    head = ["layer", "activation", "units", "weights", "parameters"]
    return tables.page(tables.paragraph(title, ", ".join(facts)), tables.table(head, rows, n_texts=2))
