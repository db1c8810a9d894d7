"""What the server knows, as one JSON file a thing, written whole: a kill leaves the old record or the new one.

    <folder>/<id>/record.json

All records are in memory too, in a mapping that no write changes: one replaces it, so that no reader ever waits for a
disk. One server at a time owns a folder.

Names that the server gives: random, of one form a kind, and the only names that ever become a path.

An id from a request is matched against its form before anything is looked up, so that none leads out of the folder.

Lists in pages, as every list of OpenAI's API comes: `limit` and `after` in the query, `has_more` in the answer.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from harness.errors import StoreError
from harness.server.errors import invalid, missing
from harness.store.stages import write_atomic

OWNER = "harness"
"""The organisation that everything belongs to: there is one."""
SUFFIX = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LENGTH = 24


class Kind(StrEnum):
    """What an id is of; the value is what it starts with."""

    FILE = "file-"
    JOB = "ftjob-"
    BATCH = "batch_"

    @property
    def word(self) -> str:
        """Say in words what it is."""
        return {Kind.FILE: "file", Kind.JOB: "fine-tuning job", Kind.BATCH: "batch"}[self]


def new(kind: str) -> str:
    """Return a fresh id that starts with `kind`."""
    return kind + secrets.token_hex(_LENGTH // 2)


def check(kind: Kind, name: str, param: str = "id") -> str:
    """Return `name` where it has the form of an id of this kind; else it is not there, as any unknown id."""
    if not is_id(kind, name):
        raise missing(kind.word, name, param)
    return name


def is_id(kind: Kind, name: str) -> bool:
    """Say whether a name has the form of an id of this kind."""
    return re.fullmatch(f"{kind.value}[0-9a-f]{{{_LENGTH}}}", name) is not None


def tuned_model(base: str, suffix: str, job_id: str) -> str:
    """Return the name of a job's model, in OpenAI's form: ft:<base>:<organisation>:<suffix>:<id>."""
    return f"ft:{base}:{OWNER}:{suffix}:{job_id.removeprefix(Kind.JOB)[:8]}"


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

    def __init__(self, folder: Path, kind: Kind, adapter: TypeAdapter[T]) -> None:
        self._folder, self._kind, self._adapter = folder, kind, adapter
        self._lock = threading.RLock()
        self._known = {found.id: found for found in map(self._load, sorted(folder.glob("*/record.json")))}

    def folder(self, name: str, param: str = "id") -> Path:
        """Return the folder of an id, whether or not it is there."""
        return self._folder / check(self._kind, name, param)

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
        if record.id != path.parent.name or not is_id(self._kind, record.id):
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


LIMIT = 20
MOST = 100


def answer(
    request: Request, records: list[T], show: Callable[[T], dict[str, Any]], own: Sequence[str] = (), most: int = MOST
) -> dict[str, Any]:
    """Return OpenAI's list object of the page that a request asks for; `own` are query keys that are read elsewhere."""
    query = request.query_params
    for key in query:
        if key not in ("limit", "after", *own):
            raise invalid(f"Unrecognized request argument supplied: {key[:80]}", key[:80], "unknown_parameter")
    asked = query.get("limit", str(LIMIT if most == MOST else most))
    if not asked.isdecimal() or not 1 <= int(asked[:9]) <= most:
        raise invalid(f"limit: expected a whole number from 1 to {most}, got {asked[:80]!r}.", "limit")
    found, more = page(records, query.get("after"), int(asked))
    names = [record.id for record in found]
    return {
        "object": "list",
        "data": [show(record) for record in found],
        "has_more": more,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
