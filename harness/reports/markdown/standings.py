"""The part of the report that is decided from: every run's primary score beside what it cost, then all its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.reports.columns import cells, columns
from harness.reports.terminal.leaderboard import FEW, remarks
from harness.reports.formatting import decimals, markdown, table, with_interval
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
