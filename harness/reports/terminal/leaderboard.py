"""The leaderboard in a terminal: metrics down the side for a few runs, runs down the side for many."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.verdict import retirement
from harness.reports.columns import TRUNCATED, Column, cells, compact
from harness.reports.formatting import bounds, decimals, visible, with_interval
from harness.reports.terminal.console import console
from harness.types import RunResult

FEW = 3
"""Up to so many runs, a metric is a row."""
NARROWEST = 14
"""Characters of a metric's name that stand in a line."""
COLUMN = 24
"""Characters that a score with its interval takes."""


class TerminalSink:
    """Prints to stdout."""

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Print the verdict, the table, and what the reader must know about failed and truncated completions."""
        out = console()
        by_metric = _by_metric(leaderboard, out) if len(leaderboard.entries) <= FEW else None
        costs, fitting = _fitting(leaderboard, out.width)
        told = not by_metric and any(column.title == TRUNCATED for column in costs)
        out.print(Text(_title(leaderboard), style="bold"))
        out.print(by_metric or _by_run(leaderboard, costs, fitting))
        for entry in leaderboard.entries:
            for remark in remarks(entry.run.result, leaderboard.primary, truncations=not told):
                out.print(Text(f"· {entry.run.result.name}: {remark}", style="yellow"))
        out.print(Text(leaderboard.verdict.text, style="bold"))
        return []


def remarks(result: RunResult, primary: str, truncations: bool = True) -> list[str]:
    """Return what a reader of this run's scores must know: failures with their bounds, truncations, warnings.

    Truncations can be left out where a column beside has them.
    """
    found = []
    usage = result.usage
    if usage.errors:
        metric = result.metric(primary)
        spread = bounds(metric.score, decimals([metric])) if metric else ""
        found.append(
            f"{usage.errors} of {usage.n} completions failed and are left out"
            + (f"; with them all wrong or all right {primary} is {spread}" if spread else "")
        )
    if usage.truncated and truncations:
        found.append(f"{usage.truncated} of {usage.n} completions were cut at the token limit")
    if len(result.served) > 1:
        found.append(f"answered by {len(result.served)} models behind one name: {', '.join(result.served[:3])}")
    if ending := retirement(result):
        found.append(ending.text)
    return [*found, *result.warnings]


def _by_metric(board: Leaderboard, out: Console) -> Table | None:
    """Show metrics down the side: where there is less room with folded names, then without lines, then not at all."""
    found = {name: [entry.run.result.metric(name) for entry in board.entries] for name in board.metrics}
    places = {name: decimals(r for r in results if r) for name, results in found.items()}
    rows = {
        f"{name} {_arrow(board, name)}": [with_interval(r.score, places[name]) if r else "–" for r in results]
        for name, results in found.items()
    }
    costs = {c.short: [c.cell(entry.run.result, board.primary) for entry in board.entries] for c in compact(board)}
    scores = [max(map(len, column)) for column in zip(*rows.values(), *costs.values(), strict=True)]
    names = [visible(e.run.result.name) + (f" ({e.group})" if e.group else "") for e in board.entries]
    whole = [max(len(name), width) for name, width in zip(names, scores, strict=True)]
    longest, lines = max(map(len, [*rows, *costs])), 3 * len(names) + 4
    if longest + sum(whole) + lines <= out.width:
        table, widths = Table(), whole
    elif longest + sum(scores) + lines <= out.width:
        table, widths = Table(), scores
    elif NARROWEST + sum(scores) + len(names) <= out.width:
        table, widths = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0), scores
    else:
        return None
    table.add_column("metric", overflow="fold")
    for name, width in zip(names, widths, strict=True):
        table.add_column(Text("\n".join(wrap(name, width))), justify="right", no_wrap=True)
    for title, texts in rows.items():
        table.add_row(Text(title), *map(Text, texts), style="bold" if title.split()[0] == board.primary else "")
    for title, texts in costs.items():
        table.add_row(Text(title), *map(Text, texts), style="dim")
    return table


def _by_run(board: Leaderboard, costs: Sequence[Column], fitting: int) -> Table:
    """Show the primary metric, then the costs and `fitting` other metrics; the report has all."""
    table = Table()
    names = [board.primary, *(n for n in board.metrics if n != board.primary)][: 1 + fitting]
    table.add_column("run", overflow="fold")
    table.add_column("tie", no_wrap=True)
    for name in names[:1]:
        table.add_column(f"{name} {_arrow(board, name)}", justify="right", no_wrap=True)
    for column in costs:
        table.add_column(column.short, justify="right", no_wrap=True)
    for name in names[1:]:
        table.add_column(f"{name} {_arrow(board, name)}", justify="right", no_wrap=True)
    places = {n: decimals(r for e in board.entries if (r := e.run.result.metric(n))) for n in names}
    for entry in board.entries:
        results = [entry.run.result.metric(n) for n in names]
        first, *others = [
            Text(with_interval(r.score, places[n]) if r else "–") for n, r in zip(names, results, strict=True)
        ]
        paid = map(Text, cells(board, entry.run.result, costs))
        table.add_row(Text(visible(entry.run.result.name)), entry.group, first, *paid, *others)
    return table


def _fitting(board: Leaderboard, width: int) -> tuple[list[Column], int]:
    """Return the cost columns that there is room for, and how many more metrics there is room for beside them."""
    longest = max(len(visible(entry.run.result.name)) for entry in board.entries)
    room, chosen = width - longest - 12 - COLUMN, []
    for column in compact(board):
        texts = [column.short, *(column.cell(entry.run.result, board.primary) for entry in board.entries)]
        taken = max(map(len, texts)) + 3
        if taken <= room:
            chosen.append(column)
            room -= taken
    return chosen, max(0, room // COLUMN)


def _title(board: Leaderboard) -> str:
    confidence = f"{board.confidence:.0%}"
    return f"{board.task}: {board.n} validation examples, {confidence} intervals"


def _arrow(board: Leaderboard, name: str) -> str:
    metric = next((r for e in board.entries if (r := e.run.result.metric(name))), None)
    if metric is None or metric.higher_is_better is None:
        return " "
    return "↑" if metric.higher_is_better else "↓"
