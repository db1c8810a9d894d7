"""The data that the page shows before any completion: the leaderboard and its evidence as plain JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.analysis.leaderboard import Entry, Leaderboard
from harness.analysis.learning_curves import MEANING
from harness.analysis.pareto import ParetoFront, fronts
from harness.analysis.slices import SliceCell
from harness.config import ReportConfig
from harness.reports.columns import remarks
from harness.reports.formatting import decimals
from harness.types import MetricResult, Score
from harness.wording import visible

DIGITS = 7
"""Significant digits of the embedded numbers."""
Slices = Sequence[tuple[str, str]]
"""Every pair of a slice key and value on a leaderboard."""


def summary(board: Leaderboard, config: ReportConfig) -> dict[str, Any]:
    """Return everything that the page shows about the runs, with control characters in texts made visible."""
    names = board.metrics
    slices = _slices(board)
    first = board.entries[0].run.result
    values: dict[str, Any] = plain(
        {
            "task": board.label,
            "name": config.name,
            "primary": board.primary,
            "n": board.n,
            "size": board.size(),
            "confidence": board.confidence,
            "references": config.references,
            "verdict": {"decision": board.verdict.decision, "text": board.verdict.text, "run": board.verdict.run},
            "incumbent": board.incumbent,
            "slices": slices,
            "metrics": [_metric(board, name) for name in names],
            "runs": [_run(entry, board.primary, names, slices) for entry in board.entries],
            "pairs": _pairs(board),
            "effects": board.effects,
            "interactions": board.interactions,
            "validity": board.validity,
            "agreement": board.agreement,
            "compared": _compared(board, slices),
            "diagnoses": board.diagnoses,
            "meaning": {r.finding: MEANING[r.finding] for diagnosis in board.diagnoses for r in diagnosis.remarks},
            "fronts": [_front(front) for front in fronts(board)],
            "dataset": first.dataset,
            "versions": first.versions,
        }
    )
    return values


def plain(value: Any) -> Any:
    """Return `value` as JSON values: dataclasses as objects, numbers rounded, null for numbers that are not finite."""
    if isinstance(value, str):
        return "\n".join(visible(line) for line in value.split("\n"))
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def _slices(board: Leaderboard) -> Slices:
    pairs = {
        (key, value)
        for entry in board.entries
        for metric in entry.run.result.metrics
        for key, values in metric.slices.items()
        for value in values
    }
    return sorted(pairs)


def _metric(board: Leaderboard, name: str) -> dict[str, Any]:
    results = [m for e in board.entries if (m := e.run.result.metric(name))]
    return {
        "name": name,
        "signature": results[0].signature,
        "up": results[0].higher_is_better,
        "interval": results[0].interval,
        "places": decimals(results),
        "unreadable": max(result.unreadable for result in results),
    }


def _run(entry: Entry, primary: str, names: Sequence[str], slices: Slices) -> dict[str, Any]:
    result = entry.run.result
    metrics = [result.metric(name) for name in names]
    return {
        "id": result.run_id,
        "name": entry.name,
        "group": entry.group,
        "created": result.created,
        "command": result.command,
        "parameters": result.parameters,
        "usage": result.usage,
        "served": result.served,
        "shutdown_date": result.shutdown_date,
        "model": result.model,
        "finetune": result.finetune,
        "stages": result.stages,
        "remarks": remarks(result, primary),
        "scores": [_score(m.score) if m else None for m in metrics],
        "slices": [[_slice(m, *pair) for pair in slices] for m in metrics],
    }


def _slice(metric: MetricResult | None, key: str, value: str) -> list[float | None] | None:
    score = metric.slices.get(key, {}).get(value) if metric else None
    return _score(score) if score else None


def _score(score: Score) -> list[float | None]:
    return [score.value, score.low, score.high, score.n, score.errors, score.worst, score.best]


def _compared(board: Leaderboard, slices: Slices) -> dict[str, Any]:
    """Return the reference run of each slice key, and [mark, difference, low, high, p] of each run in every slice."""
    cells = {(table.key, row.value): row.cells for table in board.slices for row in table.rows}
    marks = []
    for i in range(len(board.entries)):
        row = [cells[pair][i] if pair in cells else None for pair in slices]
        marks.append([_mark(cell) if cell and (cell.mark or cell.comparison) else None for cell in row])
    return {"reference": {table.key: table.reference for table in board.slices}, "marks": marks}


def _mark(cell: SliceCell) -> list[str | float | None]:
    compared = cell.comparison
    numbers = (compared.difference, compared.low, compared.high) if compared else (None, None, None)
    return [cell.mark, *numbers, cell.p_adjusted]


def _front(front: ParetoFront) -> dict[str, Any]:
    points = [[point.position, point.cost, point.standing] for point in front.points]
    return {"name": front.cost.name, "title": front.cost.title, "points": points}


def _pairs(board: Leaderboard) -> list[list[float | None]]:
    """Return [first, second, difference, low, high, adjusted p] of each pair of runs, by position."""
    if board.comparison is None:
        return []
    return [
        [p.first, p.second, p.comparison.difference, p.comparison.low, p.comparison.high, p.p_adjusted]
        for p in board.comparison.pairs
    ]
