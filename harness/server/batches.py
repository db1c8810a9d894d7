"""Batches as they are kept: what was asked for, how far they are, and every answer as it came.

<folder>/batches/<id>/record.json     a `Batch`
<folder>/batches/<id>/answers.jsonl   an answer a line, appended as they come: what is there is not asked again
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.server import records as ids
from harness.server.errors import ApiError, busy
from harness.server.fields import Fields, parse
from harness.server.files import Files
from harness.server.records import Records
from harness.server.settings import Settings

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
WINDOW_SECONDS = 24 * 3600
BAD_LINES = 50
"""How many bad lines a batch names."""


class BatchStatus(StrEnum):
    """How far a batch is."""

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
class BadLine:
    """What is wrong with one line of an input file."""

    line: int
    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch; `times` says when it came to each status, in seconds since 1970."""

    id: str
    created: float
    endpoint: str
    input_file: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: BatchStatus = BatchStatus.VALIDATING
    times: Mapping[str, float] = field(default_factory=dict)
    bad_lines: tuple[BadLine, ...] = ()
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file: str | None = None
    error_file: str | None = None

    def at(self, status: BatchStatus) -> Batch:
        """Return the batch in another status, from now on."""
        return dataclasses.replace(self, status=status, times={**self.times, status.value: time.time()})

    def json(self) -> dict[str, Any]:
        """Return OpenAI's batch object."""
        at = {f"{status.value}_at": self.times.get(status.value) for status in BatchStatus}
        at.pop("validating_at")
        data = [dataclasses.asdict(line) for line in self.bad_lines]
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": data} if data else None,
            "input_file_id": self.input_file,
            "completion_window": "24h",
            "status": self.status.value,
            "output_file_id": self.output_file,
            "error_file_id": self.error_file,
            "created_at": int(self.created),
            "expires_at": int(self.created + WINDOW_SECONDS),
            **{key: None if value is None else int(value) for key, value in at.items()},
            "request_counts": {"total": self.total, "completed": self.completed, "failed": self.failed},
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch."""

    custom_id: str
    body: Mapping[str, Any]


class Batches:
    """All batches of one server."""

    def __init__(self, settings: Settings, files: Files) -> None:
        self._limits, self.files = settings.limits, files
        self.records: Records[Batch] = Records(settings.folder / "batches", ids.Kind.BATCH, TypeAdapter(Batch))

    def create(self, given: Fields) -> Batch:
        """Keep a new batch; an error in OpenAI's shape where too many are not finished."""
        endpoint, input_file = given.choice("endpoint", ENDPOINTS), given.text("input_file_id")
        given.choice("completion_window", ("24h",))
        metadata = given.metadata()
        given.neutral({"output_expires_after": ()})
        given.done()
        self.files.uploaded(input_file, "batch", "input_file_id")
        batch = Batch(ids.new(ids.Kind.BATCH), time.time(), endpoint, input_file, metadata)
        full = busy(f"{self._limits.batches} batches are not finished yet. Ask again later.", 30)
        return self.records.add(batch, self._limits.batches, lambda: full, lambda each: each.status in OPEN)

    def cancel(self, batch_id: str) -> Batch:
        """Have a batch end soon; what it has answered is kept."""

        def cancelling(batch: Batch) -> Batch:
            if batch.status not in OPEN:
                raise ApiError(409, f"Batch {batch.id} is already {batch.status.value}.", code="invalid_status")
            return batch.at(BatchStatus.CANCELLING)

        return self.records.change(batch_id, cancelling)

    def lines(self, batch: Batch) -> tuple[list[Line], list[BadLine]]:
        """Return the requests of a batch, and what is wrong with those that are none."""
        lines: dict[str, Line] = {}
        bad: list[BadLine] = []
        with self._input(batch).open("rb") as stream:
            for number, text in enumerate(stream, 1):
                if not text.strip():
                    continue
                try:
                    line = _line(text, batch.endpoint)
                except ApiError as error:
                    bad.append(BadLine(number, error.code or "invalid_request", error.message, error.param))
                    continue
                if line.custom_id in lines:
                    told = f"The custom_id {line.custom_id!r:.80} was used before."
                    bad.append(BadLine(number, "duplicate_custom_id", told, "custom_id"))
                lines[line.custom_id] = line
                if len(lines) > self._limits.batch_requests:
                    told = f"A batch takes {self._limits.batch_requests} requests."
                    return [], [BadLine(number, "too_many_requests", told)]
        if not lines and not bad:
            bad.append(BadLine(1, "empty_file", "Expected a line a request, got an empty file."))
        return list(lines.values()), bad[:BAD_LINES]

    def answers(self, batch: Batch) -> Path:
        """Return where a batch's answers are kept."""
        return self.records.folder(batch.id) / "answers.jsonl"

    def _input(self, batch: Batch) -> Path:
        return self.files.path(batch.input_file, "input_file_id")


def _line(text: bytes, endpoint: str) -> Line:
    fields = Fields(parse(text))
    custom_id = fields.text("custom_id")
    fields.choice("method", ("POST",))
    fields.choice("url", (endpoint,))
    body = fields.take("body")
    if not isinstance(body, dict):
        fields.refuse("body", "an object", body)
    fields.done()
    return Line(custom_id, body)
