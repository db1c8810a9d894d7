"""The report of the simulations: `reports/evidence.md`, its pictures, and a short table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from benchmarks.evidence import alarms, coverage, peeking, power
from benchmarks.evidence.coverage import LEVEL
from benchmarks.evidence.pictures import draw
from benchmarks.evidence.rates import Case, Rate
from benchmarks.evidence.results import PROMISED_FROM, Evidence, last, pooled
from harness.reports.formatting import table
from harness.stats.noninferiority import GateOutcome
from harness.store.files import write_atomic
from harness.wording import UNKNOWN

FOLDER = "evidence"
TOLERANCE = 0.01
"""Intervals whose coverage is further from the level than this are listed."""


def write(evidence: Evidence, out: Path) -> None:
    """Write the page and its pictures below `out`."""
    draw(evidence, out / FOLDER)
    write_atomic(out / f"{FOLDER}.md", "\n".join(page(evidence)) + "\n")


def guarantees(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return each guarantee, the observed rate, and the cases that it is over."""
    edge = {wrong: pooled(evidence.of(f"{alarms.EDGE}: {wrong}")) for wrong in (GateOutcome.PASS, GateOutcome.FAIL)}
    family, single_gates = (_gates(evidence, families) for families in (True, False))
    low, high = evidence.coverage_range
    cells = [rate.share for case, rate in evidence.coverages.items() if case.n >= PROMISED_FROM]
    looks = f"ROUGE-L, {len(evidence.of(peeking.GATE))} looks"
    single = f"single numbers of examples: {min(cells):.1%} to {max(cells):.1%}"
    return [
        ("a test claims a change in at most 5% of cases without one", str(evidence.false_alarm), "all metrics and n"),
        ("a gate with margin 0 fails at most 2.5% of unchanged candidates", str(single_gates), "all metrics and n"),
        ("a family of metrics and slices fails at most 2.5% of unchanged candidates", str(family), "all n"),
        (
            "a gate passes at most 2.5% of losses of exactly its margin",
            str(edge[GateOutcome.PASS]),
            "all metrics and n",
        ),
        ("a gate fails at most 2.5% of losses of exactly its margin", str(edge[GateOutcome.FAIL]), "all metrics and n"),
        (
            f"a loss of {power.LOSS} is detected in 90% of cases at the planned n",
            str(evidence.power),
            f"n = {evidence.planned}",
        ),
        (
            "95% intervals contain the truth in 95% of cases",
            f"{low:.1%} to {high:.1%}",
            f"each metric, n from {PROMISED_FROM}; {single}",
        ),
        ("a sequential gate claims a change in at most 5% of cases without one", str(evidence.sequential), looks),
    ]


def summary(evidence: Evidence) -> Table:
    """Return the guarantees as a table for a terminal."""
    shown = Table("guarantee", "observed (95% interval of the simulation)", "over", title="Evidence")
    for row in guarantees(evidence):
        shown.add_row(*row)
    return shown


def page(evidence: Evidence) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from (INTRODUCTION.format(samples=evidence.samples, comparisons=evidence.comparisons), "")
    yield from table(("guarantee", "observed (95% interval of the simulation)", "over"), guarantees(evidence))
    yield from _intervals(evidence)
    yield from _false_alarms(evidence)
    yield from ("", "## Power", "", POWER.format(loss=power.LOSS, planned=evidence.planned, pilot=power.PILOT), "")
    yield from (f"![power]({FOLDER}/power.svg)", "", *_power(evidence))
    yield from ("", "## Looking after every chunk", "", PEEKING.format(chunk=peeking.CHUNK), "")
    yield from (f"![looks]({FOLDER}/peeking.svg)", "")
    yield from table(
        ("claimed by the last look", "rate", "looks"),
        (
            (what, str(last(evidence.of(what))), str(len(evidence.of(what))))
            for what in (peeking.GATE, peeking.EDGE, peeking.SEQUENCE, peeking.FIXED)
        ),
    )
    yield from ("", LIMITS)


def _intervals(evidence: Evidence) -> Iterator[str]:
    yield from (
        "",
        "## Intervals",
        "",
        INTERVALS.format(small=PROMISED_FROM, error=1.96 * (0.95 * 0.05 / evidence.samples) ** 0.5),
        "",
        f"![coverage]({FOLDER}/coverage.svg)",
    )
    yield from ("", _outside(evidence))
    for what in (coverage.SCORE, coverage.DIFFERENCE, coverage.SIMILAR, coverage.CLUSTERED):
        yield from ("", f"Coverage of the interval of a {what}, nominal 95%:", "")
        yield from _grid(evidence.of(what))
    yield from ("", RARE.format(few=coverage.FEW), "", *_rare(evidence), "", SHARES.format(near=coverage.FEW), "")
    rows = {
        share.what: {s.n: f"{s.coverage:.1%}" for s in evidence.shares if s.what == share.what}
        for share in evidence.shares
    }
    yield from _columns("exact coverage", rows)


def _false_alarms(evidence: Evidence) -> Iterator[str]:
    yield from ("", "## False alarms", "", ALARMS)
    for what in (
        alarms.TEST,
        alarms.GATE,
        *(f"{alarms.EDGE}: {wrong}" for wrong in (GateOutcome.PASS, GateOutcome.FAIL)),
    ):
        yield from ("", f"{what[0].upper()}{what[1:]}:", "")
        yield from _grid(evidence.of(what))
    yield from ("", USUAL.format(margin=alarms.MARGIN), "")
    usual = {
        str(outcome): {case.n: f"{rate.share:.1%}" for case, rate in evidence.of(f"{alarms.USUAL}: {outcome}").items()}
        for outcome in GateOutcome
    }
    yield from _columns("outcome", usual)


def _outside(evidence: Evidence) -> str:
    """List the intervals whose coverage over all n is not within a percentage point of the level."""
    low, high = LEVEL - TOLERANCE, LEVEL + TOLERANCE
    missed = [
        f"{what} in {metric} ({rate})"
        for (what, metric), rate in evidence.promised.items()
        if not low <= rate.share <= high
    ]
    return f"Outside {low:.0%} to {high:.0%}: {'; '.join(missed) or 'none'}."


def _gates(evidence: Evidence, families: bool) -> Rate:
    gates = evidence.of(alarms.GATE).items()
    return pooled({case: rate for case, rate in gates if case.metric.startswith("any") is families})


def _grid(rates: Mapping[Case, Rate]) -> Iterator[str]:
    rows: dict[str, dict[int, str]] = {}
    for case, rate in rates.items():
        rows.setdefault(case.metric, {})[case.n] = f"{rate.share:.1%}"
    return _columns("metric", rows)


def _columns(first: str, rows: Mapping[str, Mapping[int, str]]) -> Iterator[str]:
    sizes = sorted({n for cells in rows.values() for n in cells})
    filled = ([name, *(cells.get(n, "") for n in sizes)] for name, cells in rows.items())
    return table((first, *(f"n = {n}" for n in sizes)), filled)


def _rare(evidence: Evidence) -> Iterator[str]:
    exist, covered = evidence.of(coverage.RARE_EXISTS), evidence.of(coverage.RARE_COVERED)
    rows = []
    for case, rate in exist.items():
        coverage_rate = covered.get(replace(case, what=coverage.RARE_COVERED))
        shown = f"{coverage_rate.share:.1%}" if coverage_rate else UNKNOWN
        rows.append((case.metric, f"{case.n:,}", f"{rate.share:.1%}", shown))
    return table(("metric", "n", "an interval exists", "and contains the truth"), rows)


def _power(evidence: Evidence) -> Iterator[str]:
    rows: list[Sequence[str]] = [
        (f"{case.n:,}{' (planned)' if case.n == evidence.planned else ''}", str(rate))
        for case, rate in evidence.of(power.CAUGHT).items()
    ]
    rows += [(f"planned from pilots of {case.n}", str(rate)) for case, rate in evidence.of(power.FROM_PILOT).items()]
    return table(("examples", "detected"), rows)


INTRODUCTION = """# Evidence that the statistics are right

Made by `python -m benchmarks.evidence`, from fixed seeds. Samples are drawn with replacement from the per-example
scores of three real runs ([population.py](../benchmarks/evidence/population.py)). These scores are the whole
population, so its true scores are known. The harness's own functions are run on each sample, {samples:,} times for each
case of coverage and {comparisons:,} times for each comparison. "5.0% (4.1% to 6.1%)" is a simulated rate with Wilson's
95% interval of the true rate."""

INTERVALS = """How often the nominal 95% interval contains the true score or difference; a missing interval counts as
one that does not. The guarantee is for each metric with {small} examples or more; smaller samples are shown but not
guaranteed. A single rate has a margin of error of about {error:.1%}, so the smallest and the largest of so many deviate
further from 95% than any one of them; the range in the table above is therefore of each metric's coverage over all its
n."""

RARE = """If fewer than {few} examples of a sample are expected to differ from the others, as with repetition, which
hardly any answer has, the sample may have none of them. A share has an interval even then, whose coverage is too high;
any other metric has none, and the harness says so. Such cases are shown here but not guaranteed."""

SHARES = """The coverage for shares of examples (Wilson's interval; Tango's for a difference) is computed, not
simulated. For one true share the coverage of any such interval jumps with n and with the share, because only n + 1
counts are possible, so its average over true shares is shown (Brown, Cai and DasGupta, 2001, Statistical Science
16(2)): over all of them, over those near 0% (up to {near} expected among n) and over those near 100%. At exactly 0% or
100% all examples of a sample are equal and every interval that contains the observed share contains the true one, so
the coverage of 100% is trivial and not part of the range above."""

ALARMS = """No change is one model sampled with two seeds: for each example a coin chooses which of its two answers is
the candidate's. At the margin's edge, the margin is the true difference of two unlike models, so the candidate is
exactly as bad as is tolerable; both to pass it and to fail it is an error, each in at most 2.5% of cases. A gate with
margin 0 fails if the interval of the difference is entirely below 0, which happens by chance in 2.5% of cases; failures
of a family are adjusted by Holm's method."""

USUAL = """The outcomes of the same unchanged candidates in a gate on ROUGE-L with a margin of {margin}. Too little data
gives the outcome underpowered, never a pass:"""

POWER = """The loss is made of real answers: some examples are answered by a worse model, so many that the expected loss
is {loss} of ROUGE-L. The power calculation gives {planned:,} examples for a power of 90%, from the true standard
deviation of the differences; a user only has an estimate from a pilot, so in the last row the n is planned each time
from {pilot} other examples."""

PEEKING = """The bounds are inspected after every {chunk} examples, and the first ones that exclude the truth, on
either side, count as a claim. A sequential gate spends a fifth of its level on a confidence sequence, which holds at
all looks simultaneously, and the rest on its last look. An interval for a single look does not keep its level at many
looks."""

LIMITS = """## What this does not show

One task, one family of models, and three systems on 512 examples. Classification metrics, likelihoods and an LLM judge
are not among the scores. Intervals are about these models on other examples of the same kind: not about other training
seeds, which `python -m harness compare` includes where runs repeat them."""
