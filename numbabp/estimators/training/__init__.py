"""A fit of an estimator: how it begins, its epochs, when it is over, and what is said of it."""
