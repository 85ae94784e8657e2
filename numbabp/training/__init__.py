"""Training: the loops around kernels, and what is watched between slices."""
