"""Populations shared out to workers elsewhere."""
