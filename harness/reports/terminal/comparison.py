"""Comparisons of runs in a terminal, paired and unpaired.

Every difference stands beside its interval, its adjusted p-value and what this number of examples could have shown, so
that "no significant difference" is never read as "no difference".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.comparisons import Aligned, MetricComparison, run_labels
from harness.analysis.training_seeds import RecipePair
from harness.analysis.unpaired import MetricFinding, UnpairedComparison
from harness.reports.columns import remarks
from harness.reports.formatting import number
from harness.reports.terminal import PIPED, console
from harness.stats.comparison import Comparison
from harness.stats.multiplicity import benjamini_hochberg, is_significant
from harness.stats.power import PowerPlan, detectable_difference, pairs_needed
from harness.wording import UNKNOWN, counted, difference, p_value, visible

BENJAMINI_HOCHBERG = "Benjamini-Hochberg-adjusted"
UNPAIRED_NOTE = (
    "unpaired: the runs answered different examples, so the noise of both adds up; the same number of shared examples "
    "would show smaller differences"
)
Row = tuple[Sequence[str], Comparison, float | None]
"""The names of what is compared, the comparison and its adjusted p-value."""


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """All paired comparisons of some runs, best first: on each metric, by slice, and over training seeds."""

    aligned: Aligned
    main: MetricComparison
    metrics: Sequence[MetricComparison]
    parts: dict[tuple[str, str], Comparison]
    recipes: Sequence[RecipePair]


def print_comparison(report: ComparisonReport) -> None:
    """Print all pairs on the main metric, training seeds, then the best two runs on every metric and slice."""
    out, metric = console(), report.main.metric

    def show(title: str, table: Table) -> None:
        out.print(Text(title, style="bold"))
        out.print(table, "")

    show(f"{metric}: {counted(report.aligned.n, 'shared example')}{_in_clusters(report.aligned)}", _ranking(report))
    show(f"{metric}: all pairs, Holm-adjusted", _pairs(report, out))
    if report.recipes:
        rows: list[Row] = [((p.first.name, p.second.name), p.comparison, p.p_adjusted) for p in report.recipes]
        show(f"{metric}: seeds as replicates, Holm-adjusted", _table(("first", "second"), rows))
    first, second = map(visible, run_labels(report.aligned.runs)[:2])
    if len(report.metrics) > 1:
        by_metric = [((compared.metric,), compared.between(0, 1).comparison) for compared in report.metrics]
        show(f"{first} minus {second} on every metric, {BENJAMINI_HOCHBERG}", _table(("metric",), _adjusted(by_metric)))
    if report.parts:
        by_slice = [((visible(key), visible(value)), part) for (key, value), part in report.parts.items()]
        show(
            f"{first} minus {second}, {metric} in every slice, {BENJAMINI_HOCHBERG}",
            _table(("slice", "value"), _adjusted(by_slice)),
        )
    for note in _notes(report):
        out.print(Text(f"· {note}", style="dim"))


def _in_clusters(aligned: Aligned) -> str:
    n = aligned.n_units(np.arange(aligned.n))
    return "" if aligned.clusters is None else f" in {counted(n, 'cluster')}"


def print_unpaired(unpaired: UnpairedComparison) -> None:
    """Print the difference on every metric, and notes that say first of all that the comparison is unpaired."""
    first, second = map(visible, run_labels(unpaired.runs))
    table = Table()
    table.add_column("metric")
    for column in ("examples", "difference", "p adjusted"):
        table.add_column(column, justify="right", no_wrap=True)
    for finding in unpaired.findings:
        table.add_row(*map(Text, _unpaired_cells(finding)), style=_style(finding.comparison, finding.p_adjusted))
    out = console()
    out.print(Text(f"{first} minus {second}, unpaired, {BENJAMINI_HOCHBERG}", style="bold"))
    out.print(table)
    notes = [UNPAIRED_NOTE, _methods(unpaired.findings[0].comparison), *map(visible, unpaired.remarks)]
    for note in notes:
        out.print(Text(f"· {note}", style="dim"))


def _ranking(report: ComparisonReport) -> Table:
    table = Table()
    for column in ("", "run", "tie group", "plausible ranks"):
        table.add_column(column)
    rows = zip(report.aligned.runs, report.main.groups, report.main.ranks, strict=True)
    for i, (run, group, (best, worst)) in enumerate(rows, 1):
        plausible = f"{best} to {worst}" if best != worst else str(best)
        table.add_row(str(i), Text(visible(run.result.run_id)), group, plausible)
    return table


def _pairs(report: ComparisonReport, out: Console) -> Table:
    """Return the table of all pairs; runs are numbered as in the ranking where there is no room for their names."""
    names = [visible(run.result.run_id) for run in report.aligned.runs]
    numbers = [str(i) for i, _ in enumerate(names, 1)]
    by_name, by_number = (
        _table(
            ("first", "second"),
            [((labels[p.first], labels[p.second]), p.comparison, p.p_adjusted) for p in report.main.pairs],
        )
        for labels in (names, numbers)
    )
    needed = out.measure(by_name, options=out.options.update(width=PIPED)).maximum
    return by_name if needed <= out.width else by_number


def _table(labels: Sequence[str], rows: Sequence[Row]) -> Table:
    """Return a table of comparisons, significant ones in bold.

    Numbers are never truncated and there are no lines between columns: names wrap into what room a terminal has left.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for label in labels:
        table.add_column(label, overflow="fold")
    for column in (
        "n",
        "difference",
        "p\nadjusted",
        "effect\nsize",
        "minimum\ndetectable\ndifference",
        "n for\n80%\npower",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for names, comparison, p in rows:
        table.add_row(*map(Text, names), *_cells(comparison, p), style=_style(comparison, p))
    return table


def _style(comparison: Comparison, p: float | None) -> str:
    return "bold" if is_significant(p, comparison.question.confidence) else ""


def _adjusted(named: Sequence[tuple[Sequence[str], Comparison]]) -> list[Row]:
    adjusted = benjamini_hochberg([comparison.p for _, comparison in named])
    return [(names, comparison, p) for (names, comparison), p in zip(named, adjusted, strict=True)]


def _cells(comparison: Comparison, p: float | None) -> Iterator[str]:
    plan, sd, n = PowerPlan(comparison.question.confidence), comparison.sd_of_difference, comparison.sample.n
    yield f"{n:,}"
    yield difference(comparison.difference, comparison.low, comparison.high)
    yield p_value(p, 4)
    yield number(comparison.effect, 2)
    yield number(detectable_difference(sd, n, plan) if sd else None, 3)
    needed = pairs_needed(sd, comparison.difference, plan) if sd and comparison.difference else None
    yield UNKNOWN if needed is None else f"{needed:,}"


def _unpaired_cells(finding: MetricFinding) -> list[str]:
    comparison = finding.comparison
    change = difference(comparison.difference, comparison.low, comparison.high)
    return [finding.metric, comparison.sample.of, change, p_value(finding.p_adjusted, 4)]


def _methods(comparison: Comparison) -> str:
    confidence = f"{comparison.question.confidence:.0%}"
    return f"interval: {comparison.method}; p-value: {comparison.test}; confidence {confidence}"


def _notes(report: ComparisonReport) -> Iterator[str]:
    yield _methods(report.main.pairs[0].comparison)
    yield "bold: significant after adjustment"
    yield "effect size: the difference in standard deviations of the per-example differences"
    yield "minimum detectable difference: the smallest true difference that n examples detect with 80% power"
    yield "n for 80% power: the examples needed to detect a true difference as large as the observed one"
    if report.aligned.left_out:
        yield report.aligned.left_out
    for run, label in zip(report.aligned.runs, run_labels(report.aligned.runs), strict=True):
        for remark in remarks(run.result, report.main.metric):
            yield f"{visible(label)}: {visible(remark)}"
