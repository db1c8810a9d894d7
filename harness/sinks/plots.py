"""Pictures for the report: scores with their intervals, and the learning curves of the fine-tunes.

Colours are Okabe and Ito's (2008), which colour-blind readers tell apart; the ground is white in light and dark mode.
Each picture is written as SVG, for the page, and as PNG, for everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.leaderboard import Leaderboard
from harness.sinks.text import shorten, visible
from harness.types import CurvePoint, FineTuneRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def draw(board: Leaderboard, folder: Path) -> list[tuple[str, Path]]:
    """Draw what these runs have to show; return each picture's description and its SVG file."""
    wanted: list[tuple[str, str, Callable[[Leaderboard], Figure]]] = []
    if len(board.entries) > 1:
        wanted.append(("scores", f"{board.primary} of each run with its {board.confidence:.0%} interval", _scores))
    if any(record.curve for _, record in _tuned(board)):
        wanted.append(("curves", "Validation loss and accuracy over the examples trained on", _curves))
    found = []
    for name, description, make in wanted:
        figure = make(board)
        folder.mkdir(parents=True, exist_ok=True)
        for ending in ("svg", "png"):
            metadata = {"Date": None} if ending == "svg" else None
            figure.savefig(folder / f"{name}.{ending}", dpi=150, bbox_inches="tight", metadata=metadata)
        found.append((description, folder / f"{name}.svg"))
    return found


def _scores(board: Leaderboard) -> Figure:
    entries = [e for e in board.entries if (m := e.run.result.metric(board.primary)) and m.score.value is not None]
    figure = _figure(8, 1.2 + 0.32 * len(entries))
    axes = figure.subplots()
    for row, entry in enumerate(entries):
        metric = entry.run.result.metric(board.primary)
        if metric is None or metric.score.value is None:
            continue
        score = metric.score
        value = metric.score.value
        tuned = entry.run.result.finetune is not None
        colour, marker = (COLOURS[0], "o") if tuned else (COLOURS[1], "s")
        if score.low is not None and score.high is not None:
            axes.plot([score.low, score.high], [row, row], color=colour, linewidth=2)
        axes.plot([value], [row], marker, color=colour, markersize=6)
    labels = [f"{_label(e.run.result.name)}  {e.group}" for e in entries]
    axes.set_yticks(range(len(entries)), labels)
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlabel(f"{board.primary}, {board.confidence:.0%} interval, {board.n} examples")
    if _tuned(board) and len(_tuned(board)) < len(entries):
        axes.plot([], [], "o", color=COLOURS[0], label="fine-tuned")
        axes.plot([], [], "s", color=COLOURS[1], label="untouched")
        axes.legend(frameon=False, loc="best")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _curves(board: Leaderboard) -> Figure:
    figure = _figure(9, 4.2)
    loss, accuracy = figure.subplots(1, 2)
    for i, (name, record) in enumerate(_tuned(board)):
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[(i // len(COLOURS)) % len(MARKERS)]}
        points = [point for point in record.curve if point.validation_loss is not None]
        examples = [point.examples for point in points]
        loss.errorbar(
            examples,
            _values(points, lambda p: p.validation_loss),
            yerr=_values(points, lambda p: p.validation_loss_se),
            label=_label(name),
            markersize=4,
            linewidth=1.2,
            elinewidth=0.6,
            **style,
        )
        accuracy.plot(examples, _values(points, lambda p: p.token_accuracy), markersize=4, linewidth=1.2, **style)
    counts = sorted({point.examples for _, record in _tuned(board) for point in record.curve})
    seen = [n for i, n in enumerate(counts) if i == 0 or n >= 1.4 * counts[i - 1]]  # labels that do not overlap
    for axes, title in (
        (loss, "validation loss, nats a token, ±1 standard error"),
        (accuracy, "token accuracy"),
    ):
        axes.set_xscale("log")
        axes.set_xticks(seen, [f"{n:,}" for n in seen])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("examples trained on")
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    return figure


def _tuned(board: Leaderboard) -> list[tuple[str, FineTuneRecord]]:
    return [(e.run.result.name, record) for e in board.entries if (record := e.run.result.finetune)]


def _values(points: Sequence[CurvePoint], value: Callable[[CurvePoint], float | None]) -> list[float]:
    return [float("nan") if (found := value(point)) is None else found for point in points]


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _label(name: str) -> str:
    return shorten(visible(name), 40).replace("$", r"\$")
