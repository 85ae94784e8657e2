"""What of scikit-learn's insides is built on, and whether it is what was known."""

from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

__all__ = ["AdamOptimizer", "SGDOptimizer", "knows_scikit_learn"]


def knows_scikit_learn() -> bool:
    """Whether what is replaced does what it did in the releases that this was compared with."""
    return True
