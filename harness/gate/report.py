"""What a reviewer reads: the outcome and its numbers first, then where it fell, then what fell most, side by side.

A gate as plain JSON values, for scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.gate.baseline import AcceptedExample
from harness.gate.decision import Finding, Gated, scores
from harness.gate.pairing import Paired
from harness.gate.rules import Check
from harness.protocols import Metric
from harness.reports.formatting import markdown, shorten, table, visible
from harness.stages.score import MAX_SLICES
from harness.stats.noninferiority import Outcome
from harness.types import Completion, FinishReason

SHOWN_EXAMPLES, SHOWN_SLICES, LIMIT = 5, 3, 160
"""Examples and slices that are shown, and characters of a completion."""
HEADLINES = {
    Outcome.PASS: "not worse than",
    Outcome.FAIL: "WORSE than",
    Outcome.UNDERPOWERED: "NOT ENOUGH DATA against",
}


@dataclass(frozen=True, slots=True)
class Fallen:
    """An example that the candidate answers worse, with both completions and their scores."""

    example: AcceptedExample
    completion: Completion
    baseline: float
    candidate: float


def one_line(gated: Gated) -> str:
    """Return the gate in one line: the finding that decides it, and how many others there are."""
    others = len(gated.findings) - 1
    more = f" (and {others} more {'check' if others == 1 else 'checks'})" if others else ""
    task = visible(gated.paired.baseline.result.task)
    stopped = f"; {gated.stopped}" if gated.stopped else ""
    return f"{gated.outcome.upper()} {task}: {_sentence(gated.main)}{more}{stopped}"


def text(gated: Gated) -> str:
    """Return the whole report as plain text."""
    return "\n".join(_text(gated))


def step_summary(gated: Gated, title: str) -> str:
    """Return the report in markdown, for GitHub's step summary."""
    return "\n".join(_markdown(gated, title)) + "\n"


def fallen(paired: Paired, metric: Metric) -> list[Fallen]:
    """Return the examples that the candidate answers worse by this metric, the worst first."""
    ours, theirs = (metric.per_example(rows) for rows in paired.stats(metric.name))
    worse = (theirs - ours) * (-1 if metric.higher_is_better is False else 1)
    order = paired.used[np.argsort(-worse[paired.used], kind="stable")]
    return [
        Fallen(paired.accepted[i], paired.answers.completions[i], float(theirs[i]), float(ours[i]))
        for i in order
        if worse[i] > 0
    ]


def worst_slices(paired: Paired, metric: Metric) -> list[tuple[str, int, float]]:
    """Return slice, examples and difference in each slice of several values, the most fallen first."""
    values = [key for key, _ in paired.parts]
    found = []
    for part, rows in paired.parts.items():
        ours, theirs = scores(paired, Check(metric, 0.0, part, rows))
        if 1 < values.count(part[0]) <= MAX_SLICES and ours is not None and theirs is not None:
            found.append(("=".join(part), len(rows), ours - theirs))
    return sorted(found, key=lambda each: each[2], reverse=metric.higher_is_better is False)


def _text(gated: Gated) -> Iterator[str]:
    yield _headline(gated)
    if gated.stopped:
        yield f"  {gated.stopped}"
    for found in gated.findings:
        yield f"  {found.outcome.upper():<12} {_sentence(found)}"
    metric = _shown(gated)
    if metric is None or gated.outcome is Outcome.PASS:
        return
    if slices := worst_slices(gated.paired, metric)[:SHOWN_SLICES]:
        listed = ", ".join(f"{visible(name)} {_signed(change)} (n {n})" for name, n, change in slices)
        yield f"  worst slices by {metric.name}: {listed}"
    if fell := fallen(gated.paired, metric)[:SHOWN_EXAMPLES]:
        yield f"  fell most by {metric.name}:"
        for each in fell:
            yield f"    {visible(shorten(each.example.prompt, LIMIT))}  {each.baseline:.3g} -> {each.candidate:.3g}"
            yield f"      baseline  | {_said(each.example)}"
            yield f"      candidate | {_said(each.completion)}"
    yield f"  {_advice(gated)}"


def _markdown(gated: Gated, title: str) -> Iterator[str]:
    marks = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.UNDERPOWERED: "⚠️"}
    yield f"### {marks[gated.outcome]} {markdown(title)}\n"
    yield f"{markdown(_headline(gated))}\n"
    rows = [
        (
            f"{marks[f.outcome]} {markdown(f.check.name)}",
            _score(f.baseline),
            _score(f.candidate),
            _change(f),
            f"{f.check.margin:g}",
            str(f.comparison.sample.n),
        )
        for f in gated.findings
    ]
    yield from table(("check", "baseline", "candidate", "difference", "margin", "n"), rows)
    metric = _shown(gated)
    fell = fallen(gated.paired, metric)[:SHOWN_EXAMPLES] if metric and gated.outcome is not Outcome.PASS else []
    if metric and fell:
        yield f"\nFell most by {markdown(metric.name)}:\n"
        sides = [
            (
                markdown(shorten(e.example.prompt, LIMIT)),
                f"{e.baseline:.3g}: {markdown(_said(e.example))}",
                f"{e.candidate:.3g}: {markdown(_said(e.completion))}",
            )
            for e in fell
        ]
        yield from table(("example", "baseline", "candidate"), sides)
    yield f"\n{markdown(_advice(gated))}\n" if gated.outcome is not Outcome.PASS else ""


def _headline(gated: Gated) -> str:
    baseline, answers = gated.paired.baseline.result, gated.paired.answers
    candidate = visible(answers.run_id or answers.name)
    return (
        f"{visible(baseline.task)}: {candidate} is {HEADLINES[gated.outcome]} the baseline {visible(baseline.run_id)}"
    )


def _sentence(found: Finding) -> str:
    """Return metric, both scores, difference, interval, margin and n, and what n would decide it."""
    check, n = found.check, found.comparison.sample.n
    margin = f"margin {check.margin:g}, " if check.metric else ""
    scored = f"{check.name} {_score(found.baseline)} -> {_score(found.candidate)}, {_change(found)}, {margin}n {n}"
    if found.comparison.method.startswith("none"):
        scored += f" ({found.comparison.method})"
    if found.outcome is not Outcome.UNDERPOWERED:
        return scored
    needed = found.decision.n_needed
    return (
        f"{scored}; {f'about {needed:,} examples would decide it' if needed else 'no n is known that would decide it'}"
    )


def _shown(gated: Gated) -> Metric | None:
    """Return the metric whose examples explain the outcome."""
    metrics = [found.check.metric for found in gated.findings if found.check.metric]
    return gated.main.check.metric or next(iter(metrics), None)


def _advice(gated: Gated) -> str:
    run = gated.paired.answers.run_id or "RUN"
    if gated.outcome is Outcome.UNDERPOWERED:
        return "More examples, a wider margin, or underpowered=warn decide it; see `baseline accept` for a larger set."
    return f"If this is meant: python -m harness baseline accept {run} (or pytest --harness-update-baseline)"


def _change(found: Finding) -> str:
    comparison = found.comparison
    if comparison.difference is None:
        return "unknown"
    if comparison.low is None or comparison.high is None:
        return _signed(comparison.difference)
    return f"{_signed(comparison.difference)} [{_signed(comparison.low)}, {_signed(comparison.high)}]"


def _signed(value: float) -> str:
    return f"{value:+.3f}" if abs(value) < 5 else f"{value:+.1f}"


def _score(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 5 else f"{value:.1f}"


def _said(completion: Completion | AcceptedExample) -> str:
    said = completion.text if isinstance(completion, Completion) else completion.completion
    if said is None:
        return f"(error: {visible(shorten(completion.error or 'no completion', LIMIT))})"
    cut = " (truncated)" if completion.finish_reason is FinishReason.LENGTH else ""
    return f"{visible(shorten(said, LIMIT)) or '(empty)'}{cut}"


def summary(gated: Gated) -> Mapping[str, object]:
    """Return the gate as plain JSON values."""
    return {
        "outcome": gated.outcome.value,
        "passed": gated.passed,
        "task": gated.paired.baseline.result.task,
        "baseline": gated.paired.baseline.result.run_id,
        "candidate": gated.paired.answers.run_id or gated.paired.answers.name,
        "n": len(gated.paired.accepted),
        "stopped": gated.stopped,
        "checks": [_numbers(each) for each in gated.findings],
    }


def _numbers(found: Finding) -> Mapping[str, object]:
    comparison = found.comparison
    return {
        "check": found.check.name,
        "outcome": found.outcome.value,
        "n": comparison.sample.n,
        "baseline": found.baseline,
        "candidate": found.candidate,
        "difference": comparison.difference,
        "low": comparison.low,
        "high": comparison.high,
        "margin": found.check.margin,
        "n_needed": found.decision.n_needed,
        "method": comparison.method,
    }
