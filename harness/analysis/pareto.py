"""Pareto fronts of quality against cost, and how certain it is that the other runs are behind them.

A run is on the Pareto front of a cost if no other run scores at least as well for at most the same cost and is better
in one of the two. This compares point estimates. A run behind the front is `dominated` only if a run that costs no
more is significantly different from it in the leaderboard's paired tests. Otherwise it is `tied`: with more examples
it may turn out to be on the front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.analysis.leaderboard import Entry, Leaderboard
from harness.stats.comparison import direction
from harness.types import RunResult


class ParetoStanding(StrEnum):
    """Where a run is relative to the Pareto front of one cost."""

    FRONT = "front"
    TIED = "tied"
    DOMINATED = "dominated"


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost that quality is compared with: its name, its title with the unit, and how to read it from a run."""

    name: str
    title: str
    of: Callable[[RunResult], float | None]


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """What a run costs, and its position on the leaderboard.

    `dominated_by` is the position of the best run that costs no more and scores better; None on the front.
    """

    entry: Entry
    position: int
    cost: float
    standing: ParetoStanding
    dominated_by: int | None = None


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """Every run whose score and cost are known, in the order of the leaderboard."""

    cost: Cost
    points: tuple[ParetoPoint, ...]


def seconds_per_completion(result: RunResult) -> float | None:
    """Return the wall-clock seconds of generation per completion; None if they were not measured."""
    usage = result.usage
    return usage.seconds / usage.n if usage.seconds and usage.n else None


def _dollars(result: RunResult) -> float | None:
    cost, n = result.usage.cost_usd, result.usage.n
    return None if cost is None or not n else 1000 * cost / n


COSTS = (
    Cost("cost", "USD per 1,000 completions", _dollars),
    Cost("latency", "s/completion", seconds_per_completion),
    Cost("parameters", "parameters, millions", lambda result: result.parameters / 1e6 if result.parameters else None),
)
"""The costs that quality is compared with."""


def fronts(board: Leaderboard) -> list[ParetoFront]:
    """Return a front for each cost that at least two runs have with different values."""
    known = [front(board, cost) for cost in COSTS]
    return [by_cost for by_cost in known if by_cost and len({point.cost for point in by_cost.points}) > 1]


def front(board: Leaderboard, cost: Cost) -> ParetoFront | None:
    """Return the standing of every run on one cost; None for a metric without a direction."""
    if board.higher_is_better is None:
        return None
    sign = direction(board.higher_is_better)
    known = [
        (i, paid, sign * metric.score.value)
        for i, result in enumerate(entry.run.result for entry in board.entries)
        if (metric := result.metric(board.primary))
        and metric.score.value is not None
        and (paid := cost.of(result)) is not None
    ]
    points = []
    for i, paid, quality in known:
        better = [j for j, p, q in known if p <= paid and q >= quality and (p < paid or q > quality)]
        significant = [j for j in better if _is_significantly_different(board, i, j)]
        standing = ParetoStanding.DOMINATED if significant else ParetoStanding.TIED if better else ParetoStanding.FRONT
        dominated_by = min(significant or better, default=None)
        points.append(ParetoPoint(board.entries[i], i, paid, standing, dominated_by))
    return ParetoFront(cost, tuple(points))


def on_front(by_cost: ParetoFront) -> Sequence[ParetoPoint]:
    """Return the runs on the front, the cheapest first."""
    points = [point for point in by_cost.points if point.standing is ParetoStanding.FRONT]
    return sorted(points, key=lambda point: (point.cost, point.position))


def _is_significantly_different(board: Leaderboard, i: int, j: int) -> bool:
    return board.comparison is not None and board.comparison.between(i, j).is_significantly_different
