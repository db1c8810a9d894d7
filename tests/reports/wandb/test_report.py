"""The W&B Report is built from the library's own objects, without a server, and refused clearly without a login."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.verdict import Verdict
from harness.config import TrackingConfig, TrackingMode
from harness.errors import HarnessError
from harness.reports.wandb.report import build, save

pytest.importorskip("wandb_workspaces", reason="the extra wandb_report is not installed")
ONLINE = TrackingConfig(TrackingMode.online, project="things", report=True)


def spec(board: Leaderboard, tracking: TrackingConfig = ONLINE) -> dict[str, Any]:
    """The report as it would be sent."""
    model = build(board, tracking, "team")._to_model()
    content: dict[str, Any] = json.loads(model.spec.model_dump_json(by_alias=True, exclude_none=True))
    return content


def panels(board: Leaderboard, tracking: TrackingConfig = ONLINE) -> list[dict[str, Any]]:
    grids = [block for block in spec(board, tracking)["blocks"] if block["type"] == "panel-grid"]
    return [panel for grid in grids for panel in grid["metadata"]["panelBankSectionConfig"]["panels"]]


def test_it_belongs_to_the_project_and_says_the_verdict(board: Leaderboard) -> None:
    report = build(board, ONLINE, "team")
    assert (report.project, report.entity, report.title) == ("things", "team", "things: rougeL")
    harmful = dataclasses.replace(board, verdict=Verdict("ship", "Ship <script> | [x](http://y)"))
    text = next(block["content"] for block in spec(harmful)["blocks"] if block["type"] == "markdown-block")
    assert "<script>" not in text
    assert "](http" not in text


def test_the_leaderboard_is_a_table_of_all_runs(board: Leaderboard) -> None:
    texts = [block["content"] for block in spec(board)["blocks"] if block["type"] == "markdown-block"]
    lines = texts[1].splitlines()
    assert len(lines) == 2 + len(board.entries)
    assert lines[0].startswith("| run | tie")
    assert len({line.count(" | ") for line in lines[1:]}) == 1


def test_what_was_varied_is_drawn_against_the_primary_metric(board: Leaderboard) -> None:
    (plot,) = [panel for panel in panels(board) if "parallel" in panel["viewType"].lower()]
    axes = [column["accessor"] for column in plot["config"]["columns"]]
    assert "config:model.value.name" in axes
    assert "config:finetune.value.method" in axes
    assert axes[-1] == "summary:rougeL"


def test_every_curve_has_a_chart_over_examples(board: Leaderboard) -> None:
    lines = [panel["config"] for panel in panels(board) if panel["viewType"] == "Run History Line Plot"]
    assert {line["metrics"][0] for line in lines} == {
        f"finetune/{key}"
        for key in ("validation_loss", "train_loss", "token_accuracy", "sequence_accuracy", "learning_rate")
    }
    assert {line["xAxis"] for line in lines} == {"finetune/examples"}


def test_only_the_runs_of_the_leaderboard_are_shown(board: Leaderboard) -> None:
    grids = [block for block in spec(board)["blocks"] if block["type"] == "panel-grid"]
    shown = json.dumps([grid["metadata"]["runSets"] for grid in grids])
    assert all(entry.run.result.run_id in shown for entry in board.entries)
    assert "leaderboard-" in shown


def test_predictions_are_not_shown_where_they_are_not_sent(board: Leaderboard) -> None:
    assert "predictions" in json.dumps(panels(board))
    assert "predictions" not in json.dumps(panels(board, dataclasses.replace(ONLINE, predictions=False)))


def test_without_a_login_it_is_refused(board: Leaderboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(HarnessError, match=r"the W&B Report was not saved.*wandb login"):
        save(board, ONLINE)
