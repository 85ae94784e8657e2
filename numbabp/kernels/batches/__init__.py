"""Mini-batches as scikit-learn takes them."""
