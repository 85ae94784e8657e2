"""The kernel that trains one large network on a GPU in blocks of samples."""
