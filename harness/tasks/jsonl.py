"""Anybody's own task: JSON lines with a prompt, a completion and slices, or chats as OpenAI's fine-tuning takes them.

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
from harness.tasks.fields import BadRow
from harness.tasks.notices import Seen, notices
from harness.tasks.rows import Columns, Row, parse
from harness.tasks.split import pools
from harness.types import Corpus, Example, Notice

_BOM = b"\xef\xbb\xbf"
_NOTICES = {
    "bom": "files start with a byte order mark, which was skipped",
    "crlf": "lines end in CR LF, as on Windows; they were read as if in LF",
    "blank_lines": "lines are blank and were skipped",
}


@dataclass(frozen=True, slots=True)
class Jsonl:
    """JSON lines from one file, which is split into both pools, or from two, which keep their roles.

    `path` is the validation file where there is a `train_path`. `slices` are the keys to report by; None takes
    every other key with a scalar. Up to `validation_pool` rows of a single file are set aside for validation.
    """

    path: str
    train_path: str | None = None
    prompt_key: str = "prompt"
    completion_key: str = "completion"
    slices: Sequence[str] | None = None
    validation_pool: int = 2000
    split_seed: int = 0

    def load(self) -> Corpus:
        """Return the checked corpus; DataError names file, line and mend for whatever cannot be used."""
        examples, found = self._read(self.path)
        if self.train_path:
            train, more = self._read(self.train_path)
            validation, found = examples, (*found, *more)
        else:
            train, validation = pools(examples, self.validation_pool, self.split_seed)
        return Corpus(Path(self.path).stem, self.path, "not stated", train, validation, found)

    def _read(self, path: str) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
        seen: Seen = defaultdict(list)
        rows = _rows(path, _bytes(path), seen)
        examples, found = parse(path, rows, Columns(self.prompt_key, self.completion_key, self.slices))
        return examples, (*notices(seen, _NOTICES), *found)


def _bytes(path: str) -> bytes:
    file = resolve(path)
    if not file.is_file():
        near = difflib.get_close_matches(file.name, [p.name for p in file.parent.glob("*.json*")], n=1)
        hint = f" Did you mean {file.with_name(near[0])}?" if near else ""
        got = "a folder; name a file in it" if file.is_dir() else f"nothing there (looked for {file.absolute()})"
        raise DataError(f"{path}: expected a JSON lines file, got {got}.{hint}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    if not data.strip():
        raise DataError(f"{path}: expected a JSON object a line, got an empty file.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:1000]:
        raise DataError(
            f"{path}: expected UTF-8, got UTF-16 or binary. Mend: iconv -f UTF-16 -t UTF-8 {path} > new.jsonl"
        )
    if data.removeprefix(_BOM).lstrip().startswith(b"["):
        raise DataError(f"{path}: expected a JSON object a line, got a JSON list. Mend: jq -c '.[]' {path} > new.jsonl")
    return data


def _rows(path: str, data: bytes, seen: Seen) -> Iterator[Row]:
    if data.startswith(_BOM):
        seen["bom"].append(path)
    # Only LF ends a line: str.splitlines would also break texts at U+2028 and the like, which JSON allows in strings.
    lines = data.removeprefix(_BOM).removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, 1):
        origin = f"{path}:{number}"
        if line.endswith(b"\r"):
            seen["crlf"].append(origin)
        if line.strip():
            yield Row(origin, _values(line))
        else:
            seen["blank_lines"].append(origin)


def _values(line: bytes) -> object:
    try:
        return json.loads(line.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        return BadRow(
            f"byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8. If the file is Latin-1: "
            "iconv -f LATIN1 -t UTF-8"
        )
    except json.JSONDecodeError as error:
        return BadRow(f"is not JSON: {error.msg} at character {error.pos + 1}; write one object a line")
    except BadRow as problem:
        return problem
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets a thousand deep
        return BadRow(f"is not JSON that can be read: {error}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise BadRow(f"has {next(key for key in keys if keys.count(key) > 1)!r} twice; JSON would keep only the last")
    return values
