"""One sample at a time: called from Python, and from what users compile."""
