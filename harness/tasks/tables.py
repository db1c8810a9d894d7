"""Rows of tables: CSV, TSV and the like, and Parquet. The first row of a text table names its columns.

A cell is the text that stands there: 42, 007, True, NA and null are themselves. Only an empty cell is a missing value.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError, require
from harness.tasks.json_rows import BOM, decoded
from harness.tasks.rows import BadRow, NoticeTexts, Origins, Row
from harness.wording import counted

NOTICES: NoticeTexts = {
    "crlf_in_cells": ("row", "with a Windows line ending (CR LF) in a cell, which was read as LF"),
    "unnamed_column": ("column", "without a name, which was ignored"),
}
SEPARATORS = (",", "\t", ";", "|")
_MOST_CHARACTERS = 2**31 - 1
"""Of a cell: the largest limit that `csv` takes everywhere."""
_HEAD = 1_000_000
"""Characters that the first row is looked for in."""
_SEP_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""The first line by which Excel knows the separator."""


@dataclass(frozen=True, slots=True)
class Cells:
    """How the cells of a text table are told apart, and the columns that are looked for.

    `sep` None takes the separator under which the first row has most of the `keys`.
    """

    sep: str | None = None
    quote: str = '"'
    keys: Sequence[str] = ()

    def separator(self, head: str, default: str) -> str:
        """Return the separator of a table that begins with `head`; the `default` where others do as well."""
        if self.sep is not None:
            return {"\\t": "\t", "tab": "\t"}.get(self.sep, self.sep)
        if match := _SEP_LINE.match(head):
            return match[1]
        candidates = sorted(SEPARATORS, key=lambda sep: sep != default)
        columns = {sep: _first_row(head, sep, self.quote) for sep in candidates}
        return max(candidates, key=lambda sep: (len(set(self.keys) & set(columns[sep])), len(columns[sep])))

    def are_named_in(self, head: str) -> bool:
        """Return whether the first row names at least two of the columns that are looked for."""
        columns = _first_row(head, self.separator(head, ","), self.quote)
        return len(set(self.keys) & set(columns)) > 1


def delimited(data: bytes, name: str, cells: Cells, default: str, origins: Origins) -> Iterator[Row]:
    """Yield the rows of a text table, with origins `name:line`; DataError where it is not one."""
    if data.startswith(BOM):
        origins["bom"].append(name)
    text = decoded(data, name)
    sep = cells.separator(text[:_HEAD], default)
    if len(sep) != 1:
        raise DataError(f"{name}: task.sep: expected one character, such as ';' or '\\t', got {sep!r}")
    n_lines = 1 if _SEP_LINE.match(text) else 0
    records = _records(text.partition("\n")[2] if n_lines else text, name, sep, cells.quote, n_lines)
    line, first = next(records, (1, []))
    names = _column_names(first, name, sep, origins)
    for line, record in records:
        origin = f"{name}:{line}"
        if not any(cell.strip() for cell in record):
            origins["blank_lines"].append(origin)
            continue
        if any("\r\n" in cell for cell in record):
            origins["crlf_in_cells"].append(origin)
        yield Row(origin, _named(record, names, sep))


def parquet(data: bytes, name: str) -> Iterator[Row]:
    """Yield the rows of a Parquet file, with origins `name:row`; class labels of `datasets` are read as their names."""
    require("pyarrow", "files", instead="the data as CSV or JSON lines")
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
        labels = _class_labels(file.schema_arrow)
        if len(set(file.schema_arrow.names)) < len(file.schema_arrow.names):
            raise DataError(f"{name}: has two columns of one name: {', '.join(file.schema_arrow.names)}. Rename one.")
        for batch in file.iter_batches():
            for values in batch.to_pylist():
                number += 1
                try:
                    row: object = {key: plain(value, key, labels) for key, value in values.items()}
                except BadRow as problem:
                    row = problem
                yield Row(f"{name}:{number}", row)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name}: cannot be read as Parquet ({error}). Write the file again.") from error


def _first_row(head: str, sep: str, quote: str) -> list[str]:
    try:
        row = next(_records(head, "", sep, quote, 0), (1, []))[1]
    except DataError:
        return []
    return [cell.strip() for cell in row]


def _records(text: str, name: str, sep: str, quote: str, n_before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a table with the lines at which they start."""
    csv.field_size_limit(_MOST_CHARACTERS)
    stream = io.StringIO(text, newline="")
    if quote:
        reader = csv.reader(stream, delimiter=sep, quotechar=quote, strict=True)
    else:
        reader = csv.reader(stream, delimiter=sep, quoting=csv.QUOTE_NONE, strict=True)
    while True:
        line = n_before + reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{name}:{line}: cannot be read as a table ({error}). Inside a cell in quotation marks, a quotation "
                """mark is written twice (""); where quotation marks are text, set 'task.quote=""'."""
            ) from error
        if record is None:
            return
        yield line, record


def _column_names(first: Sequence[str], name: str, sep: str, origins: Origins) -> list[str]:
    names = [cell.strip() for cell in first]
    if len(names) < 2:
        raise DataError(
            f"{name}: expected a first row that names the columns, separated by {sep!r}, got {names[:1]}. "
            """Set task.sep to the separator, as in 'task.sep=";"'."""
        )
    named = [column for column in names if column]
    if len(set(named)) < len(named):
        twice = next(column for column in named if named.count(column) > 1)
        raise DataError(f"{name}: the first row names {twice!r} twice. Rename one of the columns.")
    if len(named) < len(names):
        origins["unnamed_column"] += [f"{name} column {i}" for i, column in enumerate(names, 1) if not column]
    return names


def _named(record: Sequence[str], names: Sequence[str], sep: str) -> object:
    if len(record) != len(names):
        return BadRow(
            f"has {counted(len(record), 'cell')} where the first row names {counted(len(names), 'column')}; put cells "
            f"with {sep!r} or a line break into quotation marks, or set task.sep"
        )
    return {name: cell.replace("\r\n", "\n") or None for name, cell in zip(names, record, strict=True) if name}


def _class_labels(schema: Any) -> Mapping[str, Sequence[str]]:
    """Return the names of the class labels by column, as `datasets` notes them in a file's metadata."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {
            key: f["names"] for key, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def plain(value: Any, key: str, labels: Mapping[str, Sequence[str]] | None = None) -> object:
    """Return the value of a typed column as JSON has it; `labels` are the names of class labels by column."""
    if value is None or (isinstance(value, float) and math.isnan(value)):  # which pandas writes for a missing value
        return None
    if labels and key in labels and isinstance(value, int):
        if not 0 <= value < len(labels[key]):  # -1, where a test split hides its labels
            raise BadRow(f"{key}: has a class label without a name ({value}); choose a split with labels")
        return labels[key][value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadRow(f"{key}: expected text, got bytes that are not UTF-8; remove the column") from None
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | decimal.Decimal):
        return str(value)
    return value
