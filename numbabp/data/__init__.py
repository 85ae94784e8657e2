"""Data: bundled sets, tables, and what stands before and behind a network."""
