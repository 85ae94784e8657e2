"""One large network on a GPU whose weights stay on the chip, a sample at a time."""
