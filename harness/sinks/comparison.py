"""Paired comparisons in a terminal: every claim with its interval, its adjusted p-value and what n could have shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.comparisons import Aligned, MetricComparison, Pair
from harness.sinks.text import number, visible
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.power import Plan, detectable_difference, pairs_needed

PLACES = 3


def print_comparison(aligned: Aligned, found: Sequence[MetricComparison], primary: str) -> None:
    """Print all pairs on the primary metric, then the best two runs on every metric."""
    console = Console()
    main = next((c for c in found if c.metric == primary), found[0])
    console.print(_standing(aligned, main))
    console.print(_pairs(aligned, main))
    if len(found) > 1:
        console.print(_metrics(aligned, found))
    for line in _notes(aligned, main):
        console.print(Text(f"· {line}", style="dim"))


def _standing(aligned: Aligned, comparison: MetricComparison) -> Table:
    table = _titled(f"{comparison.metric}: {aligned.n} shared examples")
    for column in ("run", "tie group", "plausible ranks"):
        table.add_column(column)
    for run, group, (best, worst) in zip(aligned.runs, comparison.groups, comparison.ranks, strict=True):
        table.add_row(Text(visible(run.result.run_id)), group, f"{best} to {worst}" if best != worst else str(best))
    return table


def _pairs(aligned: Aligned, comparison: MetricComparison) -> Table:
    table = _titled(f"{comparison.metric}: all pairs, Holm-adjusted")
    for column in ("first", "second"):
        table.add_column(column)
    for column in ("difference", "p adjusted", "effect", "shown at n", "n needed"):
        table.add_column(column, justify="right")
    for pair in comparison.pairs:
        names = (Text(visible(aligned.runs[i].result.run_id)) for i in (pair.first, pair.second))
        table.add_row(
            *names, *_cells(pair, pair.p_adjusted), style="bold" if _claimed(aligned, pair.p_adjusted) else ""
        )
    return table


def _metrics(aligned: Aligned, found: Sequence[MetricComparison]) -> Table:
    first, second = (visible(run.result.name) for run in aligned.runs[:2])
    title = f"{first} minus {second} on every metric, Benjamini-Hochberg-adjusted"
    table = _titled(title)
    table.add_column("metric")
    for column in ("difference", "p adjusted", "effect", "shown at n", "n needed"):
        table.add_column(column, justify="right")
    pairs = [comparison.between(0, 1) for comparison in found]
    adjusted = benjamini_hochberg([np.nan if p.comparison.p is None else p.comparison.p for p in pairs])
    for comparison, pair, p in zip(found, pairs, adjusted, strict=True):
        value = None if np.isnan(p) else float(p)
        table.add_row(comparison.metric, *_cells(pair, value), style="bold" if _claimed(aligned, value) else "")
    return table


def _cells(pair: Pair, p: float | None) -> Iterator[str]:
    found = pair.comparison
    plan = Plan(found.question.confidence)
    bounds = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.low is not None and found.high is not None else ""
    yield "–" if found.difference is None else f"{found.difference:+.3f}{bounds}"
    yield "–" if p is None else f"{p:.4f}"
    yield number(found.effect, 2)
    yield number(detectable_difference(found.deviation, found.sample.n, plan) if found.deviation else None, PLACES)
    needed = pairs_needed(found.deviation, found.difference, plan) if found.deviation and found.difference else None
    yield "–" if needed is None else f"{needed:,}"


def _notes(aligned: Aligned, comparison: MetricComparison) -> Iterator[str]:
    found = comparison.pairs[0].comparison
    yield f"interval: {found.method}; p: {found.test}; confidence {found.question.confidence:.0%}"
    yield "effect: difference in standard deviations of one example's difference"
    yield "shown at n: the smallest true difference that this many examples show in 80% of cases"
    yield "n needed: examples that would show the observed difference in 80% of cases"
    if aligned.left_out:
        yield aligned.left_out


def _titled(title: str) -> Table:
    return Table(title=Text(title, style="bold", no_wrap=True, overflow="ignore"), title_justify="left")


def _claimed(aligned: Aligned, p: float | None) -> bool:
    return p is not None and p <= 1 - aligned.config.confidence
