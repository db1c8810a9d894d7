"""What is shown of a run beside its scores, in every report alike: its costs, and remarks on how to read the scores.

A value that is not known is a dash and an unknown price is "unknown"; neither is ever shown as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.pareto import seconds_per_completion
from harness.analysis.verdict import retirement
from harness.config import FineTuneMethod
from harness.reports.formatting import bounds, decimals
from harness.types import MetricResult, RunResult
from harness.wording import UNKNOWN, counted

TRUNCATED = "truncated"
UNREADABLE = " †"
"""Stands behind the name of a metric that cannot read some references; see `harness.stages.readability`."""
FEW_RUNS = 3
"""Up to this many runs, a leaderboard has one row per metric and one column per run; with more, one row per run."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, its cell for a run and the primary metric, and its title in a terminal if shown there."""

    title: str
    cell: Callable[[RunResult, str], str]
    short: str = ""


def columns(board: Leaderboard) -> list[Column]:
    """Return the columns that have a value for at least one run, in the order of the report."""
    results = [entry.run.result for entry in board.entries]
    return [c for c in COLUMNS if any(c.cell(result, board.primary) != UNKNOWN for result in results)]


def compact(board: Leaderboard) -> list[Column]:
    """Return the columns for a terminal: those with a short title and some value other than 0 or unknown."""
    results = [entry.run.result for entry in board.entries]
    empty = {UNKNOWN, "0", "unknown"}
    return [c for c in columns(board) if c.short and any(c.cell(r, board.primary) not in empty for r in results)]


def cells(board: Leaderboard, result: RunResult, shown: Sequence[Column]) -> list[str]:
    """Return the cells of a run for the given columns."""
    return [column.cell(result, board.primary) for column in shown]


def remarks(result: RunResult, primary: str, truncations: bool = True) -> list[str]:
    """Return what a reader of this run's scores must know: failures with their bounds, truncations, warnings.

    `truncations=False` leaves truncations out, for reports that show them in a column.
    """
    lines = []
    usage = result.usage
    if usage.errors:
        metric = result.metric(primary)
        spread = bounds(metric.score, decimals([metric])) if metric else ""
        lines.append(
            f"{usage.errors:,} of {counted(usage.n, 'completion')} failed (not scored)"
            + (f"; with all of them wrong or all right, {primary} is {spread}" if spread else "")
        )
    if usage.truncated and truncations:
        lines.append(f"{usage.truncated:,} of {counted(usage.n, 'completion')} truncated at the token limit")
    if len(result.served) > 1:
        lines.append(f"{len(result.served)} models answered under one name: {', '.join(result.served[:3])}")
    if ending := retirement(result):
        lines.append(ending.text)
    return [*lines, *result.warnings]


def shared_remarks(board: Leaderboard, truncations: bool = True) -> list[tuple[str, list[str]]]:
    """Return each remark once, with the names of the runs that it is about; see `remarks`."""
    runs: dict[str, list[str]] = {}
    for entry in board.entries:
        for remark in remarks(entry.run.result, board.primary, truncations):
            runs.setdefault(remark, []).append(entry.name)
    return list(runs.items())


def mark(results: Iterable[MetricResult | None]) -> str:
    """Return what stands behind the name of a metric that cannot read some references."""
    return UNREADABLE if any(result and result.unreadable for result in results) else ""


def footnotes(board: Leaderboard) -> list[str]:
    """Return what the mark behind some metrics' names means; nothing where no metric has it."""
    counts = {
        name: max((r.unreadable for e in board.entries if (r := e.run.result.metric(name))), default=0)
        for name in board.metrics
    }
    marked = [f"{name} {count:,}" for name, count in counts.items() if count]
    if not marked:
        return []
    return [
        f"{UNREADABLE.strip()} cannot read some of {counted(board.n, 'reference')}: {', '.join(marked)}. A perfect "
        "copy of one falls short of the best score, or a wrong text reaches it"
    ]


def rounded(value: float | None) -> str:
    """Return a time or a rate to the precision that a measurement on a shared machine has."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bounds(result: RunResult, primary: str) -> str:
    metric = result.metric(primary)
    return (bounds(metric.score, decimals([metric])) if metric else "") or UNKNOWN


def _truncated(result: RunResult, _: str) -> str:
    usage = result.usage
    return f"{usage.truncated:,} ({usage.truncated / usage.n:.0%})" if usage.truncated else "0"


def _cost(result: RunResult, _: str) -> str:
    cost = result.usage.cost_usd
    return "unknown" if cost is None else f"{cost:.4g}"


def _training_cost(result: RunResult, _: str) -> str:
    """Return the price of hosted training, which is unknown without a price list; local training has none."""
    record = result.finetune
    if record is None or (record.cost_usd is None and record.method != FineTuneMethod.openai):
        return UNKNOWN
    return "unknown" if record.cost_usd is None else f"{record.cost_usd:.4g}"


def _training(result: RunResult, _: str) -> str:
    return rounded(result.finetune.seconds if result.finetune else None)


def _rate(result: RunResult, _: str) -> str:
    tokens, seconds = result.usage.completion_tokens, result.usage.seconds
    return rounded(tokens / seconds if tokens and seconds else None)


def _parameters(result: RunResult, _: str) -> str:
    return f"{result.parameters / 1e6:,.0f}M" if result.parameters else UNKNOWN


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


COLUMNS = (
    Column("errors", lambda result, _: _count(result.usage.errors), "errors"),
    Column("score with errors all wrong, all right", _bounds),
    Column(TRUNCATED, _truncated, "truncated"),
    Column("prompt tokens", lambda result, _: _count(result.usage.prompt_tokens)),
    Column("completion tokens", lambda result, _: _count(result.usage.completion_tokens)),
    Column("cost, USD", _cost, "USD"),
    Column("training, USD", _training_cost),
    Column("training, s", _training, "training s"),
    Column("generation, s", lambda result, _: rounded(result.usage.seconds or None)),
    Column("s/completion", lambda result, _: rounded(seconds_per_completion(result)), "s/completion"),
    Column("tokens/s", _rate),
    Column("parameters", _parameters, "parameters"),
)
"""In the order of the report; `cost` and `generation` are of the completions alone, without training."""
