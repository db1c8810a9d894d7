"""`gate` and `baseline` as a user sees them: what they print, and the exit codes that CI reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.__main__ import main
from tests.support.replays import ReplayedCompletion, examples, replayed

N = 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an accepted run and three others in its store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_STORE", "store")
    rows = examples(tmp_path, N)
    good: list[ReplayedCompletion] = [e.reference if i % 3 else f"{e.reference} So." for i, e in enumerate(rows)]
    replayed(tmp_path, "accepted", good)
    replayed(tmp_path, "same", [*good[:-1], "Thing"])
    replayed(tmp_path, "unclear", ["Thing" if i % 12 == 0 else text for i, text in enumerate(good)])
    replayed(tmp_path, "worse", ["Nothing." for _ in good])
    assert main(["baseline", "accept", "accepted"]) == 0
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["same", "--margin", "0.15"], 0, "is not worse than the baseline accepted-"),
        (["worse"], 7, "is WORSE than the baseline accepted-"),
        (["unclear", "--margin", "0.08"], 8, "is NOT ENOUGH DATA against the baseline"),
        (["unclear", "--margin", "0.08", "--underpowered", "warn"], 0, "is NOT ENOUGH DATA against the baseline"),
        (["worse", "--metric", "bleu", "--metric", "ter", "--margin", "5"], 7, "FAIL         bleu"),
    ],
)
def test_the_exit_code_is_the_outcome(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, shown: str
) -> None:
    assert main(["gate", *arguments]) == code
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gate", "worse", "--baseline", "nowhere"], 5, "nowhere/things: there is no baseline"),
        (["gate", "worse", "--name", "other"], 5, "benchmarks/things/other: there is no baseline"),
        (["gate", "worse", "--metric", "bleu"], 2, "bleu: expected a margin in its units"),
        (["gate", "worse", "--margin", "wide"], 2, "--margin: expected a number or METRIC=number, got 'wide'"),
        (["gate", "worse", "same"], 2, "expected one stored run, or key=value overrides"),
        (["gate", "worse", "--sequential"], 2, "A sequential gate needs overrides"),
        (["gate", "nothing"], 5, "Unknown run 'nothing'"),
        (["gate", "modle=echo"], 2, "Did you mean model"),
        (["baseline", "show", "other"], 5, "benchmarks/other: there is no baseline"),
        (["baseline", "show", "--name", "other"], 5, "Unknown baseline 'other'. Valid: things."),
    ],
)
def test_a_wrong_command_says_what_is_right(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main(arguments) == code
    assert message in capsys.readouterr().err


def test_it_is_json_for_scripts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["gate", "worse", "--slice", "topic", "--json"]) == 7
    result = json.loads(capsys.readouterr().out)
    assert result["outcome"] == "fail"
    assert [check["check"] for check in result["checks"]][:2] == ["rougeL", "rougeL [topic=maths]"]


def test_a_config_is_run_and_gated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["task=jsonl", "task.path=data.jsonl", "task.name=things", "task.n_validation=40"]
    overrides += ["task.validation_pool=40", "model=replay", "model.path=same.jsonl", "tracking=none"]
    assert main(["gate", *overrides, "--margin", "0.15"]) == 0
    assert main(["gate", "--max-examples", "20", "--margin", "0.5", *overrides]) == 0
    assert "of 40 examples" in capsys.readouterr().out
    assert not (folder / ".harness").exists()


def test_show_and_diff_say_what_is_accepted_and_what_changes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "show"]) == 0
    shown = capsys.readouterr().out
    assert "benchmarks/things" in shown
    assert "rougeL|tok:rouge" in shown
    assert main(["baseline", "diff", "worse"]) == 0
    shown = capsys.readouterr().out
    assert "name: accepted -> worse" in shown
    assert "0 of 40 completions are the same" in shown
    assert "    run      | Nothing." in shown
    assert main(["baseline", "diff", "worse", "--json"]) == 0
    assert {score["metric"] for score in json.loads(capsys.readouterr().out)["scores"]} >= {"rougeL", "bleu"}
    assert main(["baseline", "show", "things", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["task"] == "things"


def test_the_card_is_for_people(folder: Path) -> None:
    card = (folder / "benchmarks" / "things" / "README.md").read_text("utf-8")
    assert card.startswith("# Baseline of `things`\n")
    assert "| `rougeL` (primary) |" in card
    assert "0 failed, 0 truncated" in card
