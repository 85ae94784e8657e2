"""Kernels with the arrays that they work on, behind one protocol."""
