"""Costs and remarks are the same in terminal and report, and an unknown value is never shown as 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.config import ReportConfig
from harness.reports.columns import COLUMNS, columns, compact, footnotes
from harness.reports.formatting import with_interval
from harness.reports.html.summary import summary
from harness.reports.markdown.standings import standings_section
from harness.reports.terminal.leaderboard import TerminalSink
from harness.reports.wandb.tables import scores
from harness.types import FineTuneRecord, Usage
from tests.support.grids import RunSpec, store

SCORES = np.linspace(0.2, 0.8, 20)


def board(folder: Path, *usages: Usage, name: str = "run") -> Leaderboard:
    made = [RunSpec(f"{name}-{i}", {"rougeL": SCORES + i / 100}, parameters=135_000_000) for i in range(len(usages))]
    runs = [
        replace(run, result=replace(run.result, usage=usage))
        for run, usage in zip(store(folder, made), usages, strict=True)
    ]
    tuned = replace(runs[0], result=replace(runs[0].result, finetune=FineTuneRecord("lora", 20, 151.2, 1, 1, 1)))
    return by_task([tuned, *runs[1:]], registry.stored_metric)[0]


def cells(shown: Leaderboard, name: str) -> dict[str, str]:
    result = next(e.run.result for e in shown.entries if e.run.result.name == name)
    return {column.title: column.cell(result, shown.primary) for column in columns(shown)}


def test_each_cell_is_what_was_measured(tmp_path: Path) -> None:
    timed, bare = Usage(20, 0, 5, 1234, 500, 10.0, 0.0123), Usage(20, 0, 0, None, None, 0.0)
    leaderboard = board(tmp_path, timed, bare)
    assert cells(leaderboard, "run-0") == {
        "errors": "0",
        "truncated": "5 (25%)",
        "prompt tokens": "1,234",
        "completion tokens": "500",
        "cost, USD": "0.0123",
        "training, s": "151",
        "generation, s": "10",
        "s/completion": "0.5",
        "tokens/s": "50",
        "parameters": "135M",
    }
    unknown = {"prompt tokens", "completion tokens", "training, s", "generation, s", "s/completion", "tokens/s"}
    assert {title for title, cell in cells(leaderboard, "run-1").items() if cell == "–"} == unknown
    assert cells(leaderboard, "run-1")["cost, USD"] == "unknown"


@pytest.mark.parametrize(
    ("method", "cost", "shown"), [("lora", None, None), ("openai", None, "unknown"), ("openai", 0.125, "0.125")]
)
def test_training_has_a_price_where_a_service_did_it(
    method: str, cost: float | None, shown: str | None, tmp_path: Path
) -> None:
    leaderboard = board(tmp_path, Usage(20, 0, 0, None, None, 0.0))
    record = FineTuneRecord(method, 20, 151.2, None, 1, 1, (), cost)
    run = replace(leaderboard.entries[0].run, result=replace(leaderboard.entries[0].run.result, finetune=record))
    assert cells(by_task([run], registry.stored_metric)[0], "run-0").get("training, USD") == shown


def test_bounds_are_shown_only_where_completions_failed(tmp_path: Path) -> None:
    failing = np.where(np.arange(20) < 4, np.nan, 0.5)
    made = [RunSpec("whole", {"rougeL": SCORES}), RunSpec("failing", {"rougeL": failing})]
    leaderboard = by_task(store(tmp_path, made), registry.stored_metric)[0]
    title = "score with errors all wrong, all right"
    assert cells(leaderboard, "failing")[title] == "0.400 to 0.600"
    assert cells(leaderboard, "whole")[title] == "–"


@pytest.mark.parametrize("n", [2, 5])
def test_terminal_and_report_show_the_same_runs_and_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    leaderboard = board(tmp_path, *(Usage(20, 0, i, 10, 500, 10.0, 0.0123) for i in range(n)))
    TerminalSink().write(leaderboard)
    shown, report = capsys.readouterr().out, "\n".join(standings_section(leaderboard))
    for entry in leaderboard.entries:
        assert entry.run.result.name in shown
        assert entry.run.result.name in report
    for text in ("0.0123", "151", "135M", "0.5"):
        assert text in shown
        assert text in report


@pytest.mark.parametrize(("n", "width", "remarks"), [(2, 160, 1), (5, 160, 0), (5, 46, 1)])
def test_truncations_are_a_remark_where_no_column_has_them(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    n: int,
    width: int,
    remarks: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    TerminalSink().write(board(tmp_path, *(Usage(20, 0, 3, 10, 500, 10.0) for _ in range(n))))
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("3 of 20 completions truncated at the token limit") == remarks
    assert ("3 (15%)" in shown) == (width == 160)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_a_narrow_terminal_truncates_no_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, n: int, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    leaderboard = board(tmp_path, *(Usage(20, 0, 3, 10, 500, 10.0) for _ in range(n)), name="a-model-with-layers-n200")
    TerminalSink().write(leaderboard)
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    primary = [entry.run.result.metric(leaderboard.primary) for entry in leaderboard.entries]
    for score in (metric.score for metric in primary if metric):
        assert with_interval(score, 3) in shown


def test_a_terminal_omits_columns_without_information(tmp_path: Path) -> None:
    leaderboard = board(tmp_path, Usage(20, 0, 0, 10, 500, 10.0), Usage(20, 0, 0, 10, 500, 10.0))
    assert [column.short for column in compact(leaderboard)] == ["training s", "s/completion", "parameters"]
    assert len({column.title for column in COLUMNS}) == len(COLUMNS)


def test_a_metric_that_cannot_read_references_is_marked_beside_its_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = board(tmp_path, Usage(20, 0, 0, None, None, 1.0))
    entry = shown.entries[0]
    blind = replace(entry.run.result, metrics=tuple(replace(m, unreadable=7) for m in entry.run.result.metrics))
    shown = replace(shown, entries=(replace(entry, run=replace(entry.run, result=blind)),))
    note = "† cannot read some of 20 references: rougeL 7."
    TerminalSink().write(shown)
    in_terminal, in_markdown = capsys.readouterr().out, "\n".join(standings_section(shown))
    for written in (in_terminal, in_markdown):
        assert "rougeL ↑ †" in written
        assert note in written
    assert summary(shown, ReportConfig(name="r"))["metrics"][0]["unreadable"] == 7
    assert scores(blind.metrics)["rougeL_unreadable_references"] == 7
    assert footnotes(board(tmp_path, Usage(20, 0, 0, None, None, 1.0), name="read")) == []
