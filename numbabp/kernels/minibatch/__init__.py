"""Training by mini-batches: products of matrices, and what goes on between them."""
