"""The learning curve of a hosted fine-tune, read from the service's result file; nothing is interpolated."""

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
"""Prefixes of the columns on the whole validation file, and on the few examples of it that one step evaluates."""


def curve(content: bytes, examples_per_step: float) -> tuple[CurvePoint, ...]:
    """Return the points of a result file, a CSV that some services encode in base64.

    Where there are losses on the whole validation file, only those are used: the losses on a few examples vary with
    the examples. Learning rate and standard errors are not in the file. FineTuneError where it is no such CSV.
    """
    rows = list(csv.DictReader(io.StringIO(_text(content))))
    if not rows:
        return ()
    if "step" not in rows[0]:
        raise FineTuneError(f"the result file: expected a column step, got {', '.join(map(str, rows[0]))[:200]}")
    prefix = FULL if any(_number(row, f"{FULL}_loss") is not None for row in rows) else PART
    points = []
    for row in rows:
        step = _number(row, "step")
        if step is None:
            continue
        accuracy = _number(row, f"{prefix}_mean_token_accuracy")
        points.append(
            CurvePoint(
                step=int(step),
                examples=round(step * examples_per_step),
                learning_rate=None,
                train_loss=_number(row, "train_loss"),
                validation_loss=_number(row, f"{prefix}_loss"),
                token_accuracy=_number(row, f"{prefix}_accuracy") if accuracy is None else accuracy,
            )
        )
    return tuple(sorted(points, key=lambda point: point.step))


def best_step(points: Sequence[CurvePoint]) -> int:
    """Return the step whose weights the service returns: the last one."""
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
