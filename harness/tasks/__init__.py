"""Tasks: sources of examples, their split, prompts and stop rules, and the checks before any work starts."""
