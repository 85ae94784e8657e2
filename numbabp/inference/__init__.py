"""Outputs and measurements of networks, on the host and on a GPU."""
