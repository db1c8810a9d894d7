"""The plot of learning curves: one column per base model, one row per quantity, one colour per setting.

A row shares its axes, so that columns can be compared. The training loss is a mean over the batches since the previous
evaluation and is drawn at their midpoint; everything else is drawn where it was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.factors import settings_of, varied
from harness.analysis.leaderboard import Leaderboard
from harness.reports.plots.style import GREY, cost_axis, figure, label, mark
from harness.store.runs import StoredRun
from harness.types import CurvePoint, FineTuneRecord
from harness.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COLUMNS = 5
"""With more base models than this, all curves share one column."""

Value = Callable[[CurvePoint], float | None]

LOSS = "loss,\nnats per token"
ROWS: tuple[tuple[str, Value], ...] = (
    (LOSS, lambda p: p.validation_loss),
    ("token accuracy", lambda p: p.token_accuracy),
    ("sequence accuracy", lambda p: p.sequence_accuracy),
    ("learning rate", lambda p: p.learning_rate),
)
"""The quantities measured at an evaluation; the first row also shows the training loss and the standard error."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve of a fine-tune, the title of its column, and the setting that its colour represents."""

    column: str
    setting: str
    record: FineTuneRecord


def describe(board: Leaderboard) -> str:
    """Return the caption of the plot."""
    return (
        f"Learning curves of {counted(len(_tuned(board)), 'fine-tune')}: validation loss ± one standard error, "
        "training loss (dashed), token accuracy, sequence accuracy and learning rate over training examples"
    )


def applies(board: Leaderboard) -> bool:
    """Return whether some run was fine-tuned and evaluated during training."""
    return bool(_tuned(board))


def draw(board: Leaderboard) -> Figure:
    """Draw a grid of axes: one row per quantity, one column per base model."""
    curves = arranged(_tuned(board))
    columns = list(dict.fromkeys(curve.column for curve in curves))
    names = list(dict.fromkeys(curve.setting for curve in curves))
    rows = [row for row in ROWS if any(_has(curve, row) for curve in curves)]
    legend_width = 1.2 + 0.062 * max(len(name) for name in names)
    canvas = figure(1.0 + (5.0 if len(columns) == 1 else 2.9) * len(columns) + legend_width, 0.7 + 1.75 * len(rows))
    grid = canvas.subplots(len(rows), len(columns), sharex=True, sharey="row", squeeze=False)
    for curve in curves:
        i, style = columns.index(curve.column), mark(names.index(curve.setting))
        for (_, value), axes in zip(rows, grid[:, i], strict=True):
            _line(axes, curve.record.curve, value, style)
        if rows[0][0] == LOSS:
            _training(grid[0, i], curve.record.curve, style[0])
            _error(grid[0, i], curve.record.curve, style[0])
    for i, column in enumerate(columns):
        grid[0, i].set_title(column, fontsize=10)
        grid[-1, i].set_xlabel("training examples")
    for (title, _), axes in zip(rows, grid[:, 0], strict=True):
        axes.set_ylabel(title)
        low, high = axes.get_ylim()
        axes.set_yticks([tick for tick in axes.get_yticks() if max(low, 0) <= tick <= high])  # none of them is negative
    for axes in grid.flat:
        axes.grid(alpha=0.3)
    cost_axis(grid[0, 0], sorted({p.examples for c in curves for p in c.record.curve}))
    _legend(canvas, names)
    return canvas


def arranged(runs: Sequence[StoredRun]) -> list[Curve]:
    """Return each run's curve with its column and setting; runs that these do not distinguish get their own names."""
    factors = varied(runs)
    models = factors.pop("model", [])
    curves = []
    for run in runs:
        own, record = settings_of(run), run.result.finetune
        if record is None:
            continue
        name = ", ".join(f"{key.rpartition('.')[2]} {own[key]}" for key in factors if key in own)
        curves.append(Curve(label(own["model"]), label(name) if factors else "fine-tune", record))
    distinct = len({(curve.column, curve.setting) for curve in curves}) == len(curves)
    if distinct and 1 <= len(models) <= MAX_COLUMNS:
        return sorted(curves, key=lambda curve: curve.setting)
    return [Curve("", label(run.result.name), curve.record) for run, curve in zip(runs, curves, strict=True)]


def _has(curve: Curve, row: tuple[str, Value]) -> bool:
    title, value = row
    points = curve.record.curve
    return any(value(p) is not None or (title == LOSS and p.train_loss is not None) for p in points)


def _line(axes: Axes, curve: Sequence[CurvePoint], value: Value, style: tuple[str, str]) -> None:
    points = [(p.examples, y) for p in curve if (y := value(p)) is not None]
    axes.plot(*_columns(points), color=style[0], marker=style[1], markersize=4, linewidth=1.4)


def _training(axes: Axes, curve: Sequence[CurvePoint], colour: str) -> None:
    starts = [0, *(p.examples for p in curve)]
    points = [
        ((start + p.examples) / 2, p.train_loss)
        for start, p in zip(starts, curve, strict=False)
        if p.train_loss is not None
    ]
    axes.plot(*_columns(points), color=colour, linestyle="--", marker=".", markersize=3, linewidth=1, alpha=0.45)


def _error(axes: Axes, curve: Sequence[CurvePoint], colour: str) -> None:
    for p in curve:
        if p.validation_loss is not None and p.validation_loss_se is not None:
            axes.errorbar(p.examples, p.validation_loss, p.validation_loss_se, color=colour, elinewidth=1, capsize=2)


def _legend(canvas: Figure, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=mark(i)[0], marker=mark(i)[1], ms=4, label=name) for i, name in enumerate(names)]
    handles.append(Line2D([], [], color=GREY, marker="|", label="validation loss, ±1 standard error"))
    handles.append(Line2D([], [], color=GREY, linestyle="--", marker=".", ms=3, alpha=0.6, label="training loss"))
    canvas.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _tuned(board: Leaderboard) -> list[StoredRun]:
    return [e.run for e in board.entries if (record := e.run.result.finetune) and record.curve]
