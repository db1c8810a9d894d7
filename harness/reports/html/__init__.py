"""The report as one self-contained `index.html`: the leaderboard, its evidence and every completion, offline."""
