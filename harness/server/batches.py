"""Batches as they are stored: the request, the progress, and every answer.

<folder>/batches/<id>/record.json     a `Batch`
<folder>/batches/<id>/answers.jsonl   one answer per line, appended when it is there; its request is not sent again
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from harness.server import ids
from harness.server.errors import ApiError, busy, invalid
from harness.server.files import Files
from harness.server.ids import IdKind
from harness.server.records import Records
from harness.server.requests import Metadata, Name, RequestModel, parse, unsupported, validated
from harness.server.settings import Settings
from harness.wording import counted

if TYPE_CHECKING:
    from openai import types

BatchEndpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]
WINDOW_SECONDS = 24 * 3600
BAD_LINES = 50
"""How many bad lines a batch reports."""


class BatchStatus(StrEnum):
    """The state of a batch."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


OPEN = (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS, BatchStatus.FINALIZING, BatchStatus.CANCELLING)


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with one line of an input file."""

    line: int
    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch; `times` holds when it entered each status, in seconds since 1970."""

    id: str
    created: float
    endpoint: BatchEndpoint
    input_file: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: BatchStatus = BatchStatus.VALIDATING
    times: Mapping[str, float] = field(default_factory=dict)
    bad_lines: tuple[LineError, ...] = ()
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file: str | None = None
    error_file: str | None = None

    def at(self, status: BatchStatus) -> Batch:
        """Return the batch in another status, entered now."""
        return dataclasses.replace(self, status=status, times={**self.times, status.value: time.time()})

    def to_openai(self) -> types.Batch:
        """Return OpenAI's batch object."""
        from openai import types
        from openai.types.batch import Errors

        at: dict[str, Any] = {f"{name.value}_at": self._entered(name) for name in BatchStatus}
        at.pop("validating_at")
        errors = [types.BatchError(**dataclasses.asdict(line)) for line in self.bad_lines]
        return types.Batch(
            id=self.id,
            object="batch",
            endpoint=self.endpoint,
            errors=Errors(object="list", data=errors) if errors else None,
            input_file_id=self.input_file,
            completion_window="24h",
            status=self.status.value,
            output_file_id=self.output_file,
            error_file_id=self.error_file,
            created_at=int(self.created),
            expires_at=int(self.created + WINDOW_SECONDS),
            request_counts=types.BatchRequestCounts(total=self.total, completed=self.completed, failed=self.failed),
            metadata=dict(self.metadata),
            **at,
        )

    def _entered(self, status: BatchStatus) -> int | None:
        seconds = self.times.get(status.value)
        return None if seconds is None else int(seconds)


class BatchRequest(RequestModel):
    """A body of /v1/batches."""

    endpoint: BatchEndpoint
    input_file_id: Name
    completion_window: Literal["24h"]
    metadata: Metadata = Field(default={})
    output_expires_after: Annotated[Any, unsupported()] = None


class BatchLine(RequestModel):
    """One line of an input file: a request and the name that its sender gave it."""

    custom_id: Name
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


class Batches:
    """All batches of one server."""

    def __init__(self, settings: Settings, files: Files) -> None:
        self._limits, self.files = settings.limits, files
        self.records: Records[Batch] = Records(settings.folder / "batches", IdKind.BATCH, TypeAdapter(Batch))

    def create(self, request: BatchRequest) -> Batch:
        """Store a new batch; a 429 error when too many are not finished."""
        self.files.uploaded(request.input_file_id, "batch", "input_file_id")
        batch = Batch(
            ids.new(IdKind.BATCH), time.time(), request.endpoint, request.input_file_id, dict(request.metadata)
        )
        limit = self._limits.batches
        full = busy(f"The limit is {counted(limit, 'unfinished batch', 'unfinished batches')}. Try again later.", 30)
        return self.records.add(batch, limit, lambda: full, lambda other: other.status in OPEN)

    def cancel(self, batch_id: str) -> Batch:
        """Make a batch end soon; its answers so far are kept."""

        def cancelling(batch: Batch) -> Batch:
            if batch.status not in OPEN:
                raise ApiError(409, f"Batch {batch.id} is already {batch.status.value}.", code="invalid_status")
            return batch.at(BatchStatus.CANCELLING)

        return self.records.change(batch_id, cancelling)

    def lines(self, batch: Batch) -> tuple[list[BatchLine], list[LineError]]:
        """Return the requests of a batch, and what is wrong with its bad lines."""
        lines: dict[str, BatchLine] = {}
        bad: list[LineError] = []
        with self.files.path(batch.input_file, "input_file_id").open("rb") as stream:
            for number, text in enumerate(stream, 1):
                if not text.strip():
                    continue
                try:
                    line = _line(text, batch.endpoint)
                except ApiError as error:
                    bad.append(LineError(number, error.code or "invalid_request", error.message, error.param))
                    continue
                if line.custom_id in lines:
                    message = f"The custom_id {line.custom_id!r:.80} was used before."
                    bad.append(LineError(number, "duplicate_custom_id", message, "custom_id"))
                lines[line.custom_id] = line
                if len(lines) > self._limits.batch_requests:
                    message = f"A batch takes at most {counted(self._limits.batch_requests, 'request')}."
                    return [], [LineError(number, "too_many_requests", message)]
        if not lines and not bad:
            bad.append(LineError(1, "empty_file", "Expected one request per line, got an empty file."))
        return list(lines.values()), bad[:BAD_LINES]

    def answers(self, batch: Batch) -> Path:
        """Return the path of a batch's answers."""
        return self.records.folder(batch.id) / "answers.jsonl"


def _line(text: bytes, endpoint: str) -> BatchLine:
    line = validated(BatchLine, parse(text))
    if line.url != endpoint:
        raise invalid(f"url: expected the batch's endpoint {endpoint}, got {line.url!r:.80}.", "url", "invalid_value")
    return line
