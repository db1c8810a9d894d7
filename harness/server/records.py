"""What the server knows, as one JSON file a thing, written whole: a kill leaves the old record or the new one.

    <folder>/<id>/record.json

All records are in memory too, in a mapping that no write changes: one replaces it, so that no reader ever waits for a
disk. One server at a time owns a folder.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import StoreError
from harness.server import records_server_ids as ids
from harness.server.errors import invalid, missing
from harness.store.stages import write_atomic


class Record(Protocol):
    """Something with an id and a time, in seconds since 1970."""

    @property
    def id(self) -> str:
        """The name of its folder."""
        ...

    @property
    def created(self) -> float:
        """When it was made."""
        ...


T = TypeVar("T", bound=Record)


class Records(Generic[T]):
    """The records of one kind, newest first."""

    def __init__(self, folder: Path, kind: ids.Kind, adapter: TypeAdapter[T]) -> None:
        self._folder, self._kind, self._adapter = folder, kind, adapter
        self._lock = threading.RLock()
        self._known = {found.id: found for found in map(self._load, sorted(folder.glob("*/record.json")))}

    def folder(self, name: str, param: str = "id") -> Path:
        """Return the folder of an id, whether or not it is there."""
        return self._folder / ids.check(self._kind, name, param)

    def get(self, name: str, param: str = "id") -> T:
        """Return a record; an error in OpenAI's shape where there is none."""
        found = self._known.get(name)
        if found is None:
            raise missing(self._kind.word, name, param)
        return found

    def all(self) -> list[T]:
        """Return all records, newest first."""
        return sorted(self._known.values(), key=lambda record: (record.created, record.id), reverse=True)

    def put(self, record: T) -> T:
        """Write a record, new or changed."""
        with self._lock:
            content = self._adapter.dump_json(record, indent=2) + b"\n"
            write_atomic(self.folder(record.id) / "record.json", content)
            self._known = {**self._known, record.id: record}
        return record

    def add(self, record: T, limit: int, full: Callable[[], Exception], counts: Callable[[T], bool]) -> T:
        """Write a new record unless `limit` of those that `counts` are there."""
        with self._lock:
            if sum(map(counts, self._known.values())) >= limit:
                raise full()
            return self.put(record)

    def change(self, name: str, change: Callable[[T], T]) -> T:
        """Write what `change` makes of the newest state of a record."""
        with self._lock:
            return self.put(change(self.get(name)))

    def remove(self, name: str) -> None:
        """Delete a record with all that is in its folder."""
        with self._lock:
            shutil.rmtree(self.folder(name), ignore_errors=True)
            self._known = {known: record for known, record in self._known.items() if known != name}

    def _load(self, path: Path) -> T:
        try:
            record = self._adapter.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise StoreError(f"{path}: cannot be read ({error}). Delete its folder to go on without it.") from error
        if record.id != path.parent.name or not ids.is_id(self._kind, record.id):
            raise StoreError(f"{path}: expected the record of {path.parent.name}, got {record.id[:80]!r}.")
        return record


def page(records: list[T], after: str | None, limit: int) -> tuple[list[T], bool]:
    """Return up to `limit` records that follow the one called `after`, and whether there are more."""
    start = 0
    if after:
        places = [place for place, record in enumerate(records, 1) if record.id == after]
        if not places:
            raise invalid(f"after: there is no {after[:80]!r} in this list.", "after")
        start = places[0]
    return records[start : start + limit], len(records) > start + limit
