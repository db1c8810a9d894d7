import json
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.tasks.jsonl import Jsonl
from harness.types import Corpus, Example, Message

GOOD = '{"prompt": "Mole", "completion": "An animal."}'
ASK, ANSWER = {"role": "user", "content": "Mole?"}, {"role": "assistant", "content": "An animal."}


def load(tmp_path: Path, content: str | bytes, **options: object) -> Corpus:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Jsonl(str(path), **options).load()  # type: ignore[arg-type]


def codes(corpus: Corpus) -> list[tuple[str, int]]:
    """Return the notices but for the line about the split, which every file gets."""
    return [(notice.code, notice.count) for notice in corpus.notices if notice.code != "split"]


def only(corpus: Corpus) -> Example:
    assert corpus.train == ()
    (example,) = corpus.validation
    return example


def chat(*messages: object) -> str:
    return json.dumps({"messages": messages})


FILES = [
    # the file's bytes, and what the error says
    (b"", "got an empty file"),
    (b"\n \n", "got an empty file"),
    (GOOD.encode("utf-16"), "got UTF-16 or binary. To convert it: iconv -f UTF-16"),
    (GOOD.encode("utf-16-le"), "got UTF-16 or binary"),
    (b"PK\x03\x04 a sheet", "got an Excel or ZIP file; save the sheet as CSV"),
    (
        b'{"data": [\n' + GOOD.encode() + b"\n]}",
        "got one object with the keys data. To convert it: jq -c '.[",
    ),
]


@pytest.mark.parametrize(("content", "message"), FILES)
def test_files_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=r"data\.jsonl: expected") as caught:
        load(tmp_path, content)
    assert message in str(caught.value)


ROWS = [
    # the second line of a file, and what the error says after data.jsonl:2
    ('{"prompt": "caf\\u00e9", ', "is not JSON"),
    (b'{"prompt": "caf\xe9", "completion": "x"}', "byte 16 (0xe9) is not UTF-8. If the file is Latin-1: iconv"),
    ("[1]", "expected an object such as {"),
    ('"text"', "expected an object such as"),
    ('{"promt": "a", "completion": "b"}', "Unknown key 'prompt'. Did you mean 'promt'? Valid: completion, promt."),
    ('{"prompt": "a"}', "Valid: prompt. Rename it, or set task.completion_key."),
    ('{"prompt": "a", "target": "b"}', "Rename it, or set task.completion_key=target."),
    ('{"Question": "a", "answer": "b"}', "or set task.prompt_key=Question task.completion_key=answer."),
    (
        '{"prompt": "a", "completion": "b", "reference": "c"}',
        "has both 'completion' and 'reference'; set task.",
    ),
    ('{"prompt": "a", "completion": null}', "completion: expected text, got null or an empty cell"),
    ('{"prompt": "a", "completion": NaN}', "completion: expected text, got the number NaN"),
    ('{"prompt": "a", "completion": "b", "tools": [{"name": "f"}]}', "tools: would change what the model sees"),
    ('{"prompt": ["a"], "completion": "b"}', "prompt: expected text, got a list"),
    ('{"prompt": "", "completion": "b"}', "prompt: expected text, got ''"),
    ('{"prompt": "a", "completion": " \\n"}', "completion: expected text, got ' \\n'"),
    ('{"prompt": "a\\u0000", "completion": "b"}', "prompt: has a null byte at character 2"),
    ('{"prompt": "a", "completion": "b\\ud800"}', "completion: has an unpaired surrogate at character 2"),
    ('{"prompt": "a", "prompt": "b", "completion": "c"}', "has 'prompt' twice"),
    ('{"id": 1, "prompt": "a", "completion": "b"}', "id 1 is that of {path}:1 too"),
    ('{"id": [1], "prompt": "a", "completion": "b"}', "id: expected text or a whole number, got a list"),
    ('{"id": 2.0, "prompt": "a", "completion": "b"}', "id: expected text or a whole number, got the number 2.0"),
    ('{"id": true, "prompt": "a", "completion": "b"}', "id: expected text or a whole number, got a boolean"),
    ("[" * 100_000, "cannot be read as JSON"),
    (
        '{"messages": "Mole?"}',
        "messages: expected a list that ends with a user message and the assistant's answer, got text",
    ),
    (chat(ASK), "messages: expected a list that ends with a user message and the assistant's answer, got 1 message"),
    (chat(ANSWER, ASK), "messages: expected the last one to be the assistant's, the completion, got 'user'"),
    (chat(ANSWER, ANSWER), "messages: expected a user message before the completion, got 'assistant'"),
    (chat("Mole?", ANSWER), "messages[0]: expected an object with role and content, got text"),
    (chat({"role": "tool", "content": "x"}, ASK, ANSWER), "messages[0].role: expected one of system, developer"),
    (chat(ASK, {**ANSWER, "content": [{"type": "text"}]}), "messages[1].content: expected text, got a list"),
    (chat(ASK, {**ANSWER, "weight": 0}), "messages[1]: only role and content are supported, got weight"),
    *(
        (json.dumps({"messages": [ASK, ANSWER], key: value}), f"{key}: would change what the model sees")
        for key, value in (
            ("tools", [{"type": "function"}]),
            ("parallel_tool_calls", False),
            ("functions", [{"name": "f"}]),
            ("tool_choice", "auto"),
            ("response_format", {"type": "json_object"}),
            ("system", "Be brief."),
        )
    ),
]


@pytest.mark.parametrize(("row", "message"), ROWS)
def test_rows_that_are_refused(tmp_path: Path, row: str | bytes, message: str) -> None:
    first = b'{"id": "1", "prompt": "Mole", "completion": "An animal."}\n'
    with pytest.raises(DataError) as caught:
        load(tmp_path, first + (row if isinstance(row, bytes) else row.encode()) + b"\n")
    path = tmp_path / "data.jsonl"
    assert f"{path}: 1 of 2 rows cannot be used:\n  {path}:2: " in str(caught.value)
    assert message.replace("{path}", str(path)) in str(caught.value)


def test_bad_rows_are_shown_together_and_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, "\n".join([GOOD, *["{"] * 8]))
    first, *shown, more = str(caught.value).splitlines()
    assert first.endswith("8 of 9 rows cannot be used:")
    assert [line.split(": ")[0].rpartition(":")[2] for line in shown] == ["2", "3", "4", "5", "6"]
    assert more == "  and 3 more"


def test_a_missing_file_suggests_a_similar_one_and_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(GOOD)
    with pytest.raises(DataError, match=r"nothing there .*Did you mean .*train\.jsonl\?"):
        Jsonl(str(tmp_path / "trian.jsonl")).load()
    with pytest.raises(DataError, match="got a folder"):
        Jsonl(str(tmp_path)).load()


NOTICED = [
    # what is read all the same, the notice's code, its count
    (b"\xef\xbb\xbf" + GOOD.encode(), "bom", 1),
    (GOOD.encode() + b"\r\n", "crlf", 1),
    (b"\n\n" + GOOD.encode() + b"\n  \n", "blank_lines", 3),
    (b'{"prompt": "Mole", "completion": " An animal.\\n"}', "outer_space", 1),
    (b'{"prompt": "Mole", "completion": "An animal.", "meta": {"a": 1}}', "nested_keys", 1),
]


@pytest.mark.parametrize(("content", "code", "count"), NOTICED)
def test_what_is_tolerated_is_counted(tmp_path: Path, content: bytes, code: str, count: int) -> None:
    corpus = load(tmp_path, content)
    assert codes(corpus) == [(code, count)]
    assert (only(corpus).prompt, only(corpus).reference, only(corpus).slices) == ("Mole", "An animal.", {})


@pytest.mark.parametrize(("n", "start"), [(1, "line with a Windows"), (2, "lines with a Windows")])
def test_the_noun_of_a_notice_agrees_with_its_count(tmp_path: Path, n: int, start: str) -> None:
    rows = "".join(GOOD.replace("Mole", f"Mole {i}") + "\r\n" for i in range(n))
    split, notice = load(tmp_path, rows).notices
    assert split.message.startswith("row" if n == 1 else "rows")
    assert notice.message.startswith(start)


def test_an_example_has_its_text_slices_and_line(tmp_path: Path) -> None:
    row = {"prompt": " What\u2028is it? ", "completion": "A mole.", "n": 3, "x": 0.5, "ok": True, "t": "a", "no": None}
    example = only(load(tmp_path, json.dumps(row, ensure_ascii=False)))
    assert example.prompt == " What\u2028is it? "
    assert example.slices == {"n": "3", "ok": "true", "t": "a", "x": "0.5"}
    assert example.origin == f"{tmp_path / 'data.jsonl'}:1"
    assert example.id == "what-is-it-b81b245e29c5"


def test_own_keys_ids_and_slices(tmp_path: Path) -> None:
    row = '{"id": 7, "q": "Mole?", "a": "Yes", "prompt": "x", "topic": "fur", "long": [1]}'
    example = only(load(tmp_path, row, prompt_key="q", completion_key="a", slices=["topic"]))
    assert (example.id, example.prompt, example.reference, example.slices) == ("7", "Mole?", "Yes", {"topic": "fur"})
    with pytest.raises(DataError, match=r"Unknown key in task\.slices 'topics'\. Did you mean 'topic'\?"):
        load(tmp_path, row, prompt_key="q", completion_key="a", slices=["topics"])
    with pytest.raises(DataError, match=r"slice 'long': expected text, a number or a boolean, got a list"):
        load(tmp_path, row, prompt_key="q", completion_key="a", slices=["long"])


def test_a_chat_of_one_turn_is_a_prompt(tmp_path: Path) -> None:
    example = only(load(tmp_path, json.dumps({"messages": [ASK, {**ANSWER, "refusal": None}], "topic": "fur"})))
    assert (example.prompt, example.reference, example.messages) == ("Mole?", "An animal.", ())
    assert example.slices == {"topic": "fur"}


def test_a_conversation_keeps_its_turns_and_is_noticed(tmp_path: Path) -> None:
    corpus = load(tmp_path, chat({"role": "system", "content": "Be brief."}, ASK, ANSWER))
    assert only(corpus).prompt == "Be brief.\n\nMole?"
    assert only(corpus).messages == (Message("system", "Be brief."), Message("user", "Mole?"))
    assert codes(corpus) == [("conversations", 1)]


def test_repeated_prompts_stay_in_one_pool_with_ids_of_their_own(tmp_path: Path) -> None:
    rows = [json.dumps({"prompt": f"p{i // 2}", "completion": f"c{i}"}) for i in range(20)]
    corpus = load(tmp_path, "\n".join(rows), validation_pool=5)
    assert codes(corpus) == [("duplicate_prompts", 10)]
    assert len({e.id for e in (*corpus.train, *corpus.validation)}) == 20
    assert not {e.prompt for e in corpus.train} & {e.prompt for e in corpus.validation}
    assert len(corpus.validation) == 4


def test_two_files_keep_their_roles(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(GOOD + "\n" + GOOD.replace("Mole", "Vole") + "\r\n")
    corpus = load(tmp_path, GOOD, train_path=str(tmp_path / "train.jsonl"), validation_pool=0)
    assert [e.prompt for e in corpus.train] == ["Mole", "Vole"]
    assert [e.prompt for e in corpus.validation] == ["Mole"]
    assert [notice.code for notice in corpus.notices] == ["crlf"]
    assert (corpus.name, corpus.source) == ("data", str(tmp_path / "data.jsonl"))


@pytest.mark.parametrize("text", ["42", "-7", "1.0", "1.50", "1e5", "true", "false"])
def test_numbers_and_booleans_are_labels_as_they_are_written(tmp_path: Path, text: str) -> None:
    corpus = load(tmp_path, f'{{"prompt": {text}, "completion": {text}, "slice": {text}}}')
    example = only(corpus)
    assert (example.prompt, example.reference, example.slices) == (text, text, {"slice": text})
    assert codes(corpus) == [("labels", 2)]


def test_ids_with_zeros_before_them_are_others(tmp_path: Path) -> None:
    rows = [{"id": 7, "prompt": "a", "completion": "b"}, {"id": "007", "prompt": "c", "completion": "d"}]
    assert {e.id for e in load(tmp_path, "\n".join(map(json.dumps, rows))).validation} == {"7", "007"}


def test_a_reference_beside_a_prediction_is_the_completion(tmp_path: Path) -> None:
    row = {"prompt": "a", "reference": "b", "prediction": "c", "finish_reason": "stop", "topic": "fur"}
    example = only(load(tmp_path, json.dumps(row)))
    assert (example.reference, example.slices) == ("b", {"topic": "fur"})
    own = {"prompt": "a", "gold": "b", "output": "c"}
    example = only(load(tmp_path, json.dumps(own), completion_key="gold", prediction_key="output"))
    assert (example.reference, example.slices) == ("b", {})


SPLITS = [
    # rows, n_validation, and what the line about them says
    (1, "auto", "row: 1 scored, none for training"),
    (2, "auto", "rows: 2 scored, none for training"),
    (5, "auto", "rows: 4 scored, 1 for training; task.n_validation=null scores them all"),
    (24, "auto", "rows: 20 scored, 4 for training; task.n_validation=null scores them all"),
    (24, 24, "rows: 24 scored, none for training"),
    (24, None, "rows: 24 scored, none for training"),
    (80, "auto", "rows: 64 scored, 16 for training; task.n_validation=null scores them all"),
    (80, "pool", "rows: 64 scored, 16 for training; task.n_validation=null scores them all"),
    (80, 70, "rows: 70 scored, 10 for training"),
    (400, "auto", "rows: 64 scored, 16 more for validation, 320 for training; task.n_validation=null scores them all"),
]


@pytest.mark.parametrize(("n", "n_validation", "message"), SPLITS)
def test_the_split_of_one_file_follows_its_size(
    tmp_path: Path, n: int, n_validation: int | str | None, message: str
) -> None:
    rows = "\n".join(GOOD.replace("Mole", f"Mole {i}") for i in range(n))
    corpus = load(tmp_path, rows, n_validation=n_validation)
    assert len(corpus.train) + len(corpus.validation) == n
    (notice,) = corpus.notices
    assert (notice.count, notice.message) == (n, message)
