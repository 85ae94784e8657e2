"""What pictures have in common: colours."""

from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
"""Okabe and Ito's, which the colour-blind can tell apart; their yellow is hard to see on white."""
LOW, HIGH = COLOURS[:2]
"""Of two classes the first and the second, of numbers negative and positive ones."""


def diverging() -> Any:
    """A colour map from the colour of the low over white to that of the high, light enough for samples."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    low, high = (tuple(0.35 + 0.65 * part for part in to_rgb(colour)) for colour in (LOW, HIGH))
    return LinearSegmentedColormap.from_list("low_high", [low, (1, 1, 1), high])
