"""Texts of any number of categories into a fixed number of inputs: feature hashing.

A row's value of 1 goes to the input that a hash of "column=text" names, with a sign that it draws, so that
texts that meet in one input cancel rather than add up on average (Weinberger, Dasgupta, Langford, Smola and
Attenberg 2009, arXiv 0902.2206). It is scikit-learn's FeatureHasher: MurmurHash3 of 32 bits, which is the
same everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .described import strings

MOST = 1 << 16
"""Inputs: each has weights of its own, all of which a step passes over."""


@dataclass(frozen=True)
class Hashing:
    """Columns whose texts share inputs.

    Attributes
    ----------
    columns : tuple of str
    n_inputs : int
    """

    columns: tuple[str, ...]
    n_inputs: int

    def __post_init__(self) -> None:
        if not 1 <= self.n_inputs <= MOST:
            raise ValueError(
                f"texts are hashed into at least 1 and at most {MOST} inputs, not {self.n_inputs}"
            )

    def add(self, inputs: np.ndarray, name: str, texts: Sequence[str | None]) -> None:
        """Add a column's texts to inputs of shape (n, n_inputs); one that is missing adds nothing."""
        from sklearn.feature_extraction import FeatureHasher

        place_of = {text: k for k, text in enumerate(dict.fromkeys(texts))}  # a column has few different ones
        features = [[] if text is None else [f"{name}={text}"] for text in place_of]
        hashed = FeatureHasher(self.n_inputs, input_type="string").transform(features)
        places = np.fromiter(map(place_of.__getitem__, texts), np.intp, len(texts))
        has_text = np.flatnonzero(np.diff(hashed.indptr)[places])
        first = hashed.indptr[places[has_text]]  # the only one of its row
        inputs[has_text, hashed.indices[first]] += hashed.data[first]

    def as_json(self) -> dict[str, Any]:
        """As model files hold it."""
        return {"columns": list(self.columns), "n_inputs": self.n_inputs}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "Hashing":
        """The same again; ValueError if the description is damaged."""
        n_inputs = described.get("n_inputs")
        if type(n_inputs) is not int:
            raise ValueError("n_inputs must be a number of inputs")
        return cls(tuple(strings(described, "columns")), n_inputs)
