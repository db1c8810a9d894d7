"""An unpaired comparison in a terminal, which says above all that it is one."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from harness.analysis.unpaired import MetricFinding, Unpaired
from harness.reports.terminal.console import console
from harness.reports.formatting import visible

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
        table.add_row(*map(Text, _cells(each)), style="bold" if claimed else "")
    out = console()
    out.print(Text(f"{first} minus {second}, unpaired, Benjamini-Hochberg-adjusted", style="bold"))
    out.print(table)
    main = found.findings[0].comparison
    notes = [WEAKER, f"interval: {main.method}; p: {main.test}; confidence {main.question.confidence:.0%}"]
    for line in [*notes, *map(visible, found.remarks)]:
        out.print(Text(f"· {line}", style="dim"))


def _cells(each: MetricFinding) -> list[str]:
    found = each.comparison
    bounds = "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    difference = "–" if found.difference is None else f"{found.difference:+.3f}{bounds}"
    return [each.metric, found.sample.of, difference, "–" if each.p_adjusted is None else f"{each.p_adjusted:.4f}"]
