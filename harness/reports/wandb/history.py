"""Learning curves as W&B history, so that the charts of all runs lie over each other in the workspace."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from harness.analysis.leaderboard import Leaderboard
from harness.types import CurvePoint, FineTuneRecord

PREFIX = "finetune/"
AXIS = f"{PREFIX}examples"
"""Runs with other numbers of steps or another batch size share this axis; `finetune/step` is there to switch to."""
BEST = {"train_loss": "min", "validation_loss": "min", "token_accuracy": "max", "sequence_accuracy": "max"}
"""What of a curve stands in the summary; of the others, the last value."""
CHARTS = {
    "validation_loss": "validation loss, nats a token",
    "train_loss": "training loss, nats a token",
    "token_accuracy": "token accuracy",
    "sequence_accuracy": "sequence accuracy",
    "learning_rate": "learning rate",
}


def log_curve(session: Any, record: FineTuneRecord) -> None:
    """Log every evaluation of a fine-tune as a row of history over the examples trained on."""
    session.define_metric(AXIS, hidden=True)
    for field in dataclasses.fields(CurvePoint):
        if field.name != "examples":
            session.define_metric(PREFIX + field.name, step_metric=AXIS, summary=BEST.get(field.name, "last"))
    for point in record.curve:
        row = {field.name: getattr(point, field.name) for field in dataclasses.fields(point)}
        session.log({PREFIX + key: value for key, value in row.items() if value is not None})


def charts(board: Leaderboard) -> dict[str, Any]:
    """Return a W&B line chart for each curve that a run has, with all runs in it."""
    import wandb

    tuned = [(e.run.result.name, record.curve) for e in board.entries if (record := e.run.result.finetune)]
    found = {}
    for key, title in CHARTS.items():
        lines = [(name, points) for name, curve in tuned if (points := _points(curve, key))]
        if lines:
            found[f"curves/{key}"] = wandb.plot.line_series(
                xs=[[x for x, _ in points] for _, points in lines],
                ys=[[y for _, y in points] for _, points in lines],
                keys=[name for name, _ in lines],
                title=title,
                xname="examples trained on",
            )
    return found


def _points(curve: Sequence[CurvePoint], key: str) -> list[tuple[int, float]]:
    return [(point.examples, value) for point in curve if (value := getattr(point, key)) is not None]
