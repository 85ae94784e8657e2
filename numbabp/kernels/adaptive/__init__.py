"""Single steps of adagrad, rmsprop, adam and adamw, in one pass over weights and moments."""
