"""Quality against what it costs: which runs nothing else beats at their price, and which of the others are close.

A run is on the front of a cost when no other run scores as well or better for the same or less, and is better in
one of the two. That is about point estimates. A run behind the front is `beaten` only where some run that costs no
more is told apart from it by the leaderboard's paired tests. Else it is `tied`: with more examples it may turn
out to be on the front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.analysis.leaderboard import Entry, Leaderboard
from harness.types import RunResult


class Standing(StrEnum):
    """Where a run stands on one cost."""

    FRONT = "front"
    TIED = "tied"
    BEATEN = "beaten"


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that a better model may take more of."""

    name: str
    title: str
    of: Callable[[RunResult], float | None]


@dataclass(frozen=True, slots=True)
class Point:
    """What a run costs, and its position on the leaderboard.

    `beaten_by` is the position of the best run that costs no more and scores better; None on the front.
    """

    entry: Entry
    position: int
    cost: float
    standing: Standing
    beaten_by: int | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """Every run whose score and cost are known, in the order of the leaderboard."""

    cost: Cost
    points: tuple[Point, ...]


def seconds_each(result: RunResult) -> float | None:
    """Return the seconds of generation a completion, however the completions overlapped; None where not measured."""
    usage = result.usage
    return usage.seconds / usage.n if usage.seconds and usage.n else None


def _dollars(result: RunResult) -> float | None:
    cost, n = result.usage.cost_usd, result.usage.n
    return None if cost is None or not n else 1000 * cost / n


COSTS = (
    Cost("cost", "USD for 1,000 completions", _dollars),
    Cost("latency", "seconds a completion", seconds_each),
    Cost("parameters", "parameters, millions", lambda result: result.parameters / 1e6 if result.parameters else None),
)
"""What quality is set against."""


def fronts(board: Leaderboard) -> list[Front]:
    """Return a front for each cost of which at least two runs, with different values, are known."""
    found = [front(board, cost) for cost in COSTS]
    return [each for each in found if each and len({point.cost for point in each.points}) > 1]


def front(board: Leaderboard, cost: Cost) -> Front | None:
    """Return where every run stands on one cost; None for a metric that has no direction."""
    results = [entry.run.result.metric(board.primary) for entry in board.entries]
    higher = next((m.higher_is_better for m in results if m), None)
    if higher is None:
        return None
    known = [
        (i, paid, metric.score.value * (1 if higher else -1))
        for i, (entry, metric) in enumerate(zip(board.entries, results, strict=True))
        if metric and metric.score.value is not None and (paid := cost.of(entry.run.result)) is not None
    ]
    points = []
    for i, paid, quality in known:
        better = [j for j, p, q in known if p <= paid and q >= quality and (p < paid or q > quality)]
        sure = [j for j in better if _told_apart(board, i, j)]
        standing = Standing.BEATEN if sure else Standing.TIED if better else Standing.FRONT
        points.append(Point(board.entries[i], i, paid, standing, min(sure or better, default=None)))
    return Front(cost, tuple(points))


def _told_apart(board: Leaderboard, i: int, j: int) -> bool:
    if board.comparison is None:
        return False
    p = board.comparison.between(min(i, j), max(i, j)).p_adjusted
    return p is not None and p <= 1 - board.confidence


def on_front(found: Front) -> Sequence[Point]:
    """Return the runs on the front, the cheapest first."""
    return sorted((p for p in found.points if p.standing is Standing.FRONT), key=lambda p: (p.cost, p.position))
