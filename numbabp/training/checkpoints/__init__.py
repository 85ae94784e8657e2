"""Runs that can be stopped and gone on with: what is kept of them, in files, and what reads it back."""
