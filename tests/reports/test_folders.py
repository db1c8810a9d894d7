"""Each report has a folder of its own: a newer report of the same runs replaces it, one of other runs does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness import pipeline
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.config import ReportConfig
from harness.errors import ConfigError
from harness.registry import stored_metric
from harness.reports.folders import placed, report_folder
from harness.reports.markdown.report import MarkdownSink
from harness.store.runs import StoredRun
from tests.support.fakes import config, write_corpus


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, StoredRun]:
    """Three runs of one task: two on the same examples, one on others, each started by a command of its own."""
    folder = tmp_path_factory.mktemp("runs")
    other = replace(config(folder, "echo-chat"))
    other.task = replace(other.task, path=str(write_corpus(folder / "other.jsonl", 40)))  # type: ignore[call-arg]
    made = {"a": config(folder, "echo-chat"), "b": config(folder, "second"), "other": other}
    made["b"].generation.max_tokens = 3
    commands = {name: f"python -m harness run model={name} 'task.stop=[\"`\"]'" for name in made}
    return {name: pipeline.run(settings, commands[name]) for name, settings in made.items()}


@pytest.fixture
def report(tmp_path: Path) -> ReportConfig:
    return ReportConfig(str(tmp_path / "reports"), "mine")


def write(runs: list[StoredRun], report: ReportConfig, named: bool = False) -> list[str]:
    """Write the reports of some runs and return the names of their folders."""
    boards = by_task(runs, stored_metric)
    places = placed(boards, report, named)
    for board, here in zip(boards, places, strict=True):
        MarkdownSink(here).write(board)
    return [here.name for here in places]


def test_a_report_is_replaced_by_one_that_has_its_runs_and_by_no_other(
    runs: Mapping[str, StoredRun], report: ReportConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = runs["a"], runs["b"]
    assert write([a], report) == ["mine"]
    assert write([a], report) == ["mine"]
    assert write([a, b], report) == ["mine"], "it loses nothing"
    assert capsys.readouterr().err == ""
    assert write([a], report) == ["mine-2"]
    assert f"is of other runs ({b.result.run_id}); this one is" in capsys.readouterr().err
    assert write([b], report) == ["mine-3"]
    assert write([b], report) == ["mine-3"]
    assert write([a], report) == ["mine-2"]
    assert write([b, a], report) == ["mine"]


def test_the_same_command_replaces_its_report_though_its_run_is_another(
    runs: Mapping[str, StoredRun], report: ReportConfig
) -> None:
    a, b = runs["a"], runs["b"]
    write([a], report)
    shown = f"{a.result.command} tracking=none report.samples=3 hydra.mode=RUN"
    renewed = replace(b, result=replace(b.result, command=" ".join(shown.split())))
    assert write([renewed], report) == ["mine"]
    assert write([b], report) == ["mine"], "its run is there"
    assert write([a], report) == ["mine-2"]


def test_a_chosen_name_is_taken_and_what_it_replaces_is_said(
    runs: Mapping[str, StoredRun], report: ReportConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write([runs["a"]], report, named=True)
    assert capsys.readouterr().err == ""
    assert write([runs["b"]], report, named=True) == ["mine"]
    assert f"which this one replaces: {runs['a'].result.run_id}" in capsys.readouterr().err


@pytest.mark.parametrize("named", [False, True])
def test_two_datasets_of_one_task_have_reports_that_say_which_is_which(
    runs: Mapping[str, StoredRun], report: ReportConfig, named: bool
) -> None:
    assert write([runs["a"], runs["other"]], report, named) == ["mine", "mine-2"]
    folder = Path(report.dir) / "things"
    for name, run in (("mine", runs["a"]), ("mine-2", runs["other"])):
        heading = (folder / name / "leaderboard.md").read_text().splitlines()[0]
        assert Path(run.result.dataset.source).name.replace(".", "&#46;") in heading.replace(".", "&#46;")
    assert write([runs["other"], runs["a"]], report) == ["mine-2", "mine"], "in any order"


def test_boards_are_told_apart_by_the_least_that_does(runs: Mapping[str, StoredRun]) -> None:
    def data(*changes: Mapping[str, object]) -> list[str]:
        a = runs["a"]
        changed = [replace(a, result=replace(a.result, dataset=replace(a.result.dataset, **c))) for c in changes]  # type: ignore[arg-type]
        return [board.data for board in by_task(changed, stored_metric)]

    x, y = {"source": "x", "fingerprint": "1"}, {"source": "y", "fingerprint": "2"}
    assert data(x) == [""]
    assert data(x, y) == ["x", "y"]
    assert data(x, {**y, "source": "x", "n_validation": 5}) == ["x, 12 examples", "x, 5 examples"]
    assert data(x, {**y, "source": "x"})[0] == "x, 12 examples, fingerprint 1"


def test_a_tasks_name_is_one_folder(runs: Mapping[str, StoredRun], report: ReportConfig) -> None:
    [board] = by_task([runs["a"]], stored_metric)
    for task, folder in (("a/b", "a-b"), ("..", "-.."), ("plain", "plain")):
        assert report_folder(report, replace(board, task=task)) == Path(report.dir) / folder / "mine"


def test_a_folder_that_cannot_be_written_is_refused(
    runs: Mapping[str, StoredRun], report: ReportConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    boards: list[Leaderboard] = by_task([runs["a"]], stored_metric)
    with pytest.raises(ConfigError, match=r"report\.dir: .* cannot be written"):
        placed(boards, replace(report, dir=str(tmp_path / "file")), named=False)


def test_a_page_without_its_report_is_not_overwritten(runs: Mapping[str, StoredRun], report: ReportConfig) -> None:
    folder = Path(report.dir) / "things" / "mine"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("somebody's")
    assert write([runs["a"]], report) == ["mine-2"]
