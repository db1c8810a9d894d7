"""W&B tables: the same leaderboard rows as in the report, and every completion, as cells that show as text.

Rows are made first, from stored runs alone, and become `wandb.Table`s at the end. W&B cuts a table at `MAX_ROWS`, so
longer ones are split into numbered parts.

What a run or a leaderboard of ours is called at W&B: one id, so that logging it again replaces it.

What a leaderboard rests on, as W&B tables: pairs, factors, slices, curves in words, metrics, quality by cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.factors import settings_of, varied
from harness.analysis.leaderboard import Entry, Leaderboard
from harness.analysis.pareto import fronts
from harness.config import TrackingConfig
from harness.store.digest import digest
from harness.store.runs import StoredRun
from harness.types import FinishReason, MetricResult, Prediction, RunResult

MAX_ROWS = 200_000
"""The most rows that W&B keeps of a table."""

Cell = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Rows:
    """A table before W&B has it: a row has a cell for each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables(name: str, content: Rows, limit: int = MAX_ROWS) -> dict[str, Any]:
    """Return the content as one `wandb.Table` under `name`, or as several under `name_1_of_N` where it is longer.

    A column that holds values of several kinds is one of texts.
    """
    import wandb

    parts = max(1, math.ceil(len(content.rows) / limit))
    columns = [_one_kind(column) for column in zip(*content.rows, strict=True)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    sample = [next((cell for cell in column if cell is not None), None) for column in columns]
    made = {}
    for i in range(parts):
        key = name if parts == 1 else f"{name}_{i + 1}_of_{parts}"
        made[key] = wandb.Table(columns=list(content.columns), data=[sample] if rows else [])
        made[key].data = rows[i * limit : (i + 1) * limit]  # W&B looks at each cell of each row that is added: minutes
    return made


def scores(metrics: Sequence[MetricResult]) -> dict[str, Cell]:
    """Return each metric's value and interval, and its bounds where completions failed, by column."""
    found: dict[str, Cell] = {}
    for metric in metrics:
        score = metric.score
        found |= {metric.name: score.value, f"{metric.name}_low": score.low, f"{metric.name}_high": score.high}
        if score.errors:
            found |= {f"{metric.name}_worst": score.worst, f"{metric.name}_best": score.best}
    return found


def work(result: RunResult) -> dict[str, Cell]:
    """Return what a run took: completions, errors, tokens, cost, times and sizes; None where it is not known."""
    usage, tuned = result.usage, result.finetune
    return {
        "n": usage.n,
        "errors": usage.errors,
        "truncated": usage.truncated,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_usd": usage.cost_usd,
        "generation_seconds": usage.seconds or None,
        "training_seconds": tuned.seconds if tuned else None,
        "training_cost_usd": tuned.cost_usd if tuned else None,
        "training_examples": tuned.n_train if tuned else None,
        "best_step": tuned.best_step if tuned else None,
        "parameters": result.parameters,
        "parameters_trained": tuned.parameters_trained if tuned else None,
        "shutdown_date": result.shutdown_date,
    }


def leaderboard_rows(board: Leaderboard, entries: Sequence[Entry]) -> Rows:
    """Return a row for each entry: what was varied, each metric with its interval, the primary first, and usage."""
    factors = _factors([entry.run for entry in board.entries])
    names = [board.primary, *(name for name in board.metrics if name != board.primary)]
    lines = []
    for entry in entries:
        result = entry.run.result
        metrics = [found for name in names if (found := result.metric(name))]
        row: dict[str, Cell] = {"run": result.name, "run_id": result.run_id, "tie_group": entry.group}
        lines.append({**row, **factors[entry.run.folder], **scores(metrics), **work(result)})
    return aligned(lines)


def predictions(run: StoredRun, tracking: TrackingConfig) -> Rows:
    """Return a row for each completion of a run, with its example, slices and scores."""
    metrics = [metric.name for metric in run.result.metrics]
    lines = []
    for row in run.predictions():
        completion = row.completion
        line = {
            **_example(row, tracking),
            "completion": completion.text,
            "finish_reason": str(completion.finish_reason),
            "error": completion.error,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "seconds": completion.seconds,
        }
        lines.append({**line, **{name: row.scores.get(name) for name in metrics}})
    return aligned(lines)


def side_by_side(board: Leaderboard, tracking: TrackingConfig) -> Rows:
    """Return a row for each example with every run's completion of it and its primary score, best run first."""
    lines: dict[str, dict[str, Cell]] = {}
    for name, entry in zip(_unique(board.entries), board.entries, strict=True):
        for row in entry.run.predictions():
            line = lines.setdefault(row.example.id, _example(row, tracking))
            line[f"completion: {name}"] = row.completion.text
            line[f"{board.primary}: {name}"] = row.scores.get(board.primary)
            if row.completion.error is not None:
                line[f"error: {name}"] = row.completion.error
            if row.completion.finish_reason is FinishReason.LENGTH:
                line[f"truncated: {name}"] = True
    return aligned(list(lines.values()))


def aligned(lines: Sequence[Mapping[str, Cell]]) -> Rows:
    """Return lines as rows of one set of columns, in order of appearance; what a line lacks is None."""
    columns = tuple(dict.fromkeys(column for line in lines for column in line))
    return Rows(columns, tuple(tuple(_finite(line.get(column)) for column in columns) for line in lines))


def _factors(runs: Sequence[StoredRun]) -> dict[Any, dict[str, Cell]]:
    """Return the varied settings of each run by its folder; a column of numbers is one of numbers."""
    keys = varied(runs)
    flat = {run.folder: {k: v for k, v in settings_of(run).items() if v != str(None)} for run in runs}
    given = {key: [each[key] for each in flat.values() if key in each] for key in keys}
    numeric = {key for key, values in given.items() if all(_number(value) is not None for value in values)}
    return {
        folder: {key: _number(each.get(key)) if key in numeric else each.get(key) for key in keys}
        for folder, each in flat.items()
    }


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _example(row: Prediction, tracking: TrackingConfig) -> dict[str, Cell]:
    reference = {"reference": row.example.reference} if tracking.references else {}
    slices = {f"slice: {key}": value for key, value in row.example.slices.items()}
    return {"id": row.example.id, "prompt": row.example.prompt, **reference, **slices}


def _unique(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the name of each run, with its id where two runs have one name."""
    names = [entry.run.result.name for entry in entries]
    for entry, name in zip(entries, names, strict=True):
        yield name if names.count(name) == 1 else f"{name} ({entry.run.result.run_id})"


def _one_kind(column: Sequence[Cell]) -> Sequence[Cell]:
    kinds = {next(kind for kind in (bool, float, str) if _is(cell, kind)) for cell in column if cell is not None}
    return column if len(kinds) < 2 else [None if cell is None else str(cell) for cell in column]


def _is(cell: Cell, kind: type) -> bool:
    return isinstance(cell, (int, float) if kind is float else kind)


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


LONGEST = 64
"""Characters of an id at W&B."""


def session_id(run_id: str) -> str:
    """Return the id of a run at W&B."""
    return run_id if len(run_id) <= LONGEST else f"{run_id[: LONGEST - 17]}-{digest(run_id)}"


def leaderboard_id(board: Leaderboard) -> str:
    """Return the id of a leaderboard at W&B: that of its runs, in their order."""
    return f"leaderboard-{digest([board.task, [entry.run.result.run_id for entry in board.entries]])}"


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
