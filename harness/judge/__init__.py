"""An LLM judge that compares two stored runs in both orders, and measures of its own reliability."""
