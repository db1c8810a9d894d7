"""TODO: why hf exists."""
