"""Training on streams larger than memory: batches are read in a thread, and learnt in the order they come."""
