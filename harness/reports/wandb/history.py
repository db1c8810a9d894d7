"""Learning curves as W&B history, so that a workspace shows the charts of all runs on the same axes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from harness.analysis.leaderboard import Leaderboard
from harness.types import CurvePoint, FineTuneRecord

PREFIX = "finetune/"
AXIS = f"{PREFIX}examples"
"""The x-axis, which runs of different batch sizes share; `finetune/step` is logged too."""
BEST = {"train_loss": "min", "validation_loss": "min", "token_accuracy": "max", "sequence_accuracy": "max"}
"""The value of a curve that the summary holds; for the others, the last one."""
CHARTS = {
    "validation_loss": "validation loss, nats per token",
    "train_loss": "training loss, nats per token",
    "token_accuracy": "token accuracy",
    "sequence_accuracy": "sequence accuracy",
    "learning_rate": "learning rate",
}


def log_curve(session: Any, record: FineTuneRecord) -> None:
    """Log every evaluation of a fine-tune as one row of history over the number of training examples."""
    session.define_metric(AXIS, hidden=True)
    for field in dataclasses.fields(CurvePoint):
        if field.name != "examples":
            session.define_metric(PREFIX + field.name, step_metric=AXIS, summary=BEST.get(field.name, "last"))
    for point in record.curve:
        row = {field.name: getattr(point, field.name) for field in dataclasses.fields(point)}
        session.log({PREFIX + key: value for key, value in row.items() if value is not None})


def charts(board: Leaderboard) -> dict[str, Any]:
    """Return a W&B line chart of all runs for each quantity that some run recorded."""
    import wandb

    tuned = [(e.run.result.name, record.curve) for e in board.entries if (record := e.run.result.finetune)]
    series = {}
    for key, title in CHARTS.items():
        lines = [(name, points) for name, curve in tuned if (points := _points(curve, key))]
        if lines:
            series[f"curves/{key}"] = wandb.plot.line_series(
                xs=[[x for x, _ in points] for _, points in lines],
                ys=[[y for _, y in points] for _, points in lines],
                keys=[name for name, _ in lines],
                title=title,
                xname="training examples",
            )
    return series


def _points(curve: Sequence[CurvePoint], key: str) -> list[tuple[int, float]]:
    return [(point.examples, value) for point in curve if (value := getattr(point, key)) is not None]
