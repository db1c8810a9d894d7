"""The thread that works on batches, oldest first, and the result files that they end with.

A batch's requests are sent in groups: large enough to fill the model's own batches, and small enough that other
requests come between. An answer is written when it is there; after a restart only the other requests are sent.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from harness.server import ids
from harness.server.batches import OPEN, WINDOW_SECONDS, Batch, Batches, BatchLine, BatchStatus, LineError
from harness.server.completions import CHAT, COMPLETIONS, GenerationEndpoint
from harness.server.embeddings import EmbeddingRequest, Encoder
from harness.server.engine import BATCH, Engine
from harness.server.errors import explain, invalid
from harness.server.generation import collected
from harness.server.requests import validated
from harness.server.responses import wire
from harness.server.settings import Limits
from harness.store.logs import Log

GENERATION = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETIONS}


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The answer to one request of a batch, an error included."""

    status: int
    body: dict[str, Any]

    def row(self, custom_id: str) -> dict[str, Any]:
        """Return the request's line in a result file."""
        response = {"status_code": self.status, "request_id": ids.new("req_"), "body": self.body}
        return {"id": ids.new("batch_req_"), "custom_id": custom_id, "response": response, "error": None}


def unanswered(custom_id: str, code: str, message: str) -> dict[str, Any]:
    """Return the line of a request that was not sent."""
    error = {"code": code, "message": message}
    return {"id": ids.new("batch_req_"), "custom_id": custom_id, "response": None, "error": error}


class RequestSender:
    """Sends the requests of batches to the models, as their endpoints do."""

    def __init__(self, engine: Engine, encoder: Encoder, limits: Limits) -> None:
        self._engine, self._encoder, self._limits = engine, encoder, limits

    def answers(self, endpoint: str, lines: Sequence[BatchLine]) -> Iterator[BatchAnswer]:
        """Send all requests of some lines, then yield their answers in order."""
        for wait in [self._send(endpoint, line) for line in lines]:
            try:
                yield BatchAnswer(200, wait())
            except Exception as exception:  # an answer too
                error = explain(exception)
                yield BatchAnswer(error.status, error.json())

    def _send(self, endpoint: str, line: BatchLine) -> Callable[[], dict[str, Any]]:
        """Send one request; return a function that waits for its answer."""
        if endpoint not in GENERATION:
            return lambda: wire(self._encoder.answer(validated(EmbeddingRequest, line.body, self._limits)))
        try:
            return self._generate(GENERATION[endpoint], line)
        except Exception as exception:
            refusal = exception

            def refuse() -> dict[str, Any]:
                raise refusal

            return refuse

    def _generate(self, endpoint: GenerationEndpoint, line: BatchLine) -> Callable[[], dict[str, Any]]:
        generation = endpoint.parse(line.body, self._limits)
        if generation.stream:
            raise invalid("stream is not supported in a batch. Leave it out.", "stream", "unsupported_parameter")
        prompts = generation.queued()
        self._engine.submit(prompts, limited=False)

        def wait() -> dict[str, Any]:
            results = collected([prompt.future for prompt in prompts])
            return wire(endpoint.answer(endpoint.head(generation.model), results))

        return wait


class BatchRunner:
    """The batches of one server, and the thread that works on them."""

    def __init__(self, batches: Batches, sender: RequestSender) -> None:
        self.batches, self._sender = batches, sender
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)

    def start(self) -> None:
        """Start with the oldest unfinished batch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; unfinished batches continue when the server is started again."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Look for new batches."""
        with self._changed:
            self._changed.notify_all()

    def uses(self, file_id: str) -> bool:
        """Return whether an unfinished batch needs a file."""
        return any(batch.status in OPEN and batch.input_file == file_id for batch in self.batches.records.all())

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._work(batch)
            except Exception as error:  # whatever it is, this batch fails with it and the next one starts
                failure = LineError(0, "server_error", f"{type(error).__name__}: {error}")
                self._fail(batch, [failure])

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
            self.batches.records.change(batch.id, lambda newest: _started(newest, len(lines)))
        log: Log[BatchAnswer] = Log(
            self.batches.answers(batch), lambda a: {"status": a.status, "body": a.body}, lambda row: BatchAnswer(**row)
        )
        answers = log.read()
        unsent = iter([line for line in lines if line.custom_id not in answers])
        while (status := self._ended(batch)) is None and (group := list(islice(unsent, BATCH))):
            for line, answer in zip(group, self._sender.answers(batch.endpoint, group), strict=True):
                if self._stopping:  # a request that the stop interrupted is sent again
                    return
                log.append(line.custom_id, answer)
                answers[line.custom_id] = answer
            self._count(batch, answers)
        if not self._stopping:
            self._finish(batch, lines, answers, status or BatchStatus.COMPLETED)

    def _ended(self, batch: Batch) -> BatchStatus | None:
        """Return the status with which a batch is to end before it is done, or None while it continues."""
        if self._stopping or self.batches.records.get(batch.id).status is BatchStatus.CANCELLING:
            return BatchStatus.CANCELLED
        return BatchStatus.EXPIRED if time.time() > batch.created + WINDOW_SECONDS else None

    def _fail(self, batch: Batch, errors: Sequence[LineError]) -> None:
        def failed(newest: Batch) -> Batch:
            return replace(newest, bad_lines=tuple(errors)).at(BatchStatus.FAILED)

        self.batches.records.change(batch.id, failed)

    def _count(self, batch: Batch, answers: Mapping[str, BatchAnswer]) -> None:
        n_good = sum(answer.status == 200 for answer in answers.values())
        n_bad = len(answers) - n_good
        self.batches.records.change(batch.id, lambda newest: replace(newest, completed=n_good, failed=n_bad))

    def _finish(
        self, batch: Batch, lines: Sequence[BatchLine], answers: Mapping[str, BatchAnswer], status: BatchStatus
    ) -> None:
        """Write the result files of a batch, in the order of its requests."""
        names = [line.custom_id for line in lines]
        answered = [name for name in names if name in answers]
        good = [answers[name].row(name) for name in answered if answers[name].status == 200]
        bad = [answers[name].row(name) for name in answered if answers[name].status != 200]
        if status is BatchStatus.EXPIRED:
            message = "This request could not be executed before the completion window expired."
            bad += [unanswered(name, "batch_expired", message) for name in names if name not in answers]
        output, errors = self._save(batch, "output", good), self._save(batch, "errors", bad)

        def finished(newest: Batch) -> Batch:
            return replace(newest, output_file=output, error_file=errors).at(status)

        self.batches.records.change(batch.id, finished)

    def _save(self, batch: Batch, kind: str, rows: Sequence[dict[str, Any]]) -> str | None:
        if not rows:
            return None
        lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        file = io.BytesIO(lines.encode("utf-8", "surrogatepass"))
        return self.batches.files.save(file, f"{batch.id}_{kind}.jsonl", "batch_output", limited=False).id


def _started(batch: Batch, total: int) -> Batch:
    """Return a batch whose lines were checked; one that is being cancelled stays so."""
    batch = replace(batch, total=total)
    return batch if batch.status is BatchStatus.CANCELLING else batch.at(BatchStatus.IN_PROGRESS)
