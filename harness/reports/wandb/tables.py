"""The content of W&B tables: the leaderboard, every completion, and the evidence behind the leaderboard.

Rows are built from stored runs alone and become `wandb.Table`s at the end. W&B truncates a table at `MAX_ROWS`, so
longer ones are split into numbered parts. The ids under which runs and leaderboards are logged are also made here.
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
MAX_ID = 64
"""The most characters of a W&B run id."""

Cell = str | float | int | bool | None
Line = dict[str, Cell]
"""The cells of one row by column name."""


@dataclass(frozen=True, slots=True)
class WandbRows:
    """The content of a W&B table; each row has one cell per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables(name: str, content: WandbRows, limit: int = MAX_ROWS) -> dict[str, Any]:
    """Return the content as one `wandb.Table` under `name`, or as several under `name_1_of_N` if it is longer.

    A column with values of several types becomes a column of strings.
    """
    import wandb

    parts = max(1, math.ceil(len(content.rows) / limit))
    columns = [_one_type(column) for column in zip(*content.rows, strict=True)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    sample = [next((cell for cell in column if cell is not None), None) for column in columns]
    by_name = {}
    for i in range(parts):
        key = name if parts == 1 else f"{name}_{i + 1}_of_{parts}"
        by_name[key] = wandb.Table(columns=list(content.columns), data=[sample] if rows else [])
        by_name[key].data = rows[i * limit : (i + 1) * limit]  # adding rows checks the type of each cell: minutes
    return by_name


def session_id(run_id: str) -> str:
    """Return the W&B id of a run; logging the run again replaces it."""
    return run_id if len(run_id) <= MAX_ID else f"{run_id[: MAX_ID - 17]}-{digest(run_id)}"


def leaderboard_id(board: Leaderboard) -> str:
    """Return the W&B id of a leaderboard, which depends on its runs and their order."""
    return f"leaderboard-{digest([board.task, [entry.run.result.run_id for entry in board.entries]])}"


def scores(metrics: Sequence[MetricResult]) -> Line:
    """Return each metric's value and interval, and its bounds if completions failed, by column."""
    line: Line = {}
    for metric in metrics:
        score = metric.score
        line |= {metric.name: score.value, f"{metric.name}_low": score.low, f"{metric.name}_high": score.high}
        if metric.unreadable:
            line[f"{metric.name}_unreadable_references"] = metric.unreadable
        if score.errors:
            line |= {f"{metric.name}_worst": score.worst, f"{metric.name}_best": score.best}
    return line


def costs(result: RunResult) -> Line:
    """Return what a run took: completions, errors, tokens, cost, times and sizes; None for what is not known."""
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


def leaderboard_rows(board: Leaderboard, entries: Sequence[Entry]) -> WandbRows:
    """Return one row per entry: varied settings, each metric with its interval, the primary first, and costs."""
    factors = _factors([entry.run for entry in board.entries])
    names = [board.primary, *(name for name in board.metrics if name != board.primary)]
    lines = []
    for entry in entries:
        result = entry.run.result
        metrics = [metric for name in names if (metric := result.metric(name))]
        line: Line = {"run": result.name, "run_id": result.run_id, "tie_group": entry.group}
        lines.append({**line, **factors[entry.run.folder], **scores(metrics), **costs(result)})
    return aligned(lines)


def predictions(run: StoredRun, tracking: TrackingConfig) -> WandbRows:
    """Return one row per completion of a run, with its example, slices and scores."""
    metrics = [metric.name for metric in run.result.metrics]
    lines = []
    for prediction in run.predictions():
        completion = prediction.completion
        line = {
            **_example(prediction, tracking),
            "completion": completion.text,
            "finish_reason": str(completion.finish_reason),
            "error": completion.error,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "seconds": completion.seconds,
        }
        lines.append({**line, **{name: prediction.scores.get(name) for name in metrics}})
    return aligned(lines)


def side_by_side(board: Leaderboard, tracking: TrackingConfig) -> WandbRows:
    """Return one row per example with every run's completion and primary score, best run first."""
    lines: dict[str, Line] = {}
    for name, entry in zip(_unique(board.entries), board.entries, strict=True):
        for prediction in entry.run.predictions():
            line = lines.setdefault(prediction.example.id, _example(prediction, tracking))
            line[f"completion: {name}"] = prediction.completion.text
            line[f"{board.primary}: {name}"] = prediction.scores.get(board.primary)
            if prediction.completion.error is not None:
                line[f"error: {name}"] = prediction.completion.error
            if prediction.completion.finish_reason is FinishReason.LENGTH:
                line[f"truncated: {name}"] = True
    return aligned(list(lines.values()))


def evidence(board: Leaderboard) -> dict[str, WandbRows]:
    """Return a table, by name, of every kind of finding that the leaderboard has."""
    by_name = {name: list(lines(board)) for name, lines in EVIDENCE.items()}
    return {name: aligned(lines) for name, lines in by_name.items() if lines}


def aligned(lines: Sequence[Mapping[str, Cell]]) -> WandbRows:
    """Return lines as rows of one set of columns, in order of appearance; missing cells are None."""
    columns = tuple(dict.fromkeys(column for line in lines for column in line))
    return WandbRows(columns, tuple(tuple(_finite(line.get(column)) for column in columns) for line in lines))


def _pairs(board: Leaderboard) -> Iterator[Line]:
    names = _names(board)
    for pair in board.comparison.pairs if board.comparison else ():
        line: Line = {"first": names[pair.first], "second": names[pair.second]}
        figures = _fields(pair.comparison, "difference", "low", "high", "p", "effect", "method", "test")
        yield {**line, **figures, "n": pair.comparison.sample.n, "p_adjusted": pair.p_adjusted}


def _effects(board: Leaderboard) -> Iterator[Line]:
    for effect in board.effects:
        yield _fields(effect, "factor", "level", "against", "difference", "low", "high", "p_adjusted", "pairs")


def _interactions(board: Leaderboard) -> Iterator[Line]:
    for interaction in board.interactions:
        line: Line = {}
        changes = zip(interaction.factors, interaction.levels, interaction.against, strict=True)
        for i, (factor, level, against) in enumerate(changes, 1):
            line |= {f"factor_{i}": factor, f"level_{i}": level, f"against_{i}": against}
        yield {**line, **_fields(interaction, "difference", "low", "high", "p_adjusted", "squares")}


def _slices(board: Leaderboard) -> Iterator[Line]:
    names = _names(board)
    for table in board.slices:
        reference = None if table.reference is None else names[table.reference]
        for row in table.rows:
            for name, cell in zip(names, row.cells, strict=True):
                line: Line = {"slice": table.key, "value": row.value, "n": row.n, "run": name}
                score = _fields(cell.score, "value", "low", "high", "errors") if cell.score else {}
                yield {
                    **line,
                    **{f"score_{key}": value for key, value in score.items()},
                    "against": reference,
                    "difference": cell.comparison.difference if cell.comparison else None,
                    "p_adjusted": cell.p_adjusted,
                    "mark": str(cell.mark),
                }


def _diagnoses(board: Leaderboard) -> Iterator[Line]:
    for diagnosis in board.diagnoses:
        for remark in diagnosis.remarks:
            line: Line = {"run": diagnosis.name, "run_id": diagnosis.run_id}
            yield {**line, "finding": str(remark.finding), "detail": remark.detail}


def _validity(board: Leaderboard) -> Iterator[Line]:
    for validity in board.validity:
        yield _fields(validity, "metric", "separated", "pairs", "saturation", "n_needed", "lowest", "highest")


def _agreement(board: Leaderboard) -> Iterator[Line]:
    agreement = board.agreement
    if agreement is None:
        return
    for i, one in enumerate(agreement.metrics):
        for j, other in enumerate(agreement.metrics[i + 1 :], i + 1):
            line: Line = {"metric": one, "other": other}
            yield {**line, "over_examples": agreement.over_examples[i][j], "over_runs": agreement.over_runs[i][j]}


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
                "dominated_by": None if point.dominated_by is None else names[point.dominated_by],
            }


EVIDENCE: dict[str, Callable[[Leaderboard], Iterator[Line]]] = {
    "pairs": _pairs,
    "effects": _effects,
    "interactions": _interactions,
    "slices": _slices,
    "diagnoses": _diagnoses,
    "validity": _validity,
    "agreement": _agreement,
    "pareto": _pareto,
}
"""The lines of every table of evidence, by its name."""


def _names(board: Leaderboard) -> Sequence[str]:
    return [entry.run.result.name for entry in board.entries]


def _unique(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the name of each run, followed by its id if several runs share the name."""
    names = [entry.run.result.name for entry in entries]
    for entry, name in zip(entries, names, strict=True):
        yield name if names.count(name) == 1 else f"{name} ({entry.run.result.run_id})"


def _factors(runs: Sequence[StoredRun]) -> dict[Any, Line]:
    """Return the varied settings of each run by its folder; a setting with only numeric levels is a number."""
    keys = varied(runs)
    settings = {run.folder: {k: v for k, v in settings_of(run).items() if v != str(None)} for run in runs}
    levels = {key: [run[key] for run in settings.values() if key in run] for key in keys}
    numeric = {key for key, values in levels.items() if all(_number(value) is not None for value in values)}
    return {
        folder: {key: _number(run.get(key)) if key in numeric else run.get(key) for key in keys}
        for folder, run in settings.items()
    }


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _example(prediction: Prediction, tracking: TrackingConfig) -> Line:
    example = prediction.example
    reference = {"reference": example.reference} if tracking.references else {}
    slices = {f"slice: {key}": value for key, value in example.slices.items()}
    return {"id": example.id, "prompt": example.prompt, **reference, **slices}


def _fields(value: Any, *names: str) -> Line:
    return {name: getattr(value, name) for name in names}


def _one_type(column: Sequence[Cell]) -> Sequence[Cell]:
    types = {next(kind for kind in (bool, float, str) if _is(cell, kind)) for cell in column if cell is not None}
    return column if len(types) < 2 else [None if cell is None else str(cell) for cell in column]


def _is(cell: Cell, kind: type) -> bool:
    return isinstance(cell, (int, float) if kind is float else kind)


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
