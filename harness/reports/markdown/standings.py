"""The sections of the report that a choice is made from: the leaderboard, and quality against cost.

Quality against cost shows which runs are on the Pareto front, separately for each cost that is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.pareto import ParetoFront, ParetoStanding, fronts, on_front
from harness.reports.columns import FEW_RUNS, cells, columns, footnotes, mark, rounded, shared_remarks
from harness.reports.formatting import decimals, markdown, table, with_interval
from harness.types import MetricResult
from harness.wording import UNKNOWN


def standings_section(board: Leaderboard) -> Iterator[str]:
    """Yield the lines of the leaderboard: one row per metric for a few runs, one row per run for many."""
    yield "\n## Leaderboard\n"
    yield f"{board.size('validation example')}. Brackets: {board.confidence:.0%} confidence intervals."
    if len(board.entries) > 1:
        yield f"Runs that share a letter are statistically tied on {markdown(board.primary)}: their paired difference"
        yield "is not significant after Holm's adjustment."
    yield ""
    names = board.metrics
    if len(board.entries) <= FEW_RUNS:
        yield from _by_metric(board, names)
    else:
        yield from _by_run(board, names[:1], costs=True)
        if len(names) > 1:
            yield "\n### All metrics\n"
            yield from _by_run(board, names, costs=False)
    yield from (f"\n{markdown(note)}" for note in footnotes(board))
    yield from _remarks(board)


def tradeoff_section(board: Leaderboard, picture: str) -> Iterator[str]:
    """Yield the lines of quality against cost; `picture` is the markdown of the Pareto plot, or empty."""
    by_cost = fronts(board)
    if not by_cost:
        return
    yield f"\n## {markdown(board.primary)} against cost\n"
    if picture:
        yield f"{picture}\n"
    yield "A run is on the *Pareto front* if no other run scores at least as well for at most the same cost (point"
    yield "estimates). A run behind the front is *dominated* if a run that costs no more is significantly better, and"
    yield "*tied* if the better ones are not significantly so. Times are single measurements on the machine that made"
    yield "the run.\n"
    for front in by_cost:
        lowest_first = " → ".join(markdown(point.entry.name) for point in on_front(front))
        yield f"- Pareto front for {markdown(front.cost.title)}, lowest first: {lowest_first}"
    yield ""
    yield from _tradeoff_table(board, by_cost)


def _by_metric(board: Leaderboard, names: Sequence[str]) -> Iterator[str]:
    runs = [entry.run.result for entry in board.entries]
    scored = [_scores(board, name) for name in names]
    rows = [[_title(name, scores), *_cells(scores)] for name, scores in zip(names, scored, strict=True)]
    rows += [[markdown(c.title), *(markdown(c.cell(run, board.primary)) for run in runs)] for c in columns(board)]
    yield from table(["metric", *(_label(e.name, e.group) for e in board.entries)], rows)


def _by_run(board: Leaderboard, names: Sequence[str], costs: bool) -> Iterator[str]:
    scored = [_scores(board, name) for name in names]
    shown = columns(board) if costs else []
    header = ["run", "tie group", *map(_title, names, scored), *(markdown(c.title) for c in shown)]
    by_run = zip(*map(_cells, scored), strict=True)
    yield from table(
        header,
        [
            [markdown(e.name), e.group, *scores, *map(markdown, cells(board, e.run.result, shown))]
            for e, scores in zip(board.entries, by_run, strict=True)
        ],
        left=(0, 1),
    )


def _remarks(board: Leaderboard) -> Iterator[str]:
    """Yield what a reader of the scores must know, with the runs that share a remark in one line."""
    if shared := shared_remarks(board, truncations=False):
        yield "\n### Errors and warnings\n"
        yield from (f"- {markdown(remark)}: {', '.join(map(markdown, names))}" for remark, names in shared)


def _label(name: str, group: str) -> str:
    return f"{markdown(name)} ({group})" if group else markdown(name)


def _scores(board: Leaderboard, name: str) -> list[MetricResult | None]:
    return [entry.run.result.metric(name) for entry in board.entries]


def _title(name: str, results: Sequence[MetricResult | None]) -> str:
    arrows = {True: " ↑", False: " ↓", None: ""}
    return markdown(name) + next(arrows[r.higher_is_better] for r in results if r) + mark(results)


def _cells(results: Sequence[MetricResult | None]) -> list[str]:
    places = decimals(r for r in results if r)
    return [with_interval(r.score, places) if r else UNKNOWN for r in results]


def _tradeoff_table(board: Leaderboard, by_cost: Sequence[ParetoFront]) -> Iterator[str]:
    header = ["run", "tie group", markdown(board.primary)]
    header += [title for front in by_cost for title in (markdown(front.cost.title), "Pareto front")]
    scores = _cells(_scores(board, board.primary))
    yield from table(
        header,
        [
            [markdown(e.name), e.group, score, *(cell for front in by_cost for cell in _tradeoff(front, i))]
            for i, (e, score) in enumerate(zip(board.entries, scores, strict=True))
        ],
        left=(0, 1, *range(4, len(header), 2)),
    )


def _tradeoff(front: ParetoFront, position: int) -> tuple[str, str]:
    point = next((point for point in front.points if point.position == position), None)
    if point is None:
        return "unknown", UNKNOWN
    return rounded(point.cost), "**on front**" if point.standing is ParetoStanding.FRONT else point.standing.value
