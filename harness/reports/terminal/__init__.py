"""TODO: why terminal exists."""
