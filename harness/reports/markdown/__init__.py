"""TODO: why markdown exists."""
