"""The part of the report that is decided from: every run's primary score beside what it cost, then all its metrics.

The part of the report that sets quality against what it costs: which runs nothing beats at their price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.pareto import Front, Standing, fronts, on_front
from harness.reports.columns import cells, columns, rounded
from harness.reports.formatting import decimals, markdown, table, with_interval
from harness.reports.terminal.leaderboard import FEW, remarks
from harness.types import MetricResult, RunResult


def standings_section(board: Leaderboard) -> Iterator[str]:
    """Yield the lines of the leaderboard: runs down the side, or across where they are few."""
    yield "\n## Leaderboard\n"
    yield f"{board.n:,} validation examples. Each score has its {board.confidence:.0%} interval in brackets."
    if len(board.entries) > 1:
        yield f"Runs that share a letter are not told apart by {markdown(board.primary)} (Holm-adjusted paired tests)."
    yield ""
    names = [board.primary, *(name for name in board.metrics if name != board.primary)]
    if len(board.entries) <= FEW:
        yield from _across(board, names)
    else:
        yield from _down(board, names[:1], costs=True)
        if len(names) > 1:
            yield "\n### Every metric\n"
            yield from _down(board, names, costs=False)
    yield from _remarks(board)


def _across(board: Leaderboard, names: Sequence[str]) -> Iterator[str]:
    results = [entry.run.result for entry in board.entries]
    scored = [_scores(board, name) for name in names]
    rows = [[_metric(name, found), *_cells(found)] for name, found in zip(names, scored, strict=True)]
    rows += [[markdown(c.title), *(markdown(c.cell(r, board.primary)) for r in results)] for c in columns(board)]
    yield from table(["metric", *(_label(e.run.result, e.group) for e in board.entries)], rows)


def _down(board: Leaderboard, names: Sequence[str], costs: bool) -> Iterator[str]:
    scored = [_scores(board, name) for name in names]
    shown = columns(board) if costs else []
    header = ["run", "tie", *map(_metric, names, scored), *(markdown(c.title) for c in shown)]
    by_run = zip(*map(_cells, scored), strict=True)
    yield from table(
        header,
        [
            [markdown(e.run.result.name), e.group, *found, *map(markdown, cells(board, e.run.result, shown))]
            for e, found in zip(board.entries, by_run, strict=True)
        ],
    )


def _remarks(board: Leaderboard) -> Iterator[str]:
    """Yield what a reader of the scores must know, runs of which the same is said together."""
    said: dict[str, list[str]] = {}
    for entry in board.entries:
        for remark in remarks(entry.run.result, board.primary, truncations=False):
            said.setdefault(remark, []).append(markdown(entry.run.result.name))
    if said:
        yield "\n### Errors and warnings\n"
        yield from (f"- {markdown(remark)}: {', '.join(runs)}" for remark, runs in said.items())


def _label(result: RunResult, group: str) -> str:
    return f"{markdown(result.name)} ({group})" if group else markdown(result.name)


def _scores(board: Leaderboard, name: str) -> list[MetricResult | None]:
    return [entry.run.result.metric(name) for entry in board.entries]


def _metric(name: str, results: Sequence[MetricResult | None]) -> str:
    arrows = {True: " ↑", False: " ↓", None: ""}
    return markdown(name) + next(arrows[r.higher_is_better] for r in results if r)


def _cells(results: Sequence[MetricResult | None]) -> list[str]:
    places = decimals(r for r in results if r)
    return [with_interval(r.score, places) if r else "–" for r in results]


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
        rows.append(
            [markdown(entry.run.result.name), entry.group, score, *(c for f in found for c in _tradeoff_cells(f, i))]
        )
    yield from table(header, rows)


def _tradeoff_cells(front: Front, position: int) -> tuple[str, str]:
    point = next((point for point in front.points if point.position == position), None)
    if point is None:
        return "unknown", "–"
    return rounded(point.cost), "**front**" if point.standing is Standing.FRONT else point.standing.value
