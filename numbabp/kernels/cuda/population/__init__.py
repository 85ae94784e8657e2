"""Kernels that train many networks on a GPU."""
