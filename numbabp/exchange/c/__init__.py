"""Networks as C99 source, for microcontrollers: inference, and training a sample at a time."""
