"""Completions from a file."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import ReplayModelConfig
from harness.errors import ConfigError, DataError
from harness.models.replay import ReplayModel
from harness.protocols import LookupModel, Model
from harness.tasks.jsonl import Jsonl
from harness.types import Completion, FinishReason, Prompt, SamplingParams, StopAt

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
        ({"id": "7", "prompt": "Rain", "completion": " a b "}, "a b", FinishReason.UNKNOWN),
        ({"id": 7, "completion": "Water."}, "Water.", FinishReason.UNKNOWN),
        ({"id": 7, "prediction": "Water."}, "Water.", FinishReason.UNKNOWN),
        ({"id": 7, "completion": 42}, "42", FinishReason.UNKNOWN),
        ({"id": 7, "completion": True}, "true", FinishReason.UNKNOWN),
        ({"id": 7, "completion": 1.5}, "1.5", FinishReason.UNKNOWN),
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
    (b"{}", r'c\.jsonl:1: has neither "id" nor "prompt".* or set model\.prompt_key'),
    (b'\n{"id": "1"}', r"c\.jsonl:2: has neither 'completion' nor .* set model\.completion_key"),
    (b'{"id": "1", "completion": "x"', r"c\.jsonl:1: is not JSON"),
    (b'"x"', r"c\.jsonl:1: expected an object such as"),
    (b'{"id": 1.0, "completion": "x"}', r"c\.jsonl:1: id: expected text or a whole number, got the number 1\.0"),
    (b'{"id": true, "completion": "x"}', r"c\.jsonl:1: id: expected text or a whole number, got a boolean"),
    (b'{"id": "1", "completion": ["x"]}', r"c\.jsonl:1: expected text as 'completion'"),
    (b'{"id": "1", "completion": "x", "prediction": "y"}', r"c\.jsonl:1: has both 'prediction' and 'completion'"),
    (b'{"id": "1", "completion": "x", "finish_reason": "eos"}', r"finish_reason of stop, length, unknown, got 'eos'"),
    (b'{"id": "1", "completion": "x"}\n{"id": 1, "completion": "x"}', r"c\.jsonl:2: id '1' is also at .*c\.jsonl:1"),
    (b'{"prompt": "Rain", "completion": "x"}\n{"prompt": "Rain", "completion": "y"}', r"prompt 'Rain' is also at"),
    (b'{"id": "7", "prompt": "Snow", "completion": "x"}', r"id '7' has the prompt 'Snow' here and 'Rain' in the task"),
    (b'{"id": "1", "completion": "\xff"}', r"c\.jsonl:1: byte 28 .* is not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(replay(tmp_path / "c.jsonl", content).generate([PROMPT], SamplingParams()))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    model = ReplayModel(ReplayModelConfig(backend="replay", name="replay", path=str(tmp_path / "none.jsonl")))
    with pytest.raises(DataError, match=r"none\.jsonl: expected a file .* Set model\.path"):
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


def test_it_looks_completions_up_and_gives_repeated_prompts_their_own(tmp_path: Path) -> None:
    rows = [{"id": i, "prompt": "Rain", "completion": f"answer {i}"} for i in range(3)]
    model = replay(tmp_path / "c.jsonl", "\n".join(map(json.dumps, rows)))
    assert isinstance(model, LookupModel)
    prompts = [replace(PROMPT, example_id=str(i)) for i in (2, 0, 1)]
    assert [c.text for c in model.generate(prompts, SamplingParams())] == ["answer 2", "answer 0", "answer 1"]


def test_equal_completions_of_one_prompt_are_one(tmp_path: Path) -> None:
    model = replay(tmp_path / "c.jsonl", '{"prompt": "Rain", "completion": "x"}\n' * 2)
    assert [c.text for c in model.generate([PROMPT], SamplingParams())] == ["x"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", b"id,completion\n7,042\n"),
        ("c.csv.gz", gzip.compress(b"id;completion\n7;042\n", mtime=0)),
        ("c.tsv", b"prompt\tprediction\nRain\t042\n"),
        ("c.json", b'[{"id": 7, "completion": "042"}]'),
    ],
)
def test_files_are_of_the_kinds_that_a_task_reads(tmp_path: Path, name: str, content: bytes) -> None:
    assert [c.text for c in replay(tmp_path / name, content).generate([PROMPT], SamplingParams())] == ["042"]


def test_no_rule_truncates_but_reasoning_is_separated(tmp_path: Path) -> None:
    text = "<think>Is it wet?</think>\n\nWater. It\nfalls."
    model = replay(tmp_path / "c.jsonl", json.dumps({"id": 7, "completion": text}))
    (completion,) = model.generate([PROMPT], SamplingParams(stop=("Wa",), stop_at=StopAt.line))
    assert (completion.text, completion.reasoning, completion.raw) == ("Water. It\nfalls.", "Is it wet?", text)


def own(path: Path, content: str, **keys: str) -> ReplayModel:
    path.write_text(content)
    config = ReplayModelConfig(backend="replay", name="own", task_path=str(path), **keys)  # type: ignore[arg-type]
    return ReplayModel(config)


def test_the_predictions_of_the_tasks_own_file_belong_to_their_rows(tmp_path: Path) -> None:
    rows = [{"prompt": "Rain", "reference": i, "prediction": f"answer {i}"} for i in range(3)]
    content = "\n".join(map(json.dumps, rows))
    model = own(tmp_path / "scored.jsonl", content)
    examples = Jsonl(str(tmp_path / "scored.jsonl"), n_validation=None).load().validation
    prompts = [Prompt(example.id, source=example.prompt) for example in examples]
    completions = model.generate(prompts, SamplingParams())
    assert [c.text for c in completions] == [f"answer {example.reference}" for example in examples]
    assert own(tmp_path / "scored.jsonl", content, completion_key="reference").identity != model.identity


def test_references_are_never_scored_against_themselves(tmp_path: Path) -> None:
    model = own(tmp_path / "data.jsonl", '{"prompt": "Rain", "completion": "Water."}')
    with pytest.raises(ConfigError, match=r"no row of .* has 'prediction'\. Add model\.path=FILE.* set task\.pred"):
        list(model.generate([PROMPT], SamplingParams()))
    with pytest.raises(ConfigError, match=r"task\.prediction_key and task\.completion_key are both 'completion'"):
        own(tmp_path / "data.jsonl", "{}", completion_key="completion", reference_key="completion")
    with pytest.raises(ConfigError, match=r"model\.path has no value"):
        ReplayModel(ReplayModelConfig(backend="replay", name="none"))
