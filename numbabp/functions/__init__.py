"""Scalar functions of which networks are made: activations, losses, initial weights."""
