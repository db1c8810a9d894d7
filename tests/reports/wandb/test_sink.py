"""Offline runs hold config, history, scores, tables, pictures and lineage, and nothing that was to stay here.

They are read back by W&B's own tool and from the files that it would upload.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.leaderboard import Entry, Leaderboard
from harness.analysis.verdict import Verdict
from harness.config import TrackingConfig, TrackingMode, compose
from harness.errors import ConfigError
from harness.reports.wandb import WandbSink
from harness.store.runs import StoredRun, save_run
from tests.reports.wandb.conftest import CURVE, HOSTILE

Inspect = Callable[..., Any]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("data")
        patch.setenv("WANDB_DATA_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def places(board: Leaderboard, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The offline folders by the name of the run, written once for all tests."""
    names = [*(entry.run.result.name for entry in board.entries), "leaderboard"]
    written = WandbSink(TrackingConfig(), tmp_path_factory.mktemp("store")).write(board)
    return dict(zip(names, map(Path, written), strict=True))


def tables(folder: Path) -> dict[str, Any]:
    paths = folder.glob("files/media/table/**/*.table.json")
    return {
        path.relative_to(folder / "files/media/table").as_posix().rsplit("_", 2)[0]: json.loads(path.read_text())
        for path in paths
    }


def written_by(place: Path) -> bytes:
    """Everything that W&B keeps of a run, whatever the file."""
    return b"".join(path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file())


def test_every_run_and_the_leaderboard_have_one_offline_folder(places: dict[str, Path]) -> None:
    assert set(places) == {"plain", "tuned", "leaderboard"}
    assert all(p.name.startswith("offline-run-") and list(p.glob("*.wandb")) for p in places.values())


def test_tables_are_there_with_texts_as_they_are(places: dict[str, Path], runs: list[StoredRun]) -> None:
    by_name = tables(places["plain"])
    shown = [row[by_name["predictions"]["columns"].index("prompt")] for row in by_name["predictions"]["data"]]
    assert shown == [row.example.prompt for row in runs[0].predictions()]
    assert all(any(prompt.startswith(text) for prompt in shown) for text in HOSTILE)
    assert len(by_name["leaderboard"]["data"]) == 1
    board = tables(places["leaderboard"])
    assert {"leaderboard", "predictions", "pairs"} <= set(board)
    assert (len(board["leaderboard"]["data"]), len(board["predictions"]["data"])) == (2, 12)


def test_scores_are_in_the_summary_and_settings_in_the_config(
    places: dict[str, Path], runs: list[StoredRun], inspect: Inspect
) -> None:
    summary = json.dumps(inspect(places["tuned"], "--summary"))
    score = next(m.score for m in runs[1].result.metrics if m.name == "rougeL")
    assert json.dumps(score.value)[:12] in summary
    run = next(record["run"] for record in inspect(places["tuned"]) if record["type"] == "run")
    config = run["config"]["update"]
    assert config["finetune"]["learning_rate_multiplier"] == 0.5
    assert config["digests"]["dataset"] == runs[1].result.dataset.fingerprint
    assert config["digests"]["finetune"] == "f" * 16
    assert not {"store", "report", "tracking"} & set(config)


def test_the_learning_curve_is_history_over_examples(places: dict[str, Path], inspect: Inspect) -> None:
    records = inspect(places["tuned"])
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    rows = [row for row in history if "finetune/examples" in row]
    assert [row["finetune/examples"] for row in rows] == [20, 40, 60]
    for key in ("step", "train_loss", "validation_loss", "validation_loss_se", "token_accuracy", "sequence_accuracy"):
        assert [row[f"finetune/{key}"] for row in rows] == [getattr(point, key) for point in CURVE]
    defined = {record["metric"]["name"]: record["metric"] for record in records if record["type"] == "metric"}
    assert {defined[name]["step_metric"] for name in defined if name != "finetune/examples"} == {"finetune/examples"}
    assert defined["finetune/validation_loss"]["summary"] == {"min": True}
    assert not [r for r in inspect(places["plain"]) if "finetune/" in json.dumps(r.get("history", {}))]


def test_charts_and_pictures_are_logged(places: dict[str, Path]) -> None:
    pictures = [path.name for path in places["leaderboard"].glob("files/media/images/plots/*.png")]
    assert any(name.startswith("scores_") for name in pictures)
    assert any(name.startswith("curves_") for name in pictures)
    assert "curves/validation_loss" in {name.removesuffix("_table") for name in tables(places["leaderboard"])}


def test_lineage_can_be_read_offline(places: dict[str, Path], runs: list[StoredRun], inspect: Inspect) -> None:
    def logged(name: str) -> dict[str, Any]:
        records = [record["artifact"] for record in inspect(places[name]) if record["type"] == "artifact"]
        return {record["type"]: json.loads(record["metadata"]) for record in records if "metadata" in record}

    lineage, result = logged("tuned"), runs[1].result
    assert set(lineage) >= {"dataset", "finetune", "completions", "scores"}
    assert lineage["dataset"]["fingerprint"] == result.dataset.fingerprint
    assert lineage["finetune"]["key"] == "f" * 16
    assert lineage["completions"]["from"]["finetune"] == lineage["finetune"]["key"]
    assert lineage["completions"]["from"]["dataset"] == lineage["dataset"]["fingerprint"]
    assert lineage["scores"]["from"]["run_id"] == lineage["completions"]["run_id"] == result.run_id
    assert "finetune" not in logged("plain")
    board = logged("leaderboard")["leaderboard"]
    assert {run["run_id"] for run in board["from"]} == {run.result.run_id for run in runs}


def test_the_same_content_is_logged_once_and_other_content_again(
    runs: list[StoredRun], data_dir: Path, tmp_path: Path
) -> None:
    result = runs[0].result
    run = save_run(tmp_path / "run", result, runs[0].predictions(), runs[0].stats().metrics)
    board = Leaderboard(result.task, "rougeL", (Entry(run),), _verdict())
    sink = WandbSink(TrackingConfig(), tmp_path / "store")
    (first,) = sink.write(board)
    assert sink.write(board) == [first]
    again = save_run(run.folder, dataclasses.replace(result, created="later"), run.predictions(), run.stats().metrics)
    (second,) = sink.write(Leaderboard(result.task, "rougeL", (Entry(again),), _verdict()))
    assert second != first
    elsewhere = WandbSink(TrackingConfig(project="another"), tmp_path / "store")
    assert elsewhere.write(Leaderboard(result.task, "rougeL", (Entry(again),), _verdict())) not in ([first], [second])


def test_what_is_not_to_be_sent_is_nowhere(
    runs: list[StoredRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SOME_API_KEY", "key-in-the-environment")
    options = {"names": ["rougeL"], "options": {"mine": {"api_key": "key-in-the-config"}}}
    changed = {**runs[0].result.config, "metrics": options, "note": "uses key-in-the-environment"}
    result = dataclasses.replace(
        runs[0].result, config=changed, command="run +metrics.options.mine.api_key=key-in-the-command"
    )
    run = save_run(tmp_path / "run", result, runs[0].predictions(), runs[0].stats().metrics)
    board = Leaderboard(result.task, "rougeL", (Entry(run),), _verdict())
    kinds = {
        "all": TrackingConfig(),
        "no references": TrackingConfig(references=False),
        "scores alone": TrackingConfig(predictions=False, references=False),
    }
    sent = {}
    for name, tracking in kinds.items():
        monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / name / "data"))
        WandbSink(tracking, tmp_path / name).write(board)
        sent[name] = written_by(tmp_path / name)
    assert all(b"key-in-the" not in content for content in sent.values())
    prompt, reference = result.dataset.name.encode(), b"reference 1"
    assert prompt
    assert reference in sent["all"]
    assert all(reference not in sent[name] for name in ("no references", "scores alone"))
    assert b"bell" in sent["no references"]
    assert b"bell" not in sent["scores alone"]
    assert b"rougeL" in sent["scores alone"]


def test_disabled_writes_nothing(board: Leaderboard, tmp_path: Path) -> None:
    assert WandbSink(TrackingConfig(TrackingMode.disabled), tmp_path / "w").write(board) == []
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("mode", ["wandb_offline", "wandb_online"])
def test_a_report_without_references_sends_none(mode: str) -> None:
    assert compose.run_config([f"tracking={mode}"]).tracking.references
    assert not compose.run_config([f"tracking={mode}", "report.references=false"]).tracking.references
    assert compose.run_config(
        [f"tracking={mode}", "report.references=false", "tracking.references=true"]
    ).tracking.references


def test_a_report_is_refused_offline() -> None:
    with pytest.raises(ConfigError, match=r"tracking\.report: expected false, or tracking=wandb_online, got true"):
        TrackingConfig(report=True)


def _verdict() -> Verdict:
    return Verdict("not enough data", "One run.")
