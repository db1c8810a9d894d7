"""TODO: why cli exists."""
