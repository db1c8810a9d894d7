"""Training of a base model before it is evaluated: on this machine, or by a service."""
