"""Requests of a batch and their answers, which are those of their endpoints, and the lines of result files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.server import records_server_ids as ids
from harness.server.batches import Line
from harness.server.chat import CHAT
from harness.server.completions import COMPLETIONS
from harness.server.embeddings import Encoder
from harness.server.engine import Engine
from harness.server.errors import explain, invalid
from harness.server.fields import Fields
from harness.server.generation import Form, collected
from harness.server.settings import Limits

FORMS = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETIONS}


@dataclass(frozen=True, slots=True)
class Answered:
    """What one request was answered with."""

    status: int
    body: dict[str, Any]

    def row(self, custom_id: str) -> dict[str, Any]:
        """Return the request's line in a result file."""
        response = {"status_code": self.status, "request_id": ids.new("req_"), "body": self.body}
        return {"id": ids.new("batch_req_"), "custom_id": custom_id, "response": response, "error": None}


def unanswered(custom_id: str, code: str, message: str) -> dict[str, Any]:
    """Return the line of a request that was not asked."""
    error = {"code": code, "message": message}
    return {"id": ids.new("batch_req_"), "custom_id": custom_id, "response": None, "error": error}


def content(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return a result file."""
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode("utf-8", "surrogatepass")


class Asker:
    """Puts the requests of a batch to the models."""

    def __init__(self, engine: Engine, encoder: Encoder, limits: Limits) -> None:
        self._engine, self._encoder, self._limits = engine, encoder, limits

    def answers(self, endpoint: str, lines: Sequence[Line]) -> Iterator[Answered]:
        """Ask all of some requests, then yield their answers in order."""
        for begun in [self._begin(endpoint, line) for line in lines]:
            try:
                yield Answered(200, begun())
            except Exception as error:  # an answer too, if not a good one
                found = explain(error)
                yield Answered(found.status, found.json())

    def _begin(self, endpoint: str, line: Line) -> Callable[[], dict[str, Any]]:
        """Return what waits for one request's answer."""
        if endpoint not in FORMS:
            return lambda: self._encoder.answer(Fields(line.body))
        try:
            return self._generate(FORMS[endpoint], line)
        except Exception as error:
            refused = error

            def refuse() -> dict[str, Any]:
                raise refused

            return refuse

    def _generate(self, form: Form, line: Line) -> Callable[[], dict[str, Any]]:
        wanted = form.parse(Fields(line.body), self._limits)
        if wanted.stream:
            raise invalid("stream is not supported in a batch. Leave it out.", "stream", "unsupported_parameter")
        asks = wanted.asks()
        self._engine.submit(asks, limited=False)
        return lambda: form.whole(form.head(wanted.model), collected([ask.future for ask in asks]))
