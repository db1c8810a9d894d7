"""The result file of a hosted fine-tune as a learning curve: the numbers that the service measured, none made up."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
from collections.abc import Mapping, Sequence

from harness.errors import FineTuneError
from harness.types import CurvePoint

FULL, PART = "full_valid", "valid"
"""Columns of the whole validation file, and of the few examples of it that one step looks at."""


def curve(content: bytes, examples_per_step: float) -> tuple[CurvePoint, ...]:
    """Return the points of a result file, a CSV that some services wrap in base64.

    Where the whole validation file was measured, only those losses are taken: the ones of a few examples move with
    the examples. Learning rate and standard errors are not in the file. FineTuneError where it is no such CSV.
    """
    rows = list(csv.DictReader(io.StringIO(_text(content))))
    if not rows:
        return ()
    if "step" not in rows[0]:
        raise FineTuneError(f"the result file: expected a column step, got {', '.join(map(str, rows[0]))[:200]}")
    of = FULL if any(_number(row, f"{FULL}_loss") is not None for row in rows) else PART
    points = []
    for row in rows:
        step = _number(row, "step")
        if step is None:
            continue
        accuracy = _number(row, f"{of}_mean_token_accuracy")
        points.append(
            CurvePoint(
                step=int(step),
                examples=round(step * examples_per_step),
                learning_rate=None,
                train_loss=_number(row, "train_loss"),
                validation_loss=_number(row, f"{of}_loss"),
                token_accuracy=_number(row, f"{of}_accuracy") if accuracy is None else accuracy,
            )
        )
    return tuple(sorted(points, key=lambda point: point.step))


def best_step(points: Sequence[CurvePoint]) -> int:
    """Return the step whose weights the service hands out: the last one."""
    return points[-1].step if points else 0


def _text(content: bytes) -> str:
    try:
        return base64.b64decode(content, validate=True).decode()
    except (binascii.Error, ValueError):
        return content.decode("utf-8-sig", "replace")


def _number(row: Mapping[str, str | None], column: str) -> float | None:
    try:
        value = float(row.get(column) or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
