"""Data files of every kind: located, decompressed, and read into rows.

What a file holds is known from its name, and from its first characters where the name says nothing or something else.
"""

from __future__ import annotations

import difflib
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import DataError, require
from harness.paths import data_ending, resolve
from harness.tasks import json_rows, tables
from harness.tasks.rows import NoticeTexts, Origins, Row
from harness.tasks.tables import Cells

NOTICES: NoticeTexts = {**json_rows.NOTICES, **tables.NOTICES}
_SEPARATOR = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_OTHER_KINDS = {
    b"PK\x03\x04": "an Excel or ZIP file; save the sheet as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel file; save the sheet as CSV",
    b"BZh": "a bzip2 file; unpack it",
    b"\xfd7zXZ": "an xz file; unpack it",
    b"ARROW1": "an Arrow file; save it as Parquet, or use task=hub with its folder",
    b"SQLite": "an SQLite database; export the table as CSV",
}


def located(path: str, setting: str = "task.path") -> Path:
    """Return the data file at `path`; DataError, with a similar file where there is one, if there is none."""
    file = resolve(path)
    if not file.is_file():
        names = [p.name for p in file.parent.glob("*") if data_ending(p.name)]
        near = difflib.get_close_matches(file.name, names, n=1)
        hint = f" Did you mean {file.with_name(near[0])}?" if near else ""
        is_folder = "a folder; give a file in it, or use task=hub"
        got = is_folder if file.is_dir() else f"nothing there (looked for {file.absolute()})"
        raise DataError(f"{path}: expected a file of JSON, CSV, TSV or Parquet, got {got}.{hint} Set {setting}.")
    return file


def read_bytes(file: Path, name: str) -> bytes:
    """Return the content of a file, decompressed; DataError where it cannot be read."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check its permissions.") from error
    decompress = next((function for magic, function in _DECOMPRESS.items() if data.startswith(magic)), None)
    if decompress is None:
        return data
    try:
        return decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: is damaged or cut off ({error}). Compress it again.") from error


def rows_of(data: bytes, name: str, cells: Cells, origins: Origins) -> Iterator[Row]:
    """Yield the rows of a decompressed file, with origins `name:line`; DataError if it is of no kind that is read.

    `name` stands for the file in messages, and its ending for what the file holds. Lines with a peculiarity that was
    tolerated are added to `origins`.
    """
    if data.startswith(b"PAR1"):
        yield from tables.parquet(data, name)
        return
    if kind := next((kind for magic, kind in _OTHER_KINDS.items() if data.startswith(magic)), None):
        raise DataError(f"{name}: expected JSON, CSV, TSV or Parquet, got {kind}.")
    json_rows.check_text(data, name)
    begin = data[:1_000_000].removeprefix(json_rows.BOM).lstrip()
    ending = data_ending(name)
    if ending in (".parquet", ".pq"):
        raise DataError(f"{name}: expected Parquet, as its name says, got text. Rename it by what it holds.")
    is_json = begin.startswith(b"[") or (begin.startswith(b"{") and json_rows.is_object(begin.partition(b"\n")[0]))
    if ending in _SEPARATOR and not (is_json and begin.startswith(b"{")):
        yield from tables.delimited(data, name, cells, _SEPARATOR[ending], origins)
    elif begin.startswith(b"["):
        yield from json_rows.json_list(data, name, origins)
    elif not begin.startswith(b"{") and cells.are_named_in(begin.decode("utf-8", "replace")):
        yield from tables.delimited(data, name, cells, ",", origins)
    else:
        if begin.startswith(b"{") and not is_json:
            json_rows.check_document(data, name)
        yield from json_rows.lines(data, name, origins)


def _zstandard(data: bytes) -> bytes:
    require("zstandard", "files", instead="the file unpacked (zstd -d)")
    import zstandard

    parts = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(frame.decompress(data))
        except zstandard.ZstdError as error:
            raise EOFError(error) from error
        if not frame.eof:
            raise EOFError("the file ends early")
        data = frame.unused_data
    return b"".join(parts)


_DECOMPRESS: dict[bytes, Callable[[bytes], bytes]] = {b"\x1f\x8b": gzip.decompress, b"\x28\xb5\x2f\xfd": _zstandard}
"""By the first bytes of a compressed file, whatever its name."""
