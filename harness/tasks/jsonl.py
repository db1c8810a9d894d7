"""A task of your own: JSON lines with a prompt, a completion and slices, or chats in OpenAI's fine-tuning format.

    {"prompt": "Photosynthesis", "completion": "Photosynthesis is …", "topic": "Biology"}
    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], "topic": "Biology"}

An optional `id` is kept; without one it is made from the prompt. The whole file is checked before any work starts.
"""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.paths import resolve
from harness.tasks.rows import BadRow, Columns, NoticeTexts, Origins, Row, notices, parse
from harness.tasks.split import pools
from harness.types import Corpus, Example, Notice

_BOM = b"\xef\xbb\xbf"
_NOTICES: NoticeTexts = {
    "bom": ("file", "with a byte order mark, which was skipped"),
    "crlf": ("line", "with a Windows line ending (CR LF), which was read as LF"),
    "blank_lines": ("blank line", "skipped"),
}


@dataclass(frozen=True, slots=True)
class Jsonl:
    """JSON lines from one file, which is split into both pools, or from a training file and a validation file.

    With a `train_path`, `path` is the validation file. `slices` are the keys to report by; None takes every other key
    with a scalar. Up to `validation_pool` rows of a single file are set aside for validation.
    """

    path: str
    train_path: str | None = None
    prompt_key: str = "prompt"
    completion_key: str = "completion"
    slices: Sequence[str] | None = None
    validation_pool: int = 2000
    split_seed: int = 0

    def load(self) -> Corpus:
        """Return the checked corpus; DataError reports file, line and fix for whatever cannot be used."""
        examples, file_notices = self._read(self.path)
        if self.train_path:
            train, train_notices = self._read(self.train_path)
            validation, file_notices = examples, (*file_notices, *train_notices)
        else:
            train, validation = pools(examples, self.validation_pool, self.split_seed)
        return Corpus(Path(self.path).stem, self.path, "not stated", train, validation, file_notices)

    def _read(self, path: str) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
        origins: Origins = defaultdict(list)
        rows = json_lines(_file(path), path, origins)
        examples, row_notices = parse(path, rows, Columns(self.prompt_key, self.completion_key, self.slices))
        return examples, (*notices(origins, _NOTICES), *row_notices)


def json_lines(file: Path, name: str, origins: Origins) -> Iterator[Row]:
    """Yield the rows of a file, with origins `name:line`; DataError if it is not a JSON lines file.

    `name` stands for the file in messages. Lines with a peculiarity that was tolerated are added to `origins`.
    """
    yield from _rows(name, _bytes(file, name), origins)


def _file(path: str) -> Path:
    file = resolve(path)
    if not file.is_file():
        near = difflib.get_close_matches(file.name, [p.name for p in file.parent.glob("*.json*")], n=1)
        hint = f" Did you mean {file.with_name(near[0])}?" if near else ""
        got = "a folder; give a file in it" if file.is_dir() else f"nothing there (looked for {file.absolute()})"
        raise DataError(f"{path}: expected a JSON lines file, got {got}.{hint}")
    return file


def _bytes(file: Path, path: str) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    if not data.strip():
        raise DataError(f"{path}: expected one JSON object per line, got an empty file.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:1000]:
        raise DataError(
            f"{path}: expected UTF-8, got UTF-16 or binary. To convert it: iconv -f UTF-16 -t UTF-8 {path} > new.jsonl"
        )
    if data.removeprefix(_BOM).lstrip().startswith(b"["):
        raise DataError(
            f"{path}: expected one JSON object per line, got a JSON list. To convert it: jq -c '.[]' {path} > new.jsonl"
        )
    return data


def _rows(path: str, data: bytes, origins: Origins) -> Iterator[Row]:
    if data.startswith(_BOM):
        origins["bom"].append(path)
    # Only LF ends a line: str.splitlines would also split at U+2028 and the like, which JSON allows in strings.
    lines = data.removeprefix(_BOM).removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, 1):
        origin = f"{path}:{number}"
        if line.endswith(b"\r"):
            origins["crlf"].append(origin)
        if line.strip():
            yield Row(origin, _values(line))
        else:
            origins["blank_lines"].append(origin)


def _values(line: bytes) -> object:
    try:
        return json.loads(line.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        return BadRow(
            f"byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8. If the file is Latin-1: "
            "iconv -f LATIN1 -t UTF-8"
        )
    except json.JSONDecodeError as error:
        return BadRow(f"is not JSON: {error.msg} at character {error.pos + 1}; write one object per line")
    except BadRow as problem:
        return problem
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of nested brackets
        return BadRow(f"cannot be read as JSON: {error}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise BadRow(f"has {next(key for key in keys if keys.count(key) > 1)!r} twice; JSON would keep only the last")
    return values
