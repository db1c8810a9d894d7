"""Training files: what each line may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.server.training_files import read_pairs
from harness.types import Message, Prompt, TrainingPair

QUESTION, ANSWER = {"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}


def test_chats_and_prompts_become_pairs(tmp_path: Path) -> None:
    rows = [{"messages": [QUESTION, ANSWER]}, {"prompt": "It ->", "completion": " is so"}]
    (tmp_path / "a").write_text("\n\n".join(json.dumps(row) for row in rows))
    assert read_pairs(tmp_path / "a", "a") == [
        TrainingPair(Prompt("line 1", messages=(Message("user", "What?"),)), "That."),
        TrainingPair(Prompt("line 3", text="It ->"), "is so"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: is not JSON"),
        ("[1]", "got a JSON list"),
        ("1", "line 1: expected a JSON object, got the number 1"),
        ("[" * 100_000, "got a JSON list"),
        ('{"a":' * 100_000, "line 1: cannot be read as JSON"),
        ('{"prompt": "A", "prompt": "B"}', "has 'prompt' twice"),
        ('{"text": "A"}', "expected the keys messages or prompt and completion, got text"),
        (json.dumps({"messages": [QUESTION, ANSWER], "tools": []}), "got messages, tools"),
        (json.dumps({"messages": [QUESTION]}), "messages: expected a list"),
        (
            json.dumps({"messages": [QUESTION, {**ANSWER, "weight": 0}]}),
            "only role and content are supported, got weight",
        ),
        (json.dumps({"prompt": "A", "completion": ""}), "completion: expected text"),
        ("", "empty file"),
    ],
)
def test_a_bad_line_is_reported(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a").write_text(line)
    with pytest.raises(DataError) as caught:
        read_pairs(tmp_path / "a", "training_file")
    assert str(caught.value).startswith("training_file: ")
    assert message in str(caught.value)


def test_bad_lines_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{\n" * 20)
    with pytest.raises(DataError, match=r"20 bad lines\. line 1: .*line 5: .*; and 15 more"):
        read_pairs(tmp_path / "a", "training_file")
