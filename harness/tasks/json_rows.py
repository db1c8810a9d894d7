"""Rows of JSON: one object per line, or one list of objects.

Numbers keep the text that stands in the file: a label 1.0 is "1.0", and 1.50 is not 1.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.tasks.rows import BadRow, NoticeTexts, Origins, Row
from harness.wording import at_most

BOM = b"\xef\xbb\xbf"
NOTICES: NoticeTexts = {
    "bom": ("file", "with a byte order mark, which was skipped"),
    "crlf": ("line", "with a Windows line ending (CR LF), which was read as LF"),
    "blank_lines": ("blank line", "skipped"),
}
_SPACE = re.compile(r"\s*")


class WrittenNumber(float):
    """A number of a JSON file, whose `str` is the text that stands there."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> WrittenNumber:
        """Read the number from its text."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def json_lines(file: Path, name: str, origins: Origins) -> Iterator[Row]:
    """Yield the rows of a file, with origins `name:line`; DataError if it is not a JSON lines file.

    `name` stands for the file in messages. Lines with a peculiarity that was tolerated are added to `origins`.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check its permissions.") from error
    check_text(data, name)
    if data.removeprefix(BOM).lstrip().startswith(b"["):
        raise DataError(
            f"{name}: expected one JSON object per line, got a JSON list. To convert it: jq -c '.[]' {name} > new.jsonl"
        )
    yield from lines(data, name, origins)


def check_text(data: bytes, name: str) -> None:
    """Raise a DataError unless these bytes may be text in UTF-8."""
    if not data.removeprefix(BOM).strip():
        raise DataError(f"{name}: expected one example per row, got an empty file.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:1000]:
        raise DataError(
            f"{name}: expected UTF-8, got UTF-16 or binary. To convert it: iconv -f UTF-16 -t UTF-8 {name} > new.jsonl"
        )


def check_document(data: bytes, name: str) -> None:
    """Raise a DataError where a file is one JSON object over several lines rather than one object per line."""
    try:
        document = json.loads(data.removeprefix(BOM))
    except (ValueError, RecursionError):
        return
    key = next((key for key, value in document.items() if isinstance(value, list)), None)
    convert = f"jq -c '.[{json.dumps(key)}][]'" if key else "jq -c ."
    raise DataError(
        f"{name}: expected one JSON object per line, or a list of them, got one object with the keys "
        f"{', '.join(at_most(list(document), 5))}. To convert it: {convert} {name} > new.jsonl"
    )


def lines(data: bytes, name: str, origins: Origins) -> Iterator[Row]:
    """Yield one row per line."""
    if data.startswith(BOM):
        origins["bom"].append(name)
    # Only LF ends a line: str.splitlines would also split at U+2028 and the like, which JSON allows in strings.
    for number, line in enumerate(data.removeprefix(BOM).removesuffix(b"\n").split(b"\n"), 1):
        origin = f"{name}:{number}"
        if line.endswith(b"\r"):
            origins["crlf"].append(origin)
        if line.strip():
            yield Row(origin, _values(line))
        else:
            origins["blank_lines"].append(origin)


def json_list(data: bytes, name: str, origins: Origins) -> Iterator[Row]:
    """Yield one row per item of a JSON list, with the lines at which the items start; DataError where it is damaged."""
    if data.startswith(BOM):
        origins["bom"].append(name)
    text = decoded(data, name)
    position, line, n_of_line = text.index("[") + 1, 1 + text.count("\n", 0, text.index("[")), 0
    position = _after_space(text, position)
    last = 0
    while not text.startswith("]", position):
        line, n_of_line = _line_of(text, last, position, line, n_of_line)
        origin, last = f"{name}:{line}" + (f" item {n_of_line}" if n_of_line > 1 else ""), position
        try:
            values, position = _DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{origin}: is not JSON: {error.msg} at line {error.lineno}. Write a list of objects."
            ) from error
        except BadRow as error:
            raise DataError(f"{origin}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{origin}: cannot be read as JSON: {error}") from error
        yield Row(origin, values)
        position = _after_space(text, position)
        if text.startswith(",", position):
            position = _after_space(text, position + 1)
        elif not text.startswith("]", position):
            raise DataError(f"{origin}: the list is cut off, or lacks a comma, after this item.")
    if text[position + 1 :].strip():
        raise DataError(f"{name}: expected one JSON list, got more text after it. Write one object per line instead.")


def decoded(data: bytes, name: str) -> str:
    """Return the text of a file; DataError names the line that is not UTF-8."""
    try:
        return data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise DataError(
            f"{name}:{line}: byte 0x{error.object[error.start]:02x} is not UTF-8. If the file is Latin-1: "
            f"iconv -f LATIN1 -t UTF-8 {name} > new"
        ) from error


def is_object(line: bytes) -> bool:
    """Return whether a line is a JSON object."""
    return isinstance(_values(line), dict)


def _line_of(text: str, last: int, position: int, line: int, n_of_line: int) -> tuple[int, int]:
    """Return the line of an item that starts at `position`, and which item of that line it is."""
    n_breaks = text.count("\n", last, position)
    return line + n_breaks, 1 if n_breaks else n_of_line + 1


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _values(line: bytes) -> object:
    try:
        return json.loads(line.decode(), **_HOOKS)
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


_HOOKS: dict[str, Any] = {"object_pairs_hook": _object, "parse_float": WrittenNumber, "parse_constant": WrittenNumber}
_DECODER = json.JSONDecoder(**_HOOKS)
