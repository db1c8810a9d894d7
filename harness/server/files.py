"""Files, uploaded or made by the server: a record and the content beside it.

<folder>/files/<id>/content     as it was uploaded; nothing in it is ever run
<folder>/files/<id>/record.json
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from pydantic import TypeAdapter

from harness.server import ids
from harness.server.errors import ApiError
from harness.server.ids import IdKind
from harness.server.records import Records
from harness.server.settings import Settings

if TYPE_CHECKING:
    from openai.types import FileObject

Purpose = Literal["fine-tune", "batch", "fine-tune-results", "batch_output"]
NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class File:
    """One file; `name` is what its owner calls it, and never used as a path."""

    id: str
    created: float
    name: str
    purpose: Purpose
    size: int

    def to_openai(self) -> FileObject:
        """Return OpenAI's file object."""
        from openai.types import FileObject

        return FileObject(
            id=self.id,
            object="file",
            bytes=self.size,
            created_at=int(self.created),
            filename=self.name,
            purpose=self.purpose,
            status="processed",
            status_details=None,
            expires_at=None,
        )


class Files:
    """All files of one server."""

    def __init__(self, settings: Settings) -> None:
        self._folder, self._limits = settings.folder / "files", settings.limits
        for path in self._folder.glob("*/content"):
            if not (path.parent / "record.json").exists():  # an upload that a kill interrupted
                shutil.rmtree(path.parent)
        self.records: Records[File] = Records(self._folder, IdKind.FILE, TypeAdapter(File))

    def save(self, source: BinaryIO, name: str, purpose: Purpose, limited: bool = True) -> File:
        """Store the content of `source`; a 413 error when `limited` and the server holds too many files or bytes."""
        file_id = ids.new(IdKind.FILE)
        path = self.records.folder(file_id) / "content"
        path.parent.mkdir(parents=True)
        try:
            with path.open("wb") as target:
                shutil.copyfileobj(source, target)
                target.flush()
                os.fsync(target.fileno())
                size = target.tell()
            file = File(file_id, time.time(), Path(name).name[:NAME_LENGTH] or "file", purpose, size)
            if not limited:  # a computed result is never lost
                return self.records.put(file)
            if size + sum(other.size for other in self.records.all()) > self._limits.stored_bytes:
                raise self._full(f"{self._limits.stored_bytes} bytes of files")
            too_many = self._full(f"{self._limits.files} files")
            return self.records.add(file, self._limits.files, lambda: too_many, lambda _: True)
        except BaseException:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise

    def path(self, file_id: str, param: str = "file_id") -> Path:
        """Return the path of a file's content."""
        return self.records.folder(self.records.get(file_id, param).id) / "content"

    def uploaded(self, file_id: str, purpose: str, param: str) -> Path:
        """Return the path of the content of a file that was uploaded for this purpose."""
        file = self.records.get(ids.check(IdKind.FILE, file_id, param), param)
        if file.purpose != purpose:
            raise ApiError(400, f"{param}: expected a file with purpose {purpose!r}, got {file.purpose!r}.", param)
        return self.path(file_id, param)

    def _full(self, limit: str) -> ApiError:
        return ApiError(413, f"The server holds at most {limit}: delete some.", "file", "too_many_files")
