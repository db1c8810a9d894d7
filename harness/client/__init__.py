"""OpenAI-compatible services over HTTP: addresses, limits, retries, and many requests at once."""
