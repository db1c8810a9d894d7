"""TODO: why store exists."""
