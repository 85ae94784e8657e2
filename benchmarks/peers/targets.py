"""What numbabp is held to: the smallest ratio of the peer's time to numbabp's."""

BOTH = ("float64", "float32")
SINGLE, DOUBLE = ("float32",), ("float64",)

RATIOS = {  # system: network: dtypes and smallest ratio, one pair or several
    "C": {
        "2-10-1": [(BOTH, 1.3)],
        "64-32-10": [(SINGLE, 1.6)],
        "784-32-10": [(SINGLE, 3)],
        "784-128-10": [(SINGLE, 3)],
        "784-512-10": [(SINGLE, 3.3)],
        "784-512-512-10": [(SINGLE, 2.4)],
        "784-512-10 momentum+L2": [(SINGLE, 3)],
        "64-32-10 adam": [(SINGLE, 1.3)],
        "784-128-10 adam": [(SINGLE, 1.3)],
        "784-512-10 adam": [(SINGLE, 1.3)],
        "50000-64-10 sparse": [(SINGLE, 1 / 1.3)],
    },
    "C constant sizes": {"2-10-1": [(BOTH, 1.15)]},
    "C fastest build": {
        "2-10-1": [(BOTH, 1 / 0.6)],
        "2-10-1 squared error": [(BOTH, 1 / 0.6)],
        "784-512-512-10": [(SINGLE, 3.6)],
    },
    "JAX": {
        "2-10-1": [(BOTH, 3.5)],
        "2-10-1 squared error": [(BOTH, 3.5)],
        "64-32-10": [(SINGLE, 3)],
        "784-32-10": [(SINGLE, 3)],
        "784-128-10": [(SINGLE, 5)],
        "784-512-10": [(SINGLE, 6)],
        "784-512-512-10": [(SINGLE, 7.5)],
        "784-512-10 momentum+L2": [(SINGLE, 5)],
        "64-32-10 adam": [(SINGLE, 3.3)],
        "784-128-10 adam": [(SINGLE, 2.5)],
        "784-512-10 adam": [(SINGLE, 2.5)],
    },
    "NumPy": {"2-10-1": [(BOTH, 150)]},
    "scikit-learn": {
        "2-10-1": [(BOTH, 700)],
        "2-10-1 shuffled": [(BOTH, 700)],
        "784-128-10": [(BOTH, 25)],
        "predict": [(BOTH, 1)],
    },
    "PyTorch manual": {"784-2048-2048-10": [(SINGLE, 1.9)]},
    "hand-written Numba": {
        "2-10-1": [(BOTH, 1 / 0.85)],
        "2-10-1 squared error": [(BOTH, 1 / 0.85)],
        "64-32-10": [(BOTH, 1 / 1.3)],
        "784-128-10": [(BOTH, 1 / 1.3)],
    },
}

SGEMM_SHARES = {"784-128-10": 0.55, "784-512-10": 0.7, "784-2048-10": 0.62, "784-512-512-10": 0.43}
"""Of numbabp in float32: the plain algorithm's 4 flops per weight and step, as a share of the sgemm rate."""


def ratio(system, network, dtype):
    """Smallest ratio wanted, or None."""
    for dtypes, least in RATIOS.get(system, {}).get(network, []):
        if dtype in dtypes:
            return least
    return None


def share(system, network, dtype):
    """Smallest share of the sgemm rate wanted, or None."""
    return SGEMM_SHARES.get(network) if (system, dtype) == ("numbabp", "float32") else None
