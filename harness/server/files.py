"""Uploaded files and those that the server makes: a record and the content beside it.

<folder>/files/<id>/content     as it was uploaded; nothing in it is ever run
<folder>/files/<id>/record.json
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from harness.server import records as ids
from harness.server.errors import ApiError, missing
from harness.server.records import Records
from harness.server.settings import Settings

UPLOADED = ("fine-tune", "batch")
"""What a file may be uploaded for."""
NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class File:
    """One file; `name` is what its owner calls it and is no path."""

    id: str
    created: float
    name: str
    purpose: str
    size: int

    def json(self) -> dict[str, Any]:
        """Return OpenAI's file object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": int(self.created),
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
            "expires_at": None,
        }


class Files:
    """All files of one server."""

    def __init__(self, settings: Settings) -> None:
        self._folder, self._limits = settings.folder / "files", settings.limits
        for path in self._folder.glob("*/content"):
            if not (path.parent / "record.json").exists():  # an upload that a kill cut short
                shutil.rmtree(path.parent)
        self.records: Records[File] = Records(self._folder, ids.Kind.FILE, TypeAdapter(File))

    def save(self, source: BinaryIO, name: str, purpose: str, limited: bool = True) -> File:
        """Keep what `source` holds; an error in OpenAI's shape where there are too many files."""
        file_id = ids.new(ids.Kind.FILE)
        path = self.records.folder(file_id) / "content"
        path.parent.mkdir(parents=True)
        try:
            with path.open("wb") as target:
                shutil.copyfileobj(source, target)
                target.flush()
                os.fsync(target.fileno())
                size = target.tell()
            file = File(file_id, time.time(), Path(name).name[:NAME_LENGTH] or "file", purpose, size)
            if not limited:  # what was computed is never thrown away
                return self.records.put(file)
            if size + sum(each.size for each in self.records.all()) > self._limits.stored_bytes:
                raise self._full(f"{self._limits.stored_bytes} bytes of files")
            full = self._full(f"{self._limits.files} files")
            return self.records.add(file, self._limits.files, lambda: full, lambda _: True)
        except BaseException:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise

    def path(self, file_id: str, param: str = "file_id") -> Path:
        """Return where the content of a file lies."""
        return self.records.folder(self.records.get(file_id, param).id) / "content"

    def uploaded(self, file_id: str, purpose: str, param: str) -> Path:
        """Return where the content of a file lies that was uploaded for this purpose."""
        file = self.records.get(ids.check(ids.Kind.FILE, file_id, param), param)
        if file.purpose != purpose:
            raise ApiError(400, f"{param}: expected a file with purpose {purpose!r}, got {file.purpose!r}.", param)
        return self.path(file_id, param)

    def has(self, file_id: str) -> bool:
        """Say whether a file is there."""
        try:
            self.records.get(file_id)
        except ApiError:
            return False
        return True

    def _full(self, most: str) -> ApiError:
        return ApiError(413, f"The server keeps {most}: delete some.", "file", "too_many_files")


def check_purpose(purpose: object) -> str:
    """Return what a file is uploaded for."""
    if not isinstance(purpose, str) or purpose not in UPLOADED:
        raise ApiError(400, f"purpose: expected one of {', '.join(UPLOADED)}, got {purpose!r:.80}.", "purpose")
    return purpose


def no_file() -> ApiError:
    """Return the error for a form without a file."""
    return ApiError(400, "file: expected a file in a multipart form, got none.", "file", missing("file", "").code)
