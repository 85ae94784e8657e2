"""Looks at all networks of a population at once, between epochs."""
