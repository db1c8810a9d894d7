"""The part of the report that sets quality against what it costs: which runs nothing beats at their price."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.pareto import Front, Standing, fronts, on_front
from harness.analysis.leaderboard import Leaderboard
from harness.reports.columns import rounded
from harness.reports.formatting import decimals, markdown, table, with_interval


def tradeoff_section(board: Leaderboard, picture: str) -> Iterator[str]:
    """Yield the lines of the section; `picture` is the line of the fronts' picture, or nothing."""
    found = fronts(board)
    if not found:
        return
    yield f"\n## {markdown(board.primary)} against cost\n"
    if picture:
        yield f"{picture}\n"
    yield "On the front is a run that no other one reaches for the same or less, by point estimates. *Tied* is behind"
    yield "one that it is not told apart from, *beaten* behind one that it is. Times are of one measurement, on the"
    yield "machine that made the run.\n"
    for front in found:
        cheapest = " → ".join(markdown(point.entry.run.result.name) for point in on_front(front))
        yield f"- front by {markdown(front.cost.title)}, the cheapest first: {cheapest}"
    yield ""
    yield from _table(board, found)


def _table(board: Leaderboard, found: list[Front]) -> Iterator[str]:
    places = decimals(metric for entry in board.entries if (metric := entry.run.result.metric(board.primary)))
    header = ["run", "tie", markdown(board.primary)]
    header += [title for front in found for title in (markdown(front.cost.title), "standing")]
    rows = []
    for i, entry in enumerate(board.entries):
        metric = entry.run.result.metric(board.primary)
        score = with_interval(metric.score, places) if metric else "–"
        rows.append([markdown(entry.run.result.name), entry.group, score, *(c for f in found for c in _cells(f, i))])
    yield from table(header, rows)


def _cells(front: Front, position: int) -> tuple[str, str]:
    point = next((point for point in front.points if point.position == position), None)
    if point is None:
        return "unknown", "–"
    return rounded(point.cost), "**front**" if point.standing is Standing.FRONT else point.standing.value
