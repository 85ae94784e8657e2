"""Kernels for NVIDIA GPUs. Importing them needs numba-cuda (the extras `cuda12` and `cuda13`), but no GPU."""
