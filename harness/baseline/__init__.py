"""An accepted run, in a folder small enough to commit and review, that later runs are gated against."""
