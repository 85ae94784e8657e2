"""The compiled loops: arrays and numbers in, nothing or a number out, and no Python object inside."""
