"""Files of every kind are read as they are, or refused with what mends them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.paths import stem
from harness.tasks.jsonl import Jsonl
from harness.types import Example

Cells = Sequence[Mapping[str, str]]
ROWS: Cells = [
    {"prompt": "two\nlines", "completion": "007", "topic": "True"},
    {"prompt": 'say "a, b; c\td"', "completion": "NA", "topic": "null"},
    {"prompt": "東京", "completion": "1.50", "topic": "x|y"},
]


def table(rows: Cells, sep: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=sep)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def lines(rows: Cells) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def parquet(rows: Cells) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), sink)
    return bytes(sink.getvalue())


def zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.compress(data[:10]) + zstandard.compress(data[10:])


def whole(data: bytes) -> bytes:
    return data


def read(path: Path, **options: object) -> list[Example]:
    corpus = Jsonl(str(path), n_validation=None, **options).load()  # type: ignore[arg-type]
    assert corpus.train == ()
    return sorted(corpus.validation, key=lambda example: example.prompt)


KINDS: list[tuple[str, Callable[[Cells], bytes]]] = [
    ("data.jsonl", lines),
    ("data.json", lines),
    ("data.json", lambda rows: json.dumps(rows, indent=2).encode()),
    ("data.json", lambda rows: json.dumps(rows).encode()),
    ("data.txt", lambda rows: json.dumps(rows).encode()),
    ("data.csv", lambda rows: table(rows, ",")),
    ("data.csv", lambda rows: table(rows, ";")),
    ("data.csv", lambda rows: table(rows, "\t")),
    ("data.csv", lines),
    ("data.tsv", lambda rows: table(rows, "\t")),
    ("data.tsv", lambda rows: table(rows, "|")),
    ("data", lambda rows: table(rows, ";")),
    ("data.jsonl", lambda rows: table(rows, ",")),
    ("data.csv", lambda rows: b"\xef\xbb\xbf" + table(rows, ",")),
    ("data.csv", lambda rows: b"sep=;\r\n" + table(rows, ";")),
    ("data.csv", lambda rows: table(rows, ",").replace(b"\r\n", b"\n")),
    ("data.parquet", parquet),
    ("data", parquet),
]


@pytest.mark.parametrize(("compressed", "compress"), [("", whole), (".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize(("name", "write"), KINDS)
def test_every_kind_gives_the_same_examples(
    tmp_path: Path,
    name: str,
    write: Callable[[Cells], bytes],
    compressed: str,
    compress: Callable[[bytes], bytes],
) -> None:
    path = tmp_path / f"{name}{compressed}"
    path.write_bytes(compress(write(ROWS)))
    examples = [(e.prompt, e.reference, e.slices) for e in read(path)]
    rows = sorted(ROWS, key=lambda row: row["prompt"])
    assert examples == [(row["prompt"], row["completion"], {"topic": row["topic"]}) for row in rows]


def test_the_line_of_a_row_is_that_at_which_it_starts(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(table(ROWS, ","))
    assert {e.reference: e.origin.rpartition(":")[2] for e in read(tmp_path / "data.csv")} == {
        "007": "2",
        "NA": "4",
        "1.50": "5",
    }
    (tmp_path / "list.json").write_text('[\n{"prompt": "a", "completion": "1"},\n\n{"prompt": "b", "completion": "2"}]')
    assert [e.origin.rpartition(":")[2] for e in read(tmp_path / "list.json")] == ["2", "4"]


TABLES = [
    # a table, the options, and the prompts and completions that are read
    ("prompt^completion\na^b\n", {"sep": "^"}, [("a", "b")]),
    ("prompt\tcompletion\na\tb\n", {"sep": "\\t"}, [("a", "b")]),
    ('prompt\tcompletion\n"Hi" she said\tx"\n', {"quote": ""}, [('"Hi" she said', 'x"')]),
    (",prompt,completion\n0,a,b\n", {}, [("a", "b")]),
    ("prompt, completion\na,b\n,\n\n", {}, [("a", "b")]),
    ('prompt,completion\n"a\r\nb",c\n', {}, [("a\nb", "c")]),
    ("question;answer\na, b;c\n", {"prompt_key": "question", "completion_key": "answer"}, [("a, b", "c")]),
    (f"prompt,completion\n{'x' * 200_000},c\n", {}, [("x" * 200_000, "c")]),
]


@pytest.mark.parametrize(("content", "options", "expected"), TABLES, ids=range(len(TABLES)))
def test_tables(tmp_path: Path, content: str, options: dict[str, str], expected: list[tuple[str, str]]) -> None:
    (tmp_path / "data.csv").write_bytes(content.encode())
    assert [(e.prompt, e.reference) for e in read(tmp_path / "data.csv", **options)] == expected
    assert all(e.slices == {} for e in read(tmp_path / "data.csv", **options))


REFUSED = [
    ("data.csv", b"prompt,completion\na,\n", r"data\.csv:2: completion: expected text, got null or an empty cell"),
    (
        "data.csv",
        b"prompt,completion\na,b,c\n",
        r"data\.csv:2: has 3 cells where .* names 2 .* set task\.sep",
    ),
    ("data.csv", b"prompt,completion\n\na\n", r"data\.csv:3: has 1 cell where the first row names 2 columns"),
    (
        "data.csv",
        b'prompt,completion\n"a,b\nc,d\n',
        r"data\.csv:2: cannot be read as a table .* set 'task\.quote=",
    ),
    ("data.csv", b'prompt,completion\n"a" b,c\n', r"data\.csv:2: cannot be read as a table"),
    ("data.csv", b"prompt,completion,prompt\na,b,c\n", r"names 'prompt' twice"),
    ("data.csv", b"prompt^completion\na^b\n", r"Set task\.sep to the separator"),
    ("data.csv", b"question,answer\na,b\n", r"set task\.prompt_key=question task\.completion_key=answer"),
    ("data.csv", b"prompt,completion\nx,y\ncaf\xe9,b\n", r"data\.csv:3: byte 0xe9 is not UTF-8"),
    ("data.csv", b"prompt,completion\n", r"got no rows"),
    ("data.csv.gz", gzip.compress(b"prompt,completion\na,b\n", mtime=0)[:-9], r"is damaged or cut off"),
    ("data.csv.gz", b"\x1f\x8b\x08\0\0\0", r"is damaged or cut off"),
    ("data.zst", b"\x28\xb5\x2f\xfdabc", r"is damaged or cut off"),
    ("data.parquet", b"PAR1 and no more", r"cannot be read as Parquet"),
    ("data.parquet", b"prompt,completion\na,b\n", r"expected Parquet, as its name says, got text"),
    ("data.json", b'[{"prompt": "a", "completion": "b"}', r"data\.json:1: the list is cut off"),
    ("data.json", b'[{"prompt": "a", "completion": "b"},\n{"prompt": }]', r"data\.json:2: is not JSON"),
    ("data.json", b'[{"prompt": "a", "completion": "b"}] x', r"got more text after it"),
]


@pytest.mark.parametrize(("name", "content", "message"), REFUSED)
def test_what_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)


def test_class_labels_of_a_parquet_file_are_their_names(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(prompt=datasets.Value("string"), completion=datasets.ClassLabel(names=["bad", "good"]))
    data = datasets.Dataset.from_dict({"prompt": ["a", "b"], "completion": [1, 0]}, features=features)
    data.to_parquet(tmp_path / "data.parquet")
    assert [e.reference for e in read(tmp_path / "data.parquet")] == ["good", "bad"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/val.jsonl", "val"),
        ("val.v2.csv.gz", "val.v2"),
        ("VAL.JSON.ZST", "VAL"),
        ("org/name", "name"),
        ("folder/", "folder"),
        ("ft:gpt-4.1:org::abc", "ft:gpt-4.1:org::abc"),
        ("weights.gz", "weights.gz"),
    ],
)
def test_the_name_of_a_file(path: str, name: str) -> None:
    assert stem(path) == name
