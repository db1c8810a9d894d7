"""The examples of a run as the lines of a baseline: short, the same for the same run, and without references."""

from __future__ import annotations

import json
import math

from harness.tasks.audit import fingerprint
from harness.store.runs import StoredRun


def example_lines(run: StoredRun) -> list[str]:
    """Return an `AcceptedExample` a line (see `harness.gate.baseline`), empty fields left out."""
    stats, predictions = run.stats().metrics, run.predictions()
    lines = []
    for i, (example, completion) in enumerate((p.example, p.completion) for p in predictions):
        row = {
            "id": example.id,
            "prompt": example.prompt,
            "slices": dict(example.slices),
            "digest": fingerprint([example]),
            "completion": completion.text,
            "finish_reason": completion.finish_reason.value,
            "error": completion.error,
            "stats": {name: [_compact(v) for v in values[i]] for name, values in stats.items()},
        }
        kept = {k: v for k, v in row.items() if v not in (None, {}) or k == "completion"}
        lines.append(json.dumps(kept, ensure_ascii=False))
    return lines


def _compact(value: float) -> float | int | None:
    """Return what JSON writes shortest and reads back as the same number; nan is null."""
    number = float(value)
    if math.isnan(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
