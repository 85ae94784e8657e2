"""GPUs: their memory, and which one a call runs on."""
