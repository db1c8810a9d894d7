"""What completes prompts: local weights, models behind a service, stored completions, and a fake for tests."""
