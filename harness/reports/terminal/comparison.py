"""Paired comparisons in a terminal: every claim with its interval, its adjusted p-value and what n could have shown.

An unpaired comparison in a terminal, which says above all that it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.comparisons import Aligned, MetricComparison
from harness.analysis.training_seeds import SystemPair
from harness.analysis.unpaired import MetricFinding, Unpaired
from harness.reports.formatting import number, visible
from harness.reports.terminal.console import PIPED, console
from harness.reports.terminal.leaderboard import remarks
from harness.stats.comparison import Comparison
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.power import Plan, detectable_difference, pairs_needed

Row = tuple[Sequence[str], Comparison, float | None]
"""What is compared, what was found, and the adjusted p-value."""


@dataclass(frozen=True, slots=True)
class Compared:
    """All that is known about some runs, best first: on each metric, by slice, and over training seeds."""

    aligned: Aligned
    main: MetricComparison
    metrics: Sequence[MetricComparison]
    parts: dict[tuple[str, str], Comparison]
    systems: Sequence[SystemPair]


def print_comparison(found: Compared) -> None:
    """Print all pairs on the main metric, training seeds, then the best two runs on every metric and slice."""
    out, name = console(), found.main.metric

    def show(title: str, table: Table) -> None:
        out.print(Text(title, style="bold"))
        out.print(table, "")

    show(f"{name}: {found.aligned.n} shared examples", _standing(found))
    show(f"{name}: all pairs, Holm-adjusted", _pairs(found, out))
    if found.systems:
        rows: list[Row] = [((p.first.name, p.second.name), p.comparison, p.p_adjusted) for p in found.systems]
        show(f"{name}: training seeds as replicates, Holm-adjusted", _table(("first", "second"), rows))
    first, second = (visible(run.result.name) for run in found.aligned.runs[:2])
    if len(found.metrics) > 1:
        by_metric = [((each.metric,), each.between(0, 1).comparison) for each in found.metrics]
        show(f"{first} minus {second} on every metric, {_BH}", _table(("metric",), _adjusted(by_metric)))
    if found.parts:
        by_slice = [((visible(key), visible(value)), each) for (key, value), each in found.parts.items()]
        show(f"{first} minus {second}, {name} in every slice, {_BH}", _table(("slice", "value"), _adjusted(by_slice)))
    for line in _notes(found):
        out.print(Text(f"· {line}", style="dim"))


_BH = "Benjamini-Hochberg-adjusted"


def _standing(found: Compared) -> Table:
    table = Table()
    for column in ("", "run", "tie group", "plausible ranks"):
        table.add_column(column)
    rows = zip(found.aligned.runs, found.main.groups, found.main.ranks, strict=True)
    for i, (run, group, (best, worst)) in enumerate(rows, 1):
        plausible = f"{best} to {worst}" if best != worst else str(best)
        table.add_row(str(i), Text(visible(run.result.run_id)), group, plausible)
    return table


def _pairs(found: Compared, out: Console) -> Table:
    """Make the table of all pairs, in which numbers stand for the runs where there is no room for their names."""
    names = [visible(run.result.run_id) for run in found.aligned.runs]
    numbers = [str(i) for i, _ in enumerate(names, 1)]
    by_name, by_number = (
        _table(
            ("first", "second"),
            [((runs[p.first], runs[p.second]), p.comparison, p.p_adjusted) for p in found.main.pairs],
        )
        for runs in (names, numbers)
    )
    needed = out.measure(by_name, options=out.options.update(width=PIPED)).maximum
    return by_name if needed <= out.width else by_number


def _table(labels: Sequence[str], rows: Sequence[Row]) -> Table:
    """Make a table of comparisons; a claim that holds after adjustment is in bold.

    Numbers are never cut, and lines between the columns are left out: names fold into what a terminal has left.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for label in labels:
        table.add_column(label, overflow="fold")
    for column in ("n", "difference", "p\nadjusted", "effect", "shown\nat n", "n\nneeded"):
        table.add_column(column, justify="right", no_wrap=True)
    for names, found, p in rows:
        claimed = p is not None and p <= 1 - found.question.confidence
        table.add_row(*map(Text, names), *_cells(found, p), style="bold" if claimed else "")
    return table


def _adjusted(named: Sequence[tuple[Sequence[str], Comparison]]) -> list[Row]:
    adjusted = benjamini_hochberg([np.nan if each.p is None else each.p for _, each in named])
    return [(names, each, None if np.isnan(p) else float(p)) for (names, each), p in zip(named, adjusted, strict=True)]


def _cells(found: Comparison, p: float | None) -> Iterator[str]:
    plan = Plan(found.question.confidence)
    bounds = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.low is not None and found.high is not None else ""
    yield str(found.sample.n)
    yield "–" if found.difference is None else f"{found.difference:+.3f}{bounds}"
    yield "–" if p is None else f"{p:.4f}"
    yield number(found.effect, 2)
    yield number(
        detectable_difference(found.sd_of_difference, found.sample.n, plan) if found.sd_of_difference else None, 3
    )
    needed = (
        pairs_needed(found.sd_of_difference, found.difference, plan)
        if found.sd_of_difference and found.difference
        else None
    )
    yield "–" if needed is None else f"{needed:,}"


def _notes(found: Compared) -> Iterator[str]:
    main = found.main.pairs[0].comparison
    yield f"interval: {main.method}; p: {main.test}; confidence {main.question.confidence:.0%}"
    yield "effect: difference in standard deviations of one example's difference"
    yield "shown at n: the smallest true difference that this many examples show in 80% of cases"
    yield "n needed: examples that would show the observed difference in 80% of cases"
    if found.aligned.left_out:
        yield found.aligned.left_out
    for run in found.aligned.runs:
        for remark in remarks(run.result, found.main.metric):
            yield f"{visible(run.result.name)}: {visible(remark)}"


WEAKER = (
    "unpaired: the runs answered different examples, so the noise of both adds up; the same number of shared examples "
    "would show smaller differences"
)


def print_unpaired(found: Unpaired) -> None:
    """Print the difference on every metric, then what a reader must know."""
    first, second = (visible(run.result.name) for run in found.runs)
    table = Table()
    table.add_column("metric")
    for column in ("examples", "difference", "p adjusted"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in found.findings:
        claimed = each.p_adjusted is not None and each.p_adjusted <= 1 - each.comparison.question.confidence
        table.add_row(*map(Text, _unpaired_cells(each)), style="bold" if claimed else "")
    out = console()
    out.print(Text(f"{first} minus {second}, unpaired, Benjamini-Hochberg-adjusted", style="bold"))
    out.print(table)
    main = found.findings[0].comparison
    notes = [WEAKER, f"interval: {main.method}; p: {main.test}; confidence {main.question.confidence:.0%}"]
    for line in [*notes, *map(visible, found.remarks)]:
        out.print(Text(f"· {line}", style="dim"))


def _unpaired_cells(each: MetricFinding) -> list[str]:
    found = each.comparison
    bounds = "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    difference = "–" if found.difference is None else f"{found.difference:+.3f}{bounds}"
    return [each.metric, found.sample.of, difference, "–" if each.p_adjusted is None else f"{each.p_adjusted:.4f}"]
