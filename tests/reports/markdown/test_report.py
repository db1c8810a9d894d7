"""The report holds what a reader decides from, and no reference text when it is to be committed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import pipeline, registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.config import ReportConfig
from harness.reports.markdown.report import MarkdownSink
from harness.reports.terminal.leaderboard import TerminalSink
from tests.support.fakes import config

NASTY = "a | <b>*x*</b>\x1b[31m"


@pytest.fixture
def board(tmp_path: Path) -> Leaderboard:
    rows = [
        {"id": f"e{i}", "prompt": f"{NASTY} {i}", "completion": f"secret reference {i}", "topic": NASTY}
        for i in range(12)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = [config(tmp_path, "fine"), config(tmp_path, "failing", error_rate=0.4)]
    return by_task([pipeline.run(run, "python -m harness run") for run in settings], registry.stored_metric)[0]


def written(board: Leaderboard, tmp_path: Path, references: bool = True) -> str:
    [path] = MarkdownSink(ReportConfig(str(tmp_path / "out"), "r", references, 12)).write(board)
    return Path(path).read_text(encoding="utf-8")


def test_the_report_has_all_its_parts(board: Leaderboard, tmp_path: Path) -> None:
    text = written(board, tmp_path)
    for part in (
        "# things: r",
        "## Leaderboard",
        "### Errors and warnings",
        "score with errors all wrong, all right",
        "| cost, USD | unknown | unknown |",
        "by topic",
        "## Samples",
        "## Provenance",
    ):
        assert part in text
    assert "python -m harness run" in text
    assert all(m.signature in text for m in board.entries[0].run.result.metrics)
    assert "completions failed (not scored); with all of them wrong or all right" in text
    assert "*error*: chosen to fail" in text


def test_every_table_row_has_its_columns(board: Leaderboard, tmp_path: Path) -> None:
    text = written(board, tmp_path)
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 3
    for block in tables:
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "<b>" not in text
    assert "\x1b" not in text


def test_references_can_be_left_out(board: Leaderboard, tmp_path: Path) -> None:
    assert "secret reference" in written(board, tmp_path)
    assert "secret reference" not in written(board, tmp_path, references=False)


def test_the_terminal_shows_the_same_scores(board: Leaderboard, capsys: pytest.CaptureFixture[str]) -> None:
    TerminalSink().write(board)
    shown = capsys.readouterr().out
    assert "\x1b[31m" not in shown
    assert "rougeL ↑" in shown
    assert "failed (not scored)" in " ".join(shown.split())


def test_a_score_without_an_interval_says_so_in_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = pipeline.run(config(tmp_path, "one", n=1), "command")
    TerminalSink().write(by_task([run], registry.stored_metric)[0])
    assert "[no interval]" in capsys.readouterr().out
