"""A saved W&B Report: verdict, leaderboard, learning curves and parallel coordinates of the runs of one leaderboard.

Saving it needs a login and the extra `wandb_report`; building it needs neither a server nor a login.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.analysis.factors import varied
from harness.analysis.leaderboard import Leaderboard
from harness.config import TrackingConfig
from harness.errors import HarnessError, require
from harness.reports.formatting import markdown, table
from harness.reports.wandb import history, tables
from harness.reports.wandb.tables import leaderboard_id, session_id
from harness.wording import UNKNOWN, counted

WIDE, HALF = 24, 12
"""Panel widths; the grid of a W&B Report has 24 columns."""


def save(board: Leaderboard, tracking: TrackingConfig) -> str:
    """Save the report to the project of `tracking` and return its URL; HarnessError if W&B refuses it."""
    require("wandb_workspaces", "wandb_report")
    import wandb

    try:
        entity = tracking.entity or str(wandb.Api().default_entity)
        return str(build(board, tracking, entity).save().url)
    except Exception as error:  # the library raises bare exceptions of its own and of its transport
        raise HarnessError(
            f"the W&B Report was not saved: {error}. The runs and the leaderboard are logged. To save the report, run "
            "`wandb login` and repeat the command."
        ) from error


def build(board: Leaderboard, tracking: TrackingConfig, entity: str) -> Any:
    """Return the report as an unsaved object of the W&B library."""
    require("wandb_workspaces", "wandb_report")
    import wandb_workspaces.reports.v2 as wr

    blocks = [
        wr.MarkdownBlock(f"**{markdown(board.verdict.text)}**"),
        wr.H2("Leaderboard"),
        wr.MarkdownBlock("\n".join(_rows(board))),
        wr.H2("Runs"),
        wr.PanelGrid(runsets=[_runs(board)], panels=[*_parallel(board), *_curves(board)]),
        wr.H2("Tables of the leaderboard"),
        wr.PanelGrid(
            runsets=[wr.Runset(name="leaderboard", filters=f"ID in {[leaderboard_id(board)]!r}")],
            panels=[_table(name, i) for i, name in enumerate(_tables(tracking))],
        ),
    ]
    title = f"{board.task}: {board.primary}"
    return wr.Report(
        project=tracking.project,
        entity=entity,
        title=title[:128],
        description=f"{counted(len(board.entries), 'run')} on {board.size('validation example')}",
        blocks=blocks,
        width="fluid",
    )


def _rows(board: Leaderboard) -> Iterator[str]:
    """Yield the leaderboard as a markdown table with its texts escaped."""
    content = tables.leaderboard_rows(board, board.entries)
    shown = [i for i, name in enumerate(content.columns) if name != "run_id"]
    rows = [[_cell(row[i]) for i in shown] for row in content.rows]
    yield from table([markdown(content.columns[i]) for i in shown], rows)


def _cell(value: tables.Cell) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.4g}" if isinstance(value, float) else markdown(str(value))


def _runs(board: Leaderboard) -> Any:
    import wandb_workspaces.reports.v2 as wr

    ids = [session_id(entry.run.result.run_id) for entry in board.entries]
    return wr.Runset(name="runs", filters=f"ID in {ids!r}")


def _parallel(board: Leaderboard) -> list[Any]:
    """Return a panel of the varied settings against the primary metric, or none if nothing was varied."""
    import wandb_workspaces.reports.v2 as wr

    factors = varied([entry.run for entry in board.entries])
    if not factors:
        return []
    keys = ["model.name" if factor == "model" else factor for factor in factors]
    columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(key), display_name=key) for key in keys]
    columns.append(wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(board.primary)))
    layout = wr.Layout(x=0, y=0, w=WIDE, h=10)
    return [wr.ParallelCoordinatesPlot(columns=columns, title="Varied settings", layout=layout)]


def _curves(board: Leaderboard) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    points = [point for e in board.entries if e.run.result.finetune for point in e.run.result.finetune.curve]
    drawn = [key for key in history.CHARTS if any(getattr(point, key) is not None for point in points)]
    return [
        wr.LinePlot(
            x=history.AXIS,
            y=[history.PREFIX + key],
            title=history.CHARTS[key],
            layout=wr.Layout(x=HALF * (i % 2), y=10 + 8 * (i // 2), w=HALF, h=8),
        )
        for i, key in enumerate(drawn)
    ]


def _tables(tracking: TrackingConfig) -> Sequence[str]:
    return ("leaderboard", "pairs", *(["predictions"] if tracking.predictions else []))


def _table(name: str, i: int) -> Any:
    import wandb_workspaces.reports.v2 as wr

    return wr.WeavePanelSummaryTable(table_name=name, layout=wr.Layout(x=0, y=12 * i, w=WIDE, h=12))
