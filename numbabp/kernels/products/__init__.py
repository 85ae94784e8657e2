"""Products of matrices inside kernels."""
