"""An OpenAI-compatible server over local models, whose fine-tuning jobs really train."""
