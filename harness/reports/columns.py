"""What a run cost beside what it scored: one table of columns, for the terminal and the report alike.

What is not known is a dash, and an unknown price is "unknown": neither is ever 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.pareto import seconds_each
from harness.config import FineTuneMethod
from harness.reports.formatting import bounds, decimals
from harness.types import RunResult

NOTHING = "–"
TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, its cell for a run and the primary metric, and its title where there is little room."""

    title: str
    cell: Callable[[RunResult, str], str]
    short: str = ""


def columns(board: Leaderboard) -> list[Column]:
    """Return the columns in which some run has something to show, in the order of the report."""
    results = [entry.run.result for entry in board.entries]
    return [c for c in COLUMNS if any(c.cell(result, board.primary) != NOTHING for result in results)]


def compact(board: Leaderboard) -> list[Column]:
    """Return the columns that a terminal shows: those with a short title and more in them than 0 or unknown."""
    results = [entry.run.result for entry in board.entries]
    empty = {NOTHING, "0", "unknown"}
    return [c for c in columns(board) if c.short and any(c.cell(r, board.primary) not in empty for r in results)]


def cells(board: Leaderboard, result: RunResult, shown: Sequence[Column]) -> list[str]:
    """Return a run's cells of these columns."""
    return [column.cell(result, board.primary) for column in shown]


def rounded(value: float | None) -> str:
    """Write a time or a rate with the digits that a measurement on a shared machine has."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bounds(result: RunResult, primary: str) -> str:
    metric = result.metric(primary)
    return (bounds(metric.score, decimals([metric])) if metric else "") or NOTHING


def _truncated(result: RunResult, _: str) -> str:
    usage = result.usage
    return f"{usage.truncated:,} ({usage.truncated / usage.n:.0%})" if usage.truncated else "0"


def _cost(result: RunResult, _: str) -> str:
    cost = result.usage.cost_usd
    return "unknown" if cost is None else f"{cost:.4g}"


def _training_cost(result: RunResult, _: str) -> str:
    """Training here has no price; a service's is unknown where the prices do not tell it."""
    record = result.finetune
    if record is None or (record.cost_usd is None and record.method != FineTuneMethod.openai):
        return NOTHING
    return "unknown" if record.cost_usd is None else f"{record.cost_usd:.4g}"


def _training(result: RunResult, _: str) -> str:
    return rounded(result.finetune.seconds if result.finetune else None)


def _rate(result: RunResult, _: str) -> str:
    made, seconds = result.usage.completion_tokens, result.usage.seconds
    return rounded(made / seconds if made and seconds else None)


def _parameters(result: RunResult, _: str) -> str:
    return f"{result.parameters / 1e6:,.0f}M" if result.parameters else NOTHING


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


COLUMNS = (
    Column("errors", lambda result, _: _count(result.usage.errors), "errors"),
    Column("with errors all wrong, all right", _bounds),
    Column(TRUNCATED, _truncated, "cut"),
    Column("prompt tokens", lambda result, _: _count(result.usage.prompt_tokens)),
    Column("completion tokens", lambda result, _: _count(result.usage.completion_tokens)),
    Column("cost, USD", _cost, "USD"),
    Column("training, USD", _training_cost),
    Column("training, s", _training, "training s"),
    Column("generation, s", lambda result, _: rounded(result.usage.seconds or None)),
    Column("s a completion", lambda result, _: rounded(seconds_each(result)), "s each"),
    Column("tokens a s", _rate),
    Column("parameters", _parameters, "parameters"),
)
"""In the order of the report; the cost and the times of generation are of the completions alone."""
