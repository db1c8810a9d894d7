"""TODO: why stages exists."""
