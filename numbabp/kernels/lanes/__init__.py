"""Kernels that train many networks in the lanes of the CPU's vectors."""
