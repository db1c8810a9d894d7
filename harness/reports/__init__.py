"""Where a leaderboard is shown: terminal, markdown, Weights & Biases."""
