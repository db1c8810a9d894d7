"""The Batch API of an OpenAI-compatible service: files of requests are uploaded, files of replies downloaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint
from harness.client.replies import Problem
from harness.client.requests import ServiceAnswer

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch

MOST_REQUESTS, MOST_BYTES = 50_000, 100_000_000
"""A batch larger than this is split; OpenAI takes 50,000 requests and 200 MB."""
LABEL = "finetune_harness"
"""The metadata field that holds the key under which a batch was sent."""


class BatchService:
    """The service's files and batches."""

    def __init__(self, client: OpenAI, path: str) -> None:
        self._client, self._path = client, path

    def send(self, key: str, lines: Sequence[bytes]) -> Batch:
        """Upload the requests and create a batch of them; its creation is never retried, because it costs money."""
        name = f"{LABEL}-{key}.jsonl"
        file = self._client.files.create(file=(name, b"\n".join(lines) + b"\n"), purpose="batch")
        once: Any = self._client.with_options(max_retries=0)
        batch: Batch = once.batches.create(
            completion_window="24h", endpoint=f"/v1{self._path}", input_file_id=file.id, metadata={LABEL: key}
        )
        return batch

    def line(self, key: str, fields: Mapping[str, Any]) -> bytes:
        """Return one request as a line of the input file."""
        return json.dumps({"custom_id": key, "method": "POST", "url": f"/v1{self._path}", "body": fields}).encode()

    def look(self, batch_id: str) -> Batch:
        """Return the current state of a batch."""
        return self._client.batches.retrieve(batch_id)

    def find(self, key: str) -> Batch | None:
        """Return the batch that was sent under this key, or None if it never arrived."""
        listed = self._client.batches.list(limit=100)
        return next((b for b in listed if isinstance(b.metadata, dict) and b.metadata.get(LABEL) == key), None)

    def results(self, batch: Batch) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the key and the result line of every request that the batch reports on; damaged lines are skipped."""
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                for line in self._client.files.content(file_id).read().split(b"\n"):
                    try:
                        row = json.loads(line)
                        key = row["custom_id"]
                    except (ValueError, RecursionError, TypeError, KeyError, IndexError):
                        continue
                    if isinstance(row, dict):
                        yield str(key), row


def parts(lines: Mapping[str, bytes]) -> Iterator[tuple[str, ...]]:
    """Yield the keys of requests in batches no larger than a service accepts."""
    part: list[str] = []
    size = 0
    for key, line in lines.items():
        if part and (len(part) == MOST_REQUESTS or size + len(line) > MOST_BYTES):
            yield tuple(part)
            part, size = [], 0
        part.append(key)
        size += len(line) + 1
    if part:
        yield tuple(part)


def read(row: Mapping[str, Any], dialect: Dialect, endpoint: Endpoint) -> ServiceAnswer | Problem:
    """Return the answer in a line of the results, or why there is none."""
    response = row.get("response")
    status = response.get("status_code") if isinstance(response, dict) else None
    if not isinstance(response, dict) or not isinstance(status, int):
        return Problem(endpoint.redacted(f"no response: {row.get('error')}"), again=True)  # for example, expired
    return dialect.in_batch(status, response.get("body"), endpoint)
