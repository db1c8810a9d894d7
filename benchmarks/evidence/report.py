"""What was found, for readers: `reports/evidence.md`, its pictures, and a short table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from benchmarks.evidence import alarms, coverage, peeking, power
from benchmarks.evidence.coverage import LEVEL
from benchmarks.evidence.found import SMALL, Found, last, pooled
from benchmarks.evidence.pictures import draw
from benchmarks.evidence.rates import Case, Rate
from harness.reports.formatting import table
from harness.stats.noninferiority import Outcome
from harness.store.stages import write_atomic

FOLDER = "evidence"
TOLERANCE = 0.01
"""Of a coverage: what is further from the level than this is named."""


def write(found: Found, out: Path) -> None:
    """Write the page and its pictures below `out`."""
    draw(found, out / FOLDER)
    write_atomic(out / f"{FOLDER}.md", "\n".join(page(found)) + "\n")


def promises(found: Found) -> list[tuple[str, str, str]]:
    """Return each promise, what was found, and by what samples."""
    edge = {wrong: pooled(found.of(f"{alarms.EDGE}: {wrong}")) for wrong in (Outcome.PASS, Outcome.FAIL)}
    family, single_gates = (_gates(found, families) for families in (True, False))
    low, high = found.coverage_range
    cells = [rate.share for case, rate in found.coverages.items() if case.n >= SMALL]
    looked = f"ROUGE-L, {len(found.of(peeking.GATE))} looks"
    single = f"single numbers of examples: {min(cells):.1%} to {max(cells):.1%}"
    return [
        ("a change is claimed in at most 5% where there is none", str(found.false_alarm), "all metrics and n"),
        ("a gate with margin 0 fails at most 2.5% of no change", str(single_gates), "all metrics and n"),
        ("a family of metrics and slices fails at most 2.5% of no change", str(family), "all n"),
        ("a gate passes at most 2.5% of losses of exactly its margin", str(edge[Outcome.PASS]), "all metrics and n"),
        ("a gate fails at most 2.5% of losses of exactly its margin", str(edge[Outcome.FAIL]), "all metrics and n"),
        (f"a loss of {power.LOSS} is caught in 90% at the planned n", str(found.power), f"n = {found.planned}"),
        ("intervals hold the truth in 95%", f"{low:.1%} to {high:.1%}", f"each metric, n from {SMALL}; {single}"),
        ("a sequential gate claims a change in at most 5% where there is none", str(found.sequential), looked),
    ]


def summary(found: Found) -> Table:
    """Return the promises as a table for a terminal."""
    shown = Table("promise", "found (95% interval of the simulation)", "over", title="Evidence")
    for row in promises(found):
        shown.add_row(*row)
    return shown


def page(found: Found) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from (INTRODUCTION.format(samples=found.samples, comparisons=found.comparisons), "")
    yield from table(("promise", "found (95% interval of the simulation)", "over"), promises(found))
    yield from (
        "",
        "## Intervals",
        "",
        INTERVALS.format(small=SMALL, error=1.96 * (0.95 * 0.05 / found.samples) ** 0.5),
        "",
        f"![coverage]({FOLDER}/coverage.svg)",
    )
    yield from ("", _outside(found))
    for what in (coverage.SCORE, coverage.DIFFERENCE, coverage.SIMILAR, coverage.CLUSTERED):
        yield from ("", f"Coverage of the interval of a {what}, nominal 95%:", "")
        yield from _grid(found.of(what))
    yield from ("", RARE.format(few=coverage.FEW), "", *_rare(found), "", SHARES.format(near=coverage.FEW), "")
    rows = {each.what: {e.n: f"{e.coverage:.1%}" for e in found.shares if e.what == each.what} for each in found.shares}
    yield from _columns("exact coverage", rows)
    yield from ("", "## False alarms", "", ALARMS)
    for what in (alarms.TEST, alarms.GATE, *(f"{alarms.EDGE}: {wrong}" for wrong in (Outcome.PASS, Outcome.FAIL))):
        yield from ("", f"{what[0].upper()}{what[1:]}:", "")
        yield from _grid(found.of(what))
    yield from ("", USUAL.format(margin=alarms.MARGIN), "")
    usual = {
        str(outcome): {case.n: f"{rate.share:.1%}" for case, rate in found.of(f"{alarms.USUAL}: {outcome}").items()}
        for outcome in Outcome
    }
    yield from _columns("outcome", usual)
    yield from ("", "## Power", "", POWER.format(loss=power.LOSS, planned=found.planned, pilot=power.PILOT), "")
    yield f"![power]({FOLDER}/power.svg)"
    yield from ("", *_power(found), "", "## Looking after every chunk", "", PEEKING.format(chunk=peeking.CHUNK), "")
    yield from (f"![looks]({FOLDER}/peeking.svg)", "")
    yield from table(
        ("claimed by the last look", "rate", "looks"),
        (
            (what, str(last(found.of(what))), str(len(found.of(what))))
            for what in (peeking.GATE, peeking.EDGE, peeking.SEQUENCE, peeking.FIXED)
        ),
    )
    yield from ("", LIMITS)


def _outside(found: Found) -> str:
    """Name the intervals that are not within a point of what they promise, over all n."""
    low, high = LEVEL - TOLERANCE, LEVEL + TOLERANCE
    missed = [
        f"{what} in {metric} ({rate})"
        for (what, metric), rate in found.promised.items()
        if not low <= rate.share <= high
    ]
    return f"Outside {low:.0%} to {high:.0%}: {'; '.join(missed) or 'none'}."


def _gates(found: Found, families: bool) -> Rate:
    gates = found.of(alarms.GATE).items()
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


def _rare(found: Found) -> Iterator[str]:
    given, held = found.of(coverage.RARE_GIVEN), found.of(coverage.RARE_HELD)
    rows = []
    for case, rate in given.items():
        holds = held.get(replace(case, what=coverage.RARE_HELD))
        rows.append((case.metric, f"{case.n:,}", f"{rate.share:.1%}", f"{holds.share:.1%}" if holds else "–"))
    return table(("metric", "n", "an interval is given", "which holds"), rows)


def _power(found: Found) -> Iterator[str]:
    rows: list[Sequence[str]] = [
        (f"{case.n:,}{' (planned)' if case.n == found.planned else ''}", str(rate))
        for case, rate in found.of(power.CAUGHT).items()
    ]
    rows += [(f"planned from pilots of {case.n}", str(rate)) for case, rate in found.of(power.FROM_PILOT).items()]
    return table(("examples", "caught"), rows)


INTRODUCTION = """# Evidence that the statistics are right

Made by `python -m benchmarks.evidence`, from fixed seeds. Samples are drawn with replacement from the per-example
scores of three real runs ([population.py](../benchmarks/evidence/population.py)), whose true scores are known because
they are all there is; the harness's own functions are run on each sample, {samples:,} times for each case of coverage
and {comparisons:,} times for each comparison. What is written as "5.0% (4.1% to 6.1%)" is a simulated rate and
Wilson's 95% interval of it: so well is the rate known."""

INTERVALS = """How often the nominal 95% interval holds the true score or difference; one that could not be given holds
nothing. The promise is about each metric with {small} examples or more; smaller samples are shown and not promised. A
single number is known to about {error:.1%} either way, so the smallest and the largest of so many stray further from
95% than any one does; the range in the table above therefore is of each metric's coverage over all its n."""

RARE = """Where fewer than {few} examples of a sample are expected to differ from the others, as with repetition that
hardly any answer has, the sample may hold none of them. A share has an interval even then, which holds too often; any
other metric has none, and the harness says so. Such cases are shown here and not promised."""

SHARES = """Shares of examples (Wilson's interval; Tango's for a difference) are computed and not simulated. For one
true share the coverage of any such interval jumps with n and with the share, because only n + 1 counts are possible,
so what is shown is its average over true shares (Brown, Cai and DasGupta, 2001, Statistical Science 16(2)): all of
them, those near 0% (up to {near} expected among n) and those near 100%. At exactly 0% or 100% every sample is all
wrong or all right, and an interval that holds what was observed holds the truth: the coverage is 100%, by nature and
not by merit, so it is left out of the range above."""

ALARMS = """No change is one model sampled with two seeds: for each example a coin says which of its two answers is
the candidate's. At the margin's edge, the margin is the true difference of two unlike models, so the candidate is
exactly as bad as is tolerated; to pass it or to fail it is an error, each at most 2.5%. A gate with margin 0 fails
when the interval of the difference is wholly below 0, which chance does in 2.5%; failures of a family are adjusted by
Holm."""

USUAL = """The same candidates, which did not change, before a gate on ROUGE-L with a margin of {margin}: what would
have been decided. Underpowered is said, never passed:"""

POWER = """The loss is made of real answers: so many examples are answered by a worse model that {loss} of ROUGE-L is
lost in expectation. The planner names {planned:,} examples for a power of 90% from the true deviation of the
differences; a user knows it only from a pilot, so the last row plans each time from {pilot} examples of its own."""

PEEKING = """After every {chunk} examples the bounds are looked at, and the first that exclude the truth count as a
claim, on either side. A sequential gate spends a fifth of its level on a confidence sequence, which holds at all looks
together, and the rest on its last look. An interval that is made for one look does not keep its level at many."""

LIMITS = """## What this does not show

One task, one family of models, three systems on 512 examples. Classification metrics, likelihoods and an LLM judge are
not among the scores. Intervals are about these models on other examples of the same kind: not about other training
seeds, which `python -m harness compare` adds where runs repeat them."""
