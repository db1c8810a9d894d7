"""A gate as plain JSON values, for scripts."""

from __future__ import annotations

from collections.abc import Mapping

from harness.gate.decision import Finding, Gated


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
