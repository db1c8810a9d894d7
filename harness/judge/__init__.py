"""An LLM judge over two stored runs: asked in both orders, doubted by its own answers, off by default."""
