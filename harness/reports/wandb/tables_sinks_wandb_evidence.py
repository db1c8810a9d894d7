"""What a leaderboard rests on, as W&B tables: pairs, factors, slices, curves in words, metrics, quality by cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness.analysis.pareto import fronts
from harness.analysis.leaderboard import Leaderboard
from harness.reports.wandb.tables import Cell, Rows, aligned

Line = dict[str, Cell]


def evidence(board: Leaderboard) -> dict[str, Rows]:
    """Return a table of every kind of finding that the leaderboard has, by its name."""
    found = {name: list(lines(board)) for name, lines in TABLES.items()}
    return {name: aligned(lines) for name, lines in found.items() if lines}


def _pairs(board: Leaderboard) -> Iterator[Line]:
    names = _names(board)
    for pair in board.comparison.pairs if board.comparison else ():
        line: Line = {"first": names[pair.first], "second": names[pair.second]}
        figures = _fields(pair.comparison, "difference", "low", "high", "p", "effect", "method", "test")
        yield {**line, **figures, "n": pair.comparison.sample.n, "p_adjusted": pair.p_adjusted}


def _effects(board: Leaderboard) -> Iterator[Line]:
    for each in board.effects:
        yield _fields(each, "factor", "level", "against", "difference", "low", "high", "p_adjusted", "pairs")


def _interactions(board: Leaderboard) -> Iterator[Line]:
    for each in board.interactions:
        line: Line = {}
        for i, (factor, level, against) in enumerate(zip(each.factors, each.levels, each.against, strict=True), 1):
            line |= {f"factor_{i}": factor, f"level_{i}": level, f"against_{i}": against}
        yield {**line, **_fields(each, "difference", "low", "high", "p_adjusted", "squares")}


def _slices(board: Leaderboard) -> Iterator[Line]:
    names = _names(board)
    for table in board.slices:
        reference = None if table.reference is None else names[table.reference]
        for row in table.rows:
            for name, cell in zip(names, row.cells, strict=True):
                line: Line = {"slice": table.key, "value": row.value, "n": row.n, "run": name}
                score = _fields(cell.score, "value", "low", "high", "errors") if cell.score else {}
                difference = cell.comparison.difference if cell.comparison else None
                yield {
                    **line,
                    **{f"score_{key}": value for key, value in score.items()},
                    "against": reference,
                    "difference": difference,
                    "p_adjusted": cell.p_adjusted,
                    "mark": str(cell.mark),
                }


def _diagnoses(board: Leaderboard) -> Iterator[Line]:
    for each in board.diagnoses:
        for remark in each.remarks:
            yield {"run": each.name, "run_id": each.run_id, "finding": str(remark.finding), "detail": remark.detail}


def _validity(board: Leaderboard) -> Iterator[Line]:
    for each in board.validity:
        yield _fields(each, "metric", "separated", "pairs", "saturation", "n_needed", "lowest", "highest")


def _agreement(board: Leaderboard) -> Iterator[Line]:
    found = board.agreement
    for i, one in enumerate(found.metrics if found else ()):
        for j, other in enumerate(found.metrics if found else ()):
            if found and i < j:
                line: Line = {"metric": one, "other": other, "over_examples": found.over_examples[i][j]}
                yield {**line, "over_runs": found.over_runs[i][j]}


def _pareto(board: Leaderboard) -> Iterator[Line]:
    names = _names(board)
    for front in fronts(board):
        for point in front.points:
            metric = point.entry.run.result.metric(board.primary)
            yield {
                "cost": front.cost.title,
                "run": names[point.position],
                "value": point.cost,
                board.primary: metric.score.value if metric else None,
                "standing": str(point.standing),
                "beaten_by": None if point.beaten_by is None else names[point.beaten_by],
            }


TABLES: dict[str, Callable[[Leaderboard], Iterator[Line]]] = {
    "pairs": _pairs,
    "effects": _effects,
    "interactions": _interactions,
    "slices": _slices,
    "diagnoses": _diagnoses,
    "validity": _validity,
    "agreement": _agreement,
    "pareto": _pareto,
}


def _names(board: Leaderboard) -> Sequence[str]:
    return [entry.run.result.name for entry in board.entries]


def _fields(value: Any, *names: str) -> Line:
    return {name: getattr(value, name) for name in names}
