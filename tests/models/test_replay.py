"""Completions from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.config import ReplayModelConfig
from harness.errors import DataError
from harness.models.replay import ReplayModel
from harness.protocols import Model
from harness.types import Completion, FinishReason, Prompt, SamplingParams

PROMPT = Prompt("7", text="Define: Rain", source="Rain")


def replay(path: Path, content: str | bytes) -> ReplayModel:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ReplayModel(ReplayModelConfig(backend="replay", name="replay", path=str(path)))


def answer(path: Path, *rows: dict[str, object]) -> Completion:
    model = replay(path, "\n".join(json.dumps(row) for row in rows))
    [completion] = model.generate([PROMPT], SamplingParams(max_tokens=1))
    return completion


@pytest.mark.parametrize(
    ("row", "text", "reason"),
    [
        ({"id": "7", "completion": "Water."}, "Water.", FinishReason.UNKNOWN),
        ({"prompt": "Rain", "completion": "Water."}, "Water.", FinishReason.UNKNOWN),
        ({"id": "7", "prompt": "Rain", "completion": " a b "}, " a b ", FinishReason.UNKNOWN),
        ({"id": "other", "prompt": "Rain", "completion": "Water."}, "Water.", FinishReason.UNKNOWN),
        ({"id": "7", "completion": "", "finish_reason": "stop"}, "", FinishReason.STOP),
        ({"id": "7", "completion": "Wat", "finish_reason": "length", "cost": 1}, "Wat", FinishReason.LENGTH),
        ({"id": "7", "completion": "Water.", "finish_reason": None}, "Water.", FinishReason.UNKNOWN),
        ({"id": "7", "completion": None, "error": "refused"}, None, FinishReason.ERROR),
    ],
)
def test_lookup(tmp_path: Path, row: dict[str, object], text: str | None, reason: FinishReason) -> None:
    completion = answer(tmp_path / "c.jsonl", {"id": "1", "completion": "Not this."}, row)
    assert (completion.example_id, completion.text, completion.finish_reason) == ("7", text, reason)
    assert completion.error == ("refused" if text is None else None)


def test_a_missing_completion_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    completion = answer(tmp_path / "c.jsonl", {"id": "1", "completion": "Water."})
    assert completion.text is None
    assert completion.error == f"no completion in {tmp_path / 'c.jsonl'} for id '7' or prompt 'Rain'"


BAD = [
    (b"{}", r'c\.jsonl:1: has neither "id" nor "prompt"'),
    (b'\n{"id": "1"}', r'c\.jsonl:2: has neither "completion" nor "error"'),
    (b'{"id": "1", "completion": "x"', r"c\.jsonl:1: not JSON"),
    (b'["x"]', r"c\.jsonl:1: expected a JSON object"),
    (b'{"id": 1, "completion": "x"}', r"c\.jsonl:1: expected text as 'id', got 1"),
    (b'{"id": "1", "completion": ["x"]}', r"c\.jsonl:1: expected text as 'completion'"),
    (b'{"id": "1", "completion": "x", "finish_reason": "eos"}', r"finish_reason of stop, length, unknown, got 'eos'"),
    (b'{"id": "1", "completion": "x"}\n{"id": "1", "completion": "x"}', r"c\.jsonl:2: id '1' is also at .*c\.jsonl:1"),
    (b'{"prompt": "Rain", "completion": "x"}\n{"prompt": "Rain", "completion": "y"}', r"prompt 'Rain' is also at"),
    (b'{"id": "7", "prompt": "Snow", "completion": "x"}', r"id '7' has the prompt 'Snow' here and 'Rain' in the task"),
    (b'{"id": "1", "completion": "\xff"}', r"c\.jsonl: not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(replay(tmp_path / "c.jsonl", content).generate([PROMPT], SamplingParams()))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    model = ReplayModel(ReplayModelConfig(backend="replay", name="replay", path=str(tmp_path / "none.jsonl")))
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read .* Set model\.path"):
        _ = model.identity


def test_bom_and_crlf_are_read(tmp_path: Path) -> None:
    model = replay(tmp_path / "c.jsonl", b'\xef\xbb\xbf{"id": "7", "completion": "Water."}\r\n\r\n')
    assert [c.text for c in model.generate([PROMPT], SamplingParams())] == ["Water."]


def test_the_identity_is_the_content(tmp_path: Path) -> None:
    one = replay(tmp_path / "c.jsonl", '{"id": "7", "completion": "a"}')
    assert isinstance(one, Model)
    same = replay(tmp_path / "c.jsonl", '{"id": "7", "completion": "a"}').identity
    assert one.identity == same
    assert replay(tmp_path / "c.jsonl", '{"id": "7", "completion": "b"}').identity != same
