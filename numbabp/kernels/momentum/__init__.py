"""Momentum and nesterov in blocks, without a velocity of the first layer that is kept up to date."""
