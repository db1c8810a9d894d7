"""What a run or a leaderboard of ours is called at W&B: one id, so that logging it again replaces it."""

from __future__ import annotations

from harness.store.digest import digest
from harness.analysis.leaderboard import Leaderboard

LONGEST = 64
"""Characters of an id at W&B."""


def session_id(run_id: str) -> str:
    """Return the id of a run at W&B."""
    return run_id if len(run_id) <= LONGEST else f"{run_id[: LONGEST - 17]}-{digest(run_id)}"


def leaderboard_id(board: Leaderboard) -> str:
    """Return the id of a leaderboard at W&B: that of its runs, in their order."""
    return f"leaderboard-{digest([board.task, [entry.run.result.run_id for entry in board.entries]])}"
