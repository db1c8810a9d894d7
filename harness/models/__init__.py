"""What completes prompts: weights on this machine, a fake for tests, and completions that somebody already has."""
