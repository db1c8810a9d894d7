"""An offline W&B run holds config, scores, tables and artifacts; it is read back by W&B's own tool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import build, pipeline
from harness.config import TrackingConfig, TrackingMode
from harness.leaderboard import by_task
from harness.sinks.wandb import WandbSink
from tests.fakes import config


def summary(run_dir: Path) -> dict[str, object]:
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--summary", "--json", str(run_dir)]
    found: dict[str, object] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return found


def test_an_offline_run_has_everything_and_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    runs = [pipeline.run(config(tmp_path, name), "command") for name in ("first", "second")]
    board = by_task(runs, build.stored_metric)[0]
    sink = WandbSink(TrackingConfig(TrackingMode.offline), tmp_path / "store")
    places = [Path(place) for place in sink.write(board)]
    assert len(places) == 3
    assert all(place.name.startswith("offline-run-") and list(place.glob("*.wandb")) for place in places)
    tables = {
        path.name.rsplit("_", 2)[0]: json.loads(path.read_text()) for path in places[0].glob("files/media/table/*")
    }
    assert len(tables["predictions"]["data"]) == 12
    assert tables["leaderboard"]["columns"][:3] == ["run", "run_id", "tie_group"]
    assert len(json.loads(next(places[2].glob("files/media/table/*")).read_text())["data"]) == 2
    metric = runs[0].result.metric("rougeL")
    assert metric is not None
    assert json.dumps(metric.score.value)[:12] in json.dumps(summary(places[0]))
    staged = list((tmp_path / "data" / "artifacts").rglob("*"))
    assert any(path.is_file() for path in staged)
    assert [str(p) for p in places[:2]] == list(sink.write(board))[:2]


def test_disabled_writes_nothing(tmp_path: Path) -> None:
    board = by_task([pipeline.run(config(tmp_path), "command")], build.stored_metric)[0]
    assert WandbSink(TrackingConfig(TrackingMode.disabled), tmp_path / "w").write(board) == []
    assert not (tmp_path / "w").exists()
