"""An LLM judge's comparison in a terminal: what it prefers, and first of all whether it can be believed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from harness.judge.record import Judgement
from harness.reports.formatting import bounds, visible, with_interval
from harness.reports.terminal.console import console
from harness.types import Score

PLACES = 3


def print_judgement(found: Judgement) -> None:
    """Print the outcomes, the judge's own reliability, its agreement with the metrics, and every warning."""
    out = console()
    out.print(_outcomes(found))
    out.print(_trust(found))
    for warning in found.warnings:
        out.print(Text(f"! {visible(warning)}", style="bold yellow"))
    for line in _notes(found):
        out.print(Text(f"· {line}", style="dim"))


def _outcomes(found: Judgement) -> Table:
    counts, (first, second) = found.counts, map(visible, found.runs)
    table = _titled(f"{len(found.examples)} shared examples, as a model judges them")
    table.add_column("outcome")
    table.add_column("", justify="right")
    for label, n in (
        (f"won by {first}", counts.wins),
        (f"won by {second}", counts.losses),
        ("tied", counts.ties),
        ("  of these, the verdict flipped with the order", counts.flips),
        ("  of these, both are the same text: not asked", counts.same),
        ("no verdict", counts.no_verdict),
    ):
        table.add_row(Text(label), str(n))
    table.add_row(Text(f"win rate of {first}"), with_interval(found.win_rate, PLACES), style="bold")
    if span := bounds(found.win_rate, PLACES):
        table.add_row("  with all that have no verdict lost, and won", span)
    table.add_row("p (0.5 is no difference)", "–" if found.p is None else f"{found.p:.4f}")
    return table


def _trust(found: Judgement) -> Table:
    table = _titled("can the judge be believed?")
    table.add_column("measure")
    for column in ("share", "n"):
        table.add_column(column, justify="right")
    trust = found.trust
    _add(table, "flip rate (a coin: 0.5)", trust.flip_rate)
    _add(table, "first place named (no bias: 0.5)", trust.first_place)
    _add(table, "longer text won", trust.longer)
    for agreement in trust.agreement:
        tied = f", which ties {agreement.ties}" if agreement.ties else ""
        _add(table, f"agrees with {visible(agreement.metric)}{tied}", agreement.share)
    return table


def _add(table: Table, label: str, score: Score) -> None:
    table.add_row(Text(label), with_interval(score, PLACES), str(score.n))


def _notes(found: Judgement) -> Iterator[str]:
    yield f"judge: {visible(found.judge.base)}"
    yield f"interval: {found.interval}; p: {found.test}; shares: wilson; confidence {found.confidence:.0%}"
    yield "won: named in both orders; a verdict that changed with the order is a tie (arXiv:2306.05685)"
    yield f"signature: {found.signature}"
    if found.left_out:
        yield found.left_out


def _titled(title: str) -> Table:
    return Table(title=Text(title, style="bold", no_wrap=True, overflow="ignore"), title_justify="left")
