"""The result of a gate as text, markdown and JSON: first the outcome with its numbers, then the examples behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.gate.baseline import BaselineExample
from harness.gate.decision import CheckResult, GateResult, cannot_fail, scores
from harness.gate.pairing import Paired
from harness.gate.rules import Check
from harness.protocols import Metric
from harness.reports.formatting import decimals_of, markdown, number, shorten, table
from harness.stages.score import MAX_SLICES
from harness.stats.comparison import direction
from harness.stats.noninferiority import GateOutcome
from harness.types import Completion, FinishReason
from harness.wording import counted, difference, visible

MAX_EXAMPLES, MAX_SHOWN_SLICES = 5, 3
"""Examples and slices that are shown."""
MAX_CHARACTERS = 160
"""Characters of a completion or prompt that are shown."""
HEADLINES = {
    GateOutcome.PASS: "not worse than",
    GateOutcome.FAIL: "WORSE than",
    GateOutcome.UNDERPOWERED: "NOT ENOUGH DATA against",
}
MARKS = {GateOutcome.PASS: "✅", GateOutcome.FAIL: "❌", GateOutcome.UNDERPOWERED: "⚠️"}


@dataclass(frozen=True, slots=True)
class WorseExample:
    """An example on which the candidate scores worse, with both completions and their scores."""

    example: BaselineExample
    completion: Completion
    baseline: float
    candidate: float


def one_line(result: GateResult) -> str:
    """Return the result in one line: the check that decides it, and how many others there are."""
    others = len(result.checks) - 1
    more = f" (and {counted(others, 'more check')})" if others else ""
    task = visible(result.paired.baseline.result.task)
    stopped = f"; {result.stopped}" if result.stopped else ""
    return f"{result.outcome.upper()} {task}: {_sentence(result.main)}{more}{stopped}"


def text(result: GateResult) -> str:
    """Return the whole report as plain text."""
    return "\n".join(_text(result))


def step_summary(result: GateResult, title: str) -> str:
    """Return the report in markdown, for the step summary of GitHub Actions."""
    return "\n".join(_markdown(result, title)) + "\n"


def as_json(result: GateResult) -> Mapping[str, object]:
    """Return the result as plain JSON values, for scripts."""
    return {
        "outcome": result.outcome.value,
        "passed": result.passed,
        "task": result.paired.baseline.result.task,
        "baseline": result.paired.baseline.result.run_id,
        "candidate": result.paired.candidate.label,
        "n": len(result.paired.accepted),
        "stopped": result.stopped,
        "checks": [_check_json(check) for check in result.checks],
    }


def worse_examples(paired: Paired, metric: Metric) -> list[WorseExample]:
    """Return the examples on which the candidate scores worse by this metric, the worst first."""
    candidate, baseline = paired.per_example(metric)
    loss = (baseline - candidate) * direction(metric.higher_is_better)
    order = paired.used[np.argsort(-loss[paired.used], kind="stable")]
    return [
        WorseExample(paired.accepted[i], paired.candidate.completions[i], float(baseline[i]), float(candidate[i]))
        for i in order
        if loss[i] > 0
    ]


def worst_slices(paired: Paired, metric: Metric) -> list[tuple[str, int, float]]:
    """Return slice, examples and difference for each slice key with several values, the largest loss first."""
    keys = [key for key, _ in paired.parts]
    rows_of = {part: rows for part, rows in paired.parts.items() if 1 < keys.count(part[0]) <= MAX_SLICES}
    slices = []
    for part, rows in rows_of.items():
        candidate, baseline = scores(paired, Check(metric, 0.0, part, rows))
        if candidate is not None and baseline is not None:
            slices.append(("=".join(part), len(rows), candidate - baseline))
    return sorted(slices, key=lambda row: row[2], reverse=metric.higher_is_better is False)


def _text(result: GateResult) -> Iterator[str]:
    yield _headline(result)
    if result.stopped:
        yield f"  {result.stopped}"
    for check in result.checks:
        yield f"  {check.outcome.upper():<12} {_sentence(check)}"
    metric = _explaining_metric(result)
    if metric is None or result.outcome is GateOutcome.PASS:
        return
    if slices := worst_slices(result.paired, metric)[:MAX_SHOWN_SLICES]:
        listed = ", ".join(f"{visible(name)} {_signed(change)} (n {n})" for name, n, change in slices)
        yield f"  worst slices by {metric.name}: {listed}"
    if worse := worse_examples(result.paired, metric)[:MAX_EXAMPLES]:
        yield f"  largest losses by {metric.name}:"
        for row in worse:
            prompt = visible(shorten(row.example.prompt, MAX_CHARACTERS))
            yield f"    {prompt}  {row.baseline:.3g} -> {row.candidate:.3g}"
            yield f"      baseline  | {_completion_text(row.example)}"
            yield f"      candidate | {_completion_text(row.completion)}"
    yield f"  {_advice(result)}"


def _markdown(result: GateResult, title: str) -> Iterator[str]:
    yield f"### {MARKS[result.outcome]} {markdown(title)}\n"
    yield f"{markdown(_headline(result))}\n"
    rows = [
        (
            f"{MARKS[check.outcome]} {markdown(check.check.name)}",
            _score(check.baseline),
            _score(check.candidate),
            _change(check),
            f"{check.check.margin:g}",
            str(check.comparison.sample.n),
        )
        for check in result.checks
    ]
    yield from table(("check", "baseline", "candidate", "difference", "margin", "n"), rows)
    if result.outcome is GateOutcome.PASS:
        yield ""
        return
    if metric := _explaining_metric(result):
        yield from _worse_table(result.paired, metric)
    yield f"\n{markdown(_advice(result))}\n"


def _worse_table(paired: Paired, metric: Metric) -> Iterator[str]:
    rows = [
        (
            markdown(shorten(row.example.prompt, MAX_CHARACTERS)),
            f"{row.baseline:.3g}: {markdown(_completion_text(row.example))}",
            f"{row.candidate:.3g}: {markdown(_completion_text(row.completion))}",
        )
        for row in worse_examples(paired, metric)[:MAX_EXAMPLES]
    ]
    if rows:
        yield f"\nLargest losses by {markdown(metric.name)}:\n"
        yield from table(("example", "baseline", "candidate"), rows)


def _headline(result: GateResult) -> str:
    baseline, candidate = result.paired.baseline.result, visible(result.paired.candidate.label)
    headline = HEADLINES[result.outcome]
    return f"{visible(baseline.task)}: {candidate} is {headline} the baseline {visible(baseline.run_id)}"


def _sentence(result: CheckResult) -> str:
    """Return metric, both scores, difference, interval, margin and n, and which n would decide it."""
    check, sample = result.check, result.comparison.sample
    margin = f"margin {check.margin:g}, " if check.metric else ""
    change = f"{_score(result.baseline)} -> {_score(result.candidate)}, {_change(result)}"
    sentence = f"{check.name} {change}, {margin}n {sample.size}"
    if result.comparison.method.startswith("none"):
        sentence += f" ({result.comparison.method})"
    if result.note:
        sentence += f"; {result.note}"
    if result.outcome is not GateOutcome.UNDERPOWERED or cannot_fail(check, result.baseline):
        return sentence
    needed = result.decision.n_needed
    if needed is None:
        return f"{sentence}; the number of examples that would decide it is unknown"
    n, units = sample.in_units(needed)
    return f"{sentence}; about {n:,} {units} would decide it"


def _explaining_metric(result: GateResult) -> Metric | None:
    """Return the metric whose examples explain the outcome."""
    metrics = [check.check.metric for check in result.checks if check.check.metric]
    return result.main.check.metric or next(iter(metrics), None)


def _advice(result: GateResult) -> str:
    run = result.paired.candidate.run_id or "RUN"
    if result.outcome is GateOutcome.UNDERPOWERED and cannot_fail(result.main.check, result.main.baseline):
        return (
            "No number of examples decides it: a baseline at the bottom of the scale cannot get worse. Gate a metric "
            "that it does not score worst on, accept a better baseline, or let it pass with underpowered=warn."
        )
    if result.outcome is GateOutcome.UNDERPOWERED:
        return (
            "To decide it, gate on more examples (accept a baseline on a larger set), allow a wider margin, or let it "
            "pass with underpowered=warn."
        )
    return f"If the change is intended: python -m harness baseline accept {run} (or pytest --harness-update-baseline)"


def _change(result: CheckResult) -> str:
    comparison = result.comparison
    if comparison.difference is None:
        return "unknown"
    return difference(comparison.difference, comparison.low, comparison.high, decimals_of(comparison.difference))


def _signed(value: float) -> str:
    return f"{value:+.{decimals_of(value)}f}"


def _score(value: float | None) -> str:
    return number(value, decimals_of(value))


def _completion_text(completion: Completion | BaselineExample) -> str:
    content = completion.text if isinstance(completion, Completion) else completion.completion
    if content is None:
        return f"(error: {visible(shorten(completion.error or 'no completion', MAX_CHARACTERS))})"
    truncated = " (truncated)" if completion.finish_reason is FinishReason.LENGTH else ""
    return f"{visible(shorten(content, MAX_CHARACTERS)) or '(empty)'}{truncated}"


def _check_json(result: CheckResult) -> Mapping[str, object]:
    comparison = result.comparison
    return {
        "check": result.check.name,
        "outcome": result.outcome.value,
        "n": comparison.sample.n,
        "baseline": result.baseline,
        "candidate": result.candidate,
        "difference": comparison.difference,
        "low": comparison.low,
        "high": comparison.high,
        "margin": result.check.margin,
        "n_needed": result.decision.n_needed,
        "texts_changed": result.texts_changed,
        "note": result.note,
        "method": comparison.method,
    }
