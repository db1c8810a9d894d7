"""Append-only logs of values by key, such as completions, so that none is ever paid for twice."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Generic, TypeVar

from harness.errors import StoreError
from harness.store.digest import canonical
from harness.store.locks import locked

T = TypeVar("T")


class Log(Generic[T]):
    """An append-only JSONL file of values by key, such as completions, so that none is ever paid for twice."""

    def __init__(self, path: Path, row: Callable[[T], dict[str, Any]], value: Callable[[dict[str, Any]], T]) -> None:
        self.path, self._row, self._value = path, row, value

    def fill(
        self,
        keys: Collection[str],
        compute: Callable[[list[str]], Generator[tuple[str, T]]],
        missing_of: Callable[[Mapping[str, T]], list[str]] | None = None,
    ) -> tuple[dict[str, T], dict[str, T]]:
        """Return all stored values together with those that `compute` yields for missing keys, then these alone.

        Each value is appended as it comes, so that a kill loses nothing. Another process that computes values of the
        same log is waited for first, and its values are reused. `missing_of` returns the keys that the stored values do
        not serve; by default those that are not among them.
        """
        missing_of = missing_of or (lambda stored: [key for key in keys if key not in stored])
        stored = self.read()
        computed: dict[str, T] = {}
        if missing_of(stored):
            with locked(self.path.parent):
                stored = self.read()
                missing = missing_of(stored)
                with closing(compute(missing)) as values:
                    for key, value in values:
                        self.append(key, value)
                        computed[key] = value
        return stored | computed, computed

    def read(self) -> dict[str, T]:
        """Return the values by key, without failed ones, so that they are tried again.

        A last line that a crash truncated is skipped. Any other damage is a StoreError.
        """
        values: dict[str, T] = {}
        if not self.path.exists():
            return values
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                key, value = row.pop("key"), self._value(row)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if number == len(lines):
                    continue
                raise StoreError(
                    f"{self.path}:{number}: expected a JSON object of {self.path.stem}, got {line[:80]!r} ({error}). "
                    "Delete the line: its value is computed again."
                ) from error
            if row.get("error") is None:
                values[key] = value
        return values

    def append(self, key: str, value: T) -> None:
        """Add one line in a single write, which a kill leaves whole or truncated; a truncated line is removed first."""
        line = canonical({"key": key, **self._row(value)}).encode("utf-8", "surrogatepass") + b"\n"
        with self.path.open("ab") as stream:
            if stream.tell() and not self._ends_with_newline():
                whole = self.path.read_bytes().rfind(b"\n") + 1
                stream.truncate(whole)
            stream.write(line)

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
