"""OpenAI-compatible services over HTTP: addresses, requests, limits, retries, batches, and many requests at once."""
