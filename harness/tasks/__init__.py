"""Sources of examples, how they are split, and what is checked before any work starts."""
