"""Checks of what users pass in, in the host's memory and on a GPU."""
