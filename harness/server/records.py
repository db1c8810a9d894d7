"""Records: what the server knows about its files, jobs and batches, one JSON file each.

    <folder>/<id>/record.json

A file is replaced as a whole, so a kill leaves the old record or the new one. All records are in memory too, in a
mapping that is replaced and never changed, so readers need no lock and never wait for the disk. One server at a time
owns a folder.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import StoreError
from harness.server.errors import missing
from harness.server.ids import IdKind, check, is_id
from harness.store.files import write_atomic


class Record(Protocol):
    """Something with an id and a time of creation, in seconds since 1970."""

    @property
    def id(self) -> str:
        """The name of its folder."""
        ...

    @property
    def created(self) -> float:
        """When it was created."""
        ...


T = TypeVar("T", bound=Record)


class Records(Generic[T]):
    """The records of one kind."""

    def __init__(self, folder: Path, kind: IdKind, adapter: TypeAdapter[T]) -> None:
        self._folder, self._kind, self._adapter = folder, kind, adapter
        self._lock = threading.RLock()
        loaded = map(self._load, sorted(folder.glob("*/record.json")))
        self._by_id = {record.id: record for record in loaded}

    def folder(self, name: str, param: str = "id") -> Path:
        """Return the folder of an id, whether or not it exists."""
        return self._folder / check(self._kind, name, param)

    def get(self, name: str, param: str = "id") -> T:
        """Return a record; a 404 error that names `param` when there is none."""
        record = self._by_id.get(name)
        if record is None:
            raise missing(self._kind.word, name, param)
        return record

    def all(self) -> list[T]:
        """Return all records, newest first."""
        return sorted(self._by_id.values(), key=lambda record: (record.created, record.id), reverse=True)

    def put(self, record: T) -> T:
        """Write a record, new or changed."""
        with self._lock:
            content = self._adapter.dump_json(record, indent=2) + b"\n"
            write_atomic(self.folder(record.id) / "record.json", content)
            self._by_id = {**self._by_id, record.id: record}
        return record

    def add(self, record: T, limit: int, full: Callable[[], Exception], counts: Callable[[T], bool]) -> T:
        """Write a new record; raise `full()` when `limit` records for which `counts` is true exist already."""
        with self._lock:
            if sum(map(counts, self._by_id.values())) >= limit:
                raise full()
            return self.put(record)

    def change(self, name: str, change: Callable[[T], T]) -> T:
        """Replace the newest state of a record by what `change` returns for it."""
        with self._lock:
            return self.put(change(self.get(name)))

    def remove(self, name: str) -> None:
        """Delete a record with everything in its folder."""
        with self._lock:
            shutil.rmtree(self.folder(name), ignore_errors=True)
            self._by_id = {key: record for key, record in self._by_id.items() if key != name}

    def _load(self, path: Path) -> T:
        try:
            record = self._adapter.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise StoreError(f"{path}: cannot be read ({error}). Delete its folder to continue without it.") from error
        if record.id != path.parent.name or not is_id(self._kind, record.id):
            raise StoreError(f"{path}: expected the record of {path.parent.name}, got {record.id[:80]!r}.")
        return record
