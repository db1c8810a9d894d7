"""Batches have their turn, oldest first: the thread that puts their requests to the model.

Some requests are on their way at any time, enough to fill the model's batches and few enough that others' requests
come between. An answer is written down when it comes; after a restart only the rest is asked.

Requests of a batch and their answers, which are those of their endpoints, and the lines of result files.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from harness.server import records as ids
from harness.server.batches import OPEN, WINDOW_SECONDS, BadLine, Batch, Batches, BatchStatus, Line
from harness.server.chat import CHAT
from harness.server.completions import COMPLETIONS
from harness.server.embeddings import Encoder
from harness.server.engine import BATCH, Engine
from harness.server.errors import explain, invalid
from harness.server.fields import Fields
from harness.server.generation import Form, collected
from harness.server.settings import Limits
from harness.store.stages import Log

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


class Runner:
    """The batches of one server, and the thread that works on them."""

    def __init__(self, batches: Batches, asker: Asker) -> None:
        self.batches, self._asker = batches, asker
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)

    def start(self) -> None:
        """Begin with the oldest unfinished batch."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is unfinished goes on when the server is started again."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Look for new batches."""
        with self._changed:
            self._changed.notify_all()

    def uses(self, file_id: str) -> bool:
        """Say whether an unfinished batch needs a file."""
        return any(batch.status in OPEN and batch.input_file == file_id for batch in self.batches.records.all())

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._work(batch)
            except Exception as error:  # whatever it is, the batch says so and the next one has its turn
                failed = BadLine(0, "server_error", f"{type(error).__name__}: {error}")
                self._fail(batch, [failed])

    def _next(self) -> Batch | None:
        with self._changed:
            while not self._stopping:
                waiting = [batch for batch in self.batches.records.all() if batch.status in OPEN]
                if waiting:
                    return waiting[-1]
                self._changed.wait()
        return None

    def _work(self, batch: Batch) -> None:
        lines, bad = self.batches.lines(batch)
        if bad:
            self._fail(batch, bad)
            return
        if not batch.total:
            self.batches.records.change(batch.id, lambda now: _begun(now, len(lines)))
        log: Log[Answered] = Log(
            self.batches.answers(batch), lambda a: {"status": a.status, "body": a.body}, lambda row: Answered(**row)
        )
        known = log.read()
        rest = iter([line for line in lines if line.custom_id not in known])
        while (ended := self._ended(batch)) is None and (some := list(islice(rest, BATCH))):
            for line, answer in zip(some, self._asker.answers(batch.endpoint, some), strict=True):
                if self._stopping:  # what the end of the server broke off is asked again
                    return
                log.append(line.custom_id, answer)
                known[line.custom_id] = answer
            self._count(batch, known)
        if not self._stopping:
            self._finish(batch, lines, known, ended or BatchStatus.COMPLETED)

    def _ended(self, batch: Batch) -> BatchStatus | None:
        """Return the status that a batch is to end with before it is done, or None while it goes on."""
        if self._stopping or self.batches.records.get(batch.id).status is BatchStatus.CANCELLING:
            return BatchStatus.CANCELLED
        return BatchStatus.EXPIRED if time.time() > batch.created + WINDOW_SECONDS else None

    def _fail(self, batch: Batch, bad: Sequence[BadLine]) -> None:
        self.batches.records.change(batch.id, lambda now: replace(now, bad_lines=tuple(bad)).at(BatchStatus.FAILED))

    def _count(self, batch: Batch, known: dict[str, Answered]) -> None:
        good = sum(answer.status == 200 for answer in known.values())
        self.batches.records.change(batch.id, lambda now: replace(now, completed=good, failed=len(known) - good))

    def _finish(self, batch: Batch, lines: Sequence[Line], known: dict[str, Answered], status: BatchStatus) -> None:
        """Write the files that a batch ends with, in the order of its requests."""
        rows = [(line.custom_id, known[line.custom_id]) for line in lines if line.custom_id in known]
        good = [answer.row(name) for name, answer in rows if answer.status == 200]
        bad = [answer.row(name) for name, answer in rows if answer.status != 200]
        if status is BatchStatus.EXPIRED:
            told = "This request could not be executed before the completion window expired."
            bad += [unanswered(line.custom_id, "batch_expired", told) for line in lines if line.custom_id not in known]
        output, errors = self._save(batch, "output", good), self._save(batch, "errors", bad)

        def finished(now: Batch) -> Batch:
            return replace(now, output_file=output, error_file=errors).at(status)

        self.batches.records.change(batch.id, finished)

    def _save(self, batch: Batch, what: str, rows: Sequence[dict[str, Any]]) -> str | None:
        if not rows:
            return None
        file = io.BytesIO(content(rows))
        return self.batches.files.save(file, f"{batch.id}_{what}.jsonl", "batch_output", limited=False).id


def _begun(batch: Batch, total: int) -> Batch:
    """Return a batch that was checked; one that is being cancelled stays so."""
    batch = replace(batch, total=total)
    return batch if batch.status is BatchStatus.CANCELLING else batch.at(BatchStatus.IN_PROGRESS)
