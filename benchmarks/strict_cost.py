"""What strict arithmetic costs: time of a step over the fast mode's, runs of both in turn.

python benchmarks/strict_cost.py
"""

from statistics import median
from typing import Any

import numpy as np

import numbabp as nbp

ROWS: tuple[tuple[tuple[int, ...], str, dict[str, Any], int, int], ...] = (
    ((2, 10, 1), "binary_cross_entropy", {}, 1000, 400),
    ((2, 10, 1), "binary_cross_entropy", {"kernel": "sequential"}, 1000, 400),
    ((784, 128, 10), "categorical_cross_entropy", {"kernel": "sequential"}, 1000, 3),
    ((784, 128, 10), "categorical_cross_entropy", {"update_rule": "adam"}, 1000, 2),
    ((64, 32, 10), "categorical_cross_entropy", {"kernel": "sequential"}, 1000, 60),
    ((20, 100, 100, 2), "categorical_cross_entropy", {"kernel": "sequential"}, 1000, 20),
    ((784, 512, 512, 10), "categorical_cross_entropy", {"kernel": "sequential"}, 200, 2),
)
TURNS = 7


def main() -> None:
    """Print a row for each network and dtype."""
    print("network            how                     dtype     fast ns  strict ns  ratio  spread")
    for sizes, loss, how, n, epochs in ROWS:
        for dtype in ("float32", "float64"):
            pairs = [
                [_ns(sizes, loss, dtype, how, n, epochs, numerics) for numerics in ("fast", "strict")]
                for _ in range(TURNS)
            ]
            ratios = sorted(strict / fast for fast, strict in pairs)
            fast, strict = (median(pair[i] for pair in pairs) for i in range(2))
            named = ", ".join(f"{value}" for value in how.values()) or "auto"
            print(
                f"{'-'.join(map(str, sizes)):18} {named:23} {dtype}  {fast:8.0f}  {strict:9.0f}"
                f"  {median(ratios):5.2f}  {ratios[1]:.2f} to {ratios[-2]:.2f}",
                flush=True,
            )


def _ns(
    sizes: tuple[int, ...], loss: str, dtype: str, how: dict[str, Any], n: int, epochs: int, numerics: str
) -> float:
    drawn = np.random.RandomState(0)
    X, y = drawn.random_sample((n, sizes[0])), drawn.randint(0, max(2, sizes[-1]), n)
    network = nbp.Network(sizes, loss=loss, dtype=dtype, random_state=0, numerics=numerics)
    history = network.fit(X, y, epochs=epochs, learning_rate=0.01, device="cpu", **how)
    return float(history.seconds / (n * epochs) * 1e9)


if __name__ == "__main__":
    main()
