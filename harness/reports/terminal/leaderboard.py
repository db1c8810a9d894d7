"""The leaderboard in a terminal: one row per metric for a few runs, one row per run for many.

Names wrap and columns are dropped until the table fits the terminal; a score is never truncated.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.leaderboard import Leaderboard
from harness.reports.columns import FEW_RUNS, TRUNCATED, Column, cells, compact, footnotes, mark, shared_remarks
from harness.reports.formatting import decimals, with_interval
from harness.reports.terminal import console
from harness.wording import UNKNOWN, at_most, visible

NARROWEST = 14
"""The least width of the column of metric names; longer names wrap."""
NAMED = 3
"""The most runs that a remark names."""
SCORE_WIDTH = 24
"""Characters that a score with its interval takes."""


class TerminalSink:
    """Prints a leaderboard to stdout."""

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Print the table, remarks on failed and truncated completions, and the verdict."""
        out = console()
        by_metric = _by_metric(leaderboard, out) if len(leaderboard.entries) <= FEW_RUNS else None
        costs, n_metrics = _fitting(leaderboard, out.width)
        in_table = not by_metric and any(column.title == TRUNCATED for column in costs)
        out.print(Text(_title(leaderboard), style="bold"))
        out.print(by_metric or _by_run(leaderboard, costs, n_metrics))
        for note in footnotes(leaderboard):
            out.print(Text(note, style="yellow"))
        n = len(leaderboard.entries)
        for remark, names in shared_remarks(leaderboard, truncations=not in_table):
            runs = f"all {n} runs" if len(names) == n > 1 else ", ".join(at_most(names, NAMED))
            out.print(Text(f"· {runs}: {remark}", style="yellow"))
        out.print(Text(leaderboard.verdict.text, style="bold"))
        return []


def _by_metric(board: Leaderboard, out: Console) -> Table | None:
    """Return a table of one row per metric: in less space names wrap, then lines go; None if it still does not fit."""
    metrics = {name: [entry.run.result.metric(name) for entry in board.entries] for name in board.metrics}
    places = {name: decimals(r for r in results if r) for name, results in metrics.items()}
    rows = {
        f"{name} {_arrow(board, name)}": [with_interval(r.score, places[name]) if r else UNKNOWN for r in results]
        for name, results in metrics.items()
    }
    costs = {c.short: [c.cell(entry.run.result, board.primary) for entry in board.entries] for c in compact(board)}
    scores = [max(map(len, column)) for column in zip(*rows.values(), *costs.values(), strict=True)]
    names = [visible(e.name) + (f" ({e.group})" if e.group else "") for e in board.entries]
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


def _by_run(board: Leaderboard, costs: Sequence[Column], n_metrics: int) -> Table:
    """Return a table of one row per run: the primary metric, the costs and `n_metrics` others; the report has all."""
    table = Table()
    names = board.metrics[: 1 + n_metrics]
    table.add_column("run", overflow="fold")
    table.add_column("tie\ngroup", no_wrap=True)
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
            Text(with_interval(r.score, places[n]) if r else UNKNOWN) for n, r in zip(names, results, strict=True)
        ]
        taken = map(Text, cells(board, entry.run.result, costs))
        table.add_row(Text(visible(entry.name)), entry.group, first, *taken, *others)
    return table


def _fitting(board: Leaderboard, width: int) -> tuple[list[Column], int]:
    """Return the cost columns that fit the width, and how many metrics fit beside them and the primary one."""
    longest = max(len(visible(entry.name)) for entry in board.entries)
    room, chosen = width - longest - 14 - SCORE_WIDTH, []
    for column in compact(board):
        texts = [column.short, *(column.cell(entry.run.result, board.primary) for entry in board.entries)]
        needed = max(map(len, texts)) + 3
        if needed <= room:
            chosen.append(column)
            room -= needed
    return chosen, max(0, room // SCORE_WIDTH)


def _title(board: Leaderboard) -> str:
    return f"{board.label}: {board.size('validation example')}, {board.confidence:.0%} intervals"


def _arrow(board: Leaderboard, name: str) -> str:
    """Return the direction of a metric, and the mark of one that cannot read some references."""
    results = [r for e in board.entries if (r := e.run.result.metric(name))]
    if not results or results[0].higher_is_better is None:
        return " "
    return ("↑" if results[0].higher_is_better else "↓") + mark(results)
