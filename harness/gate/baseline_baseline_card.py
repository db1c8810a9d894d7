"""The page that a reviewer reads beside a baseline: what was accepted, how good it is, how to gate and replace it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.reports.formatting import decimals, table, visible, with_interval
from harness.types import RunResult


def card(result: RunResult) -> str:
    """Return the markdown of a baseline's README.md."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: RunResult) -> Iterator[str]:
    usage, data, model = result.usage, result.dataset, result.model
    yield f"# Baseline of {_code(result.task)}\n"
    command = f"python -m harness baseline accept {result.run_id}"
    yield f"Written by {_code(command)}; accept another run to change it.\n"
    yield f"- model: {_code(result.name)}, {_code(model.backend)} {_code(model.base)}"
    parts = (("revision", model.revision), ("weights", model.weights), ("adapter", model.adapter))
    yield from (f"  - {name} {_code(value)}" for name, value in parts if value)
    yield f"- data: {usage.n} examples of {_code(data.name)}, {_code(data.source)} ({_code(data.licence)})"
    yield f"  - fingerprint {_code(data.fingerprint)}, seed {result.config.get('seed', 0)}"
    yield f"- completions: {usage.errors} failed, {usage.truncated} truncated"
    yield f"- made by: {_code(result.command)}\n"
    rows = [
        (
            f"{_code(metric.name)}{'' if metric.name != result.primary_metric else ' (primary)'}",
            with_interval(metric.score, decimals([metric])),
            _code(metric.signature),
        )
        for metric in result.metrics
    ]
    confidence = float(result.config["stats"]["confidence"])
    yield from table(("metric", f"score, {confidence:.0%} interval", "signature"), rows)
    yield "\nGate a run against it: `python -m harness gate RUN`, or `@pytest.mark.regression` (see the README)."
    yield "Reference texts are no part of this folder."


def _code(text: str) -> str:
    """Return text as code, which is as readable in git's diff as on the page; a table takes `|` only escaped."""
    shown = visible(text).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else "–"
