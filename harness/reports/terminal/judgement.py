"""An LLM judge's comparison in a terminal: which run it prefers, and whether it is reliable enough to believe."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from harness.judge.record import Judgement
from harness.reports.formatting import bounds, with_interval
from harness.reports.terminal import console
from harness.types import Score
from harness.wording import counted, p_value, visible

PLACES = 3


def print_judgement(judgement: Judgement) -> None:
    """Print the outcomes, the judge's reliability, its agreement with the metrics, and every warning."""
    out = console()
    out.print(_outcomes(judgement))
    out.print(_trust(judgement))
    for warning in judgement.warnings:
        out.print(Text(f"! {visible(warning)}", style="bold yellow"))
    for line in _notes(judgement):
        out.print(Text(f"· {line}", style="dim"))


def _outcomes(judgement: Judgement) -> Table:
    counts, (first, second) = judgement.counts, map(visible, judgement.runs)
    table = _titled(f"{counted(len(judgement.examples), 'shared example')}, judged by a model")
    table.add_column("outcome")
    table.add_column("", justify="right")
    for label, n in (
        (f"won by {first}", counts.wins),
        (f"won by {second}", counts.losses),
        ("tied", counts.ties),
        ("  verdict changed with the order of the answers", counts.flips),
        ("  identical completions, not judged", counts.same),
        ("no verdict", counts.no_verdict),
    ):
        table.add_row(Text(label), str(n))
    table.add_row(Text(f"win rate of {first}"), with_interval(judgement.win_rate, PLACES), style="bold")
    if span := bounds(judgement.win_rate, PLACES):
        table.add_row("  with all pairs without a verdict lost, or won", span)
    table.add_row("p-value of no difference (win rate 0.5)", p_value(judgement.p, 4))
    return table


def _trust(judgement: Judgement) -> Table:
    table = _titled("reliability of the judge")
    table.add_column("measure")
    for column in ("share", "n"):
        table.add_column(column, justify="right")
    trust = judgement.trust
    _add(table, "flip rate (random answers: 0.5)", trust.flip_rate)
    _add(table, "prefers the answer shown first (no bias: 0.5)", trust.first_place)
    _add(table, "prefers the longer answer", trust.longer)
    for agreement in trust.agreement:
        tied = f", {agreement.ties} tied by the metric" if agreement.ties else ""
        _add(table, f"agrees with {visible(agreement.metric)}{tied}", agreement.share)
    return table


def _add(table: Table, label: str, score: Score) -> None:
    table.add_row(Text(label), with_interval(score, PLACES), str(score.n))


def _notes(judgement: Judgement) -> Iterator[str]:
    yield f"judge: {visible(judgement.judge.base)}"
    confidence = f"{judgement.confidence:.0%}"
    yield f"interval: {judgement.interval}; p-value: {judgement.test}; shares: Wilson; confidence {confidence}"
    yield "won: preferred in both orders; a verdict that changes with the order is a tie (arXiv:2306.05685)"
    yield f"signature: {judgement.signature}"
    if judgement.left_out:
        yield judgement.left_out


def _titled(title: str) -> Table:
    return Table(title=Text(title, style="bold", no_wrap=True, overflow="ignore"), title_justify="left")
