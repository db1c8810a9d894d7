"""Completions stand side by side, differences in bold, everything in them as text, references only where allowed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.config import ReportConfig
from harness.reports.markdown.samples import sample_section
from harness.types import Prediction
from tests.support.replays import examples, replayed

N = 6
NASTY = "a | <script>x</script> $y$ `z` **w** [l](http://u) \x1b[31m\nsecond  line"


@pytest.fixture
def board(tmp_path: Path) -> Leaderboard:
    asked = examples(tmp_path, N)
    first = [f"{asked[0].reference} extra", *(e.reference for e in asked[1:])]
    return by_task(
        [replayed(tmp_path, "first", first), replayed(tmp_path, "second", [NASTY, None, *["Thing"] * (N - 2)])],
        registry.stored_metric,
    )[0]


def section(board: Leaderboard, references: bool = True, samples: int = N) -> list[str]:
    ids = [p.example.id for p in board.entries[0].run.predictions()]
    return list(sample_section(board, ReportConfig("reports", "r", references, samples, ids)))


def is_longer(prediction: Prediction) -> bool:
    """Say whether it is the one completion that goes on after its reference."""
    return str(prediction.completion.text).endswith(" extra")


def test_words_that_the_reference_lacks_are_bold(board: Leaderboard) -> None:
    [reference] = [p.example.reference for p in board.entries[0].run.predictions() if is_longer(p)]
    assert any(line.endswith(f"{reference} **extra** |") for line in section(board))


def test_everything_in_a_completion_is_text(board: Leaderboard) -> None:
    lines = section(board)
    [row] = {line for line in lines if "script" in line}
    assert row.count("|") == 4
    assert not set("<>`$\x1b\n") & set(row)
    assert "⏎ **second" in row
    assert "&#42;&#42;w&#42;&#42;" in row


def test_a_failed_completion_is_an_error_and_no_text(board: Leaderboard) -> None:
    assert any("| *error*: chosen to fail |" in line for line in section(board))


def test_without_references_no_text_is_the_reference(board: Leaderboard) -> None:
    shown = "\n".join(section(board, references=False))
    said_by_none = [p.example.reference for p in board.entries[0].run.predictions() if not is_longer(p)]
    assert len(said_by_none) == N - 1
    assert all(reference not in shown for reference in said_by_none)
    assert "*identical to the reference*" in shown
    assert "*reference*" not in shown
    assert "*reference*" in "\n".join(section(board))


def test_every_part_is_folded_and_closed(board: Leaderboard) -> None:
    lines = "\n".join(section(board))
    assert lines.count("<details") == lines.count("</details>") == lines.count("<summary>") > 3
    assert lines.count("<details open>") == 1


def test_names_of_runs_are_text(board: Leaderboard) -> None:
    named = [replace(e, run=replace(e.run, result=replace(e.run.result, name=NASTY))) for e in board.entries]
    lines = section(replace(board, entries=tuple(named)))
    assert any(line.startswith("<summary>Best completions of a &#124; &#60;script&#62;") for line in lines)
    assert not any(bad in line for line in lines for bad in ("<script", "`", "$", "\x1b", "[l]"))


def test_prompts_and_reasoning_are_behind_the_samples(tmp_path: Path) -> None:
    board = by_task([replayed(tmp_path, "thinks", ["<think>**Why**\nnot?</think>Thing"] * N)], registry.stored_metric)[
        0
    ]
    lines = "\n".join(section(board))
    assert "<summary>Prompt (thinks)</summary>\n\nuser: " in lines
    assert "<summary>Reasoning (thinks)</summary>\n\n&#42;&#42;Why&#42;&#42;<br>\nnot?\n" in lines
    hidden = "\n".join(section(board, references=False))
    assert "<summary>Prompt" not in hidden
    assert "<summary>Reasoning" in hidden


def test_samples_can_be_left_out(board: Leaderboard) -> None:
    assert section(board, samples=0) == []


def test_long_texts_say_how_much_is_truncated(board: Leaderboard) -> None:
    run = board.entries[1].run
    path = run.folder / "predictions.jsonl"
    path.write_text(path.read_text("utf-8").replace('"text":"Thing"', f'"text":"{"long " * 100}"', 1), "utf-8")
    entries = (board.entries[0], replace(board.entries[1], run=run))
    assert any("… (+100 characters)" in line for line in section(replace(board, entries=entries)))
