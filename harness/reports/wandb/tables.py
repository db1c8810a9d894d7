"""W&B tables: the same leaderboard rows as in the report, and every completion, as cells that show as text.

Rows are made first, from stored runs alone, and become `wandb.Table`s at the end. W&B cuts a table at `MAX_ROWS`, so
longer ones are split into numbered parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.factors import settings_of, varied
from harness.config import TrackingConfig
from harness.analysis.leaderboard import Entry, Leaderboard
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
