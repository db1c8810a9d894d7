"""A service's Batch API as a model: all prompts in one file, answered within a day, at a lower price.

What is sent is logged beside the completions, before and after it is sent, so that a restart waits for the batches
that exist instead of paying for new ones; a batch whose creation was never confirmed is found by its metadata. Answers
are merged as batches end, those of expired and failed batches too; only prompts without an answer are sent again.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.client.batch import BatchService, parts, read
from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint
from harness.client.replies import Problem
from harness.client.requests import RequestOutcome, ServiceRequest
from harness.errors import ConfigError, ModelError
from harness.models.openai import PATHS, OpenAIModel
from harness.progress import Bar, say, track
from harness.protocols import Model
from harness.stages.generate import completion_inputs, prompt_key
from harness.store.digest import digest
from harness.store.logs import Log
from harness.store.stages import Store
from harness.types import Completion, ModelIdentity, Prompt, SamplingParams
from harness.wording import counted

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch

ROUNDS = 3
"""How often a prompt is sent before it counts as an error."""
_ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch in the log: the keys of its prompts, its id once that is known, and whether its answers are merged."""

    prompts: tuple[str, ...]
    id: str = ""
    merged: bool = False


def in_batches(model: Model, store: Store, poll_seconds: float) -> Model:
    """Return the model with its prompts sent in batches; ConfigError where its backend has no Batch API."""
    if not isinstance(model, OpenAIModel):
        raise ConfigError(
            f"generation.batch: expected model=openai, got the {model.identity.backend!r} backend. "
            "Leave generation.batch out."
        )
    return BatchedModel(model, store, poll_seconds)


class BatchedModel:
    """An OpenAI-compatible model behind its Batch API, with the identity and the completions of the model itself."""

    parameters = None

    def __init__(self, model: OpenAIModel, store: Store, poll_seconds: float, client: OpenAI | None = None) -> None:
        self._model, self._store, self._poll_seconds = model, store, poll_seconds
        self._client = client

    @property
    def identity(self) -> ModelIdentity:
        """Identify the model; sending its prompts in batches does not change its completions."""
        return self._model.identity

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield each batch's completions when it ends; ModelError where the service rejects a batch."""
        if not prompts:
            return
        from openai import OpenAIError

        config = self._model.config
        endpoint = Endpoint.of(config)
        folder = self._store.completions(completion_inputs(self, decoding)).path.parent
        path = folder / f"batches-{digest(decoding)}.jsonl"  # a batch is sent with the stop sequences of its decoding
        service = BatchService(self._client or endpoint.client(retries=5), PATHS[config.endpoint])
        log = Log(path, dataclasses.asdict, _sent_batch)
        run = _BatchRun(service, endpoint, Dialect(config, decoding), log)
        try:
            yield from run.completions(prompts, self._poll_seconds)
        except (OpenAIError, AttributeError, TypeError, ValueError, RecursionError) as error:
            what = endpoint.redacted(str(error)).rstrip(".")
            if not isinstance(error, OpenAIError):  # the official client takes any reply for what was asked for
                what = f"expected a Batch API, got a reply of another form ({what})"
            raise ModelError(
                f"{endpoint.base_url}: {what}. The batches that were sent are listed in {path}: run the same command "
                "again to continue with them."
            ) from error


class _BatchRun:
    """One call of `generate`: the requests without an answer, the batches that were sent, and their answers."""

    def __init__(self, service: BatchService, endpoint: Endpoint, dialect: Dialect, log: Log[SentBatch]) -> None:
        self._service, self._endpoint, self._dialect, self._log = service, endpoint, dialect, log
        self._versions: dict[str, int] = {}
        """The version of the settings that each batch was sent with."""
        self._unanswered: dict[str, ServiceRequest] = {}
        self._reasons: dict[str, str] = {}
        """Why a prompt has to be sent again."""

    def completions(self, prompts: Sequence[Prompt], poll_seconds: float) -> Iterator[Completion]:
        """Yield one completion per prompt, from batches that exist already and from new ones."""
        self._unanswered = {prompt_key(prompt): self._dialect.request(prompt) for prompt in prompts}
        pending = dict(self._earlier())
        rounds = 0
        while rounds < ROUNDS:
            version = self._dialect.version
            covered = {key for batch in pending.values() for key in batch.prompts}
            pending |= self._submit([key for key in self._unanswered if key not in covered])
            yield from self._collect(pending, poll_seconds)
            pending = {}
            if not self._unanswered:
                return
            rounds += self._dialect.version == version  # a round in which settings were left out does not count
        for key, request in self._unanswered.items():
            reason = f"{self._reasons.get(key, 'no answer')} (in the last of {ROUNDS} batches)"
            yield self._dialect.completion(RequestOutcome(request, None, reason, None))

    def _earlier(self) -> Iterator[tuple[str, SentBatch]]:
        """Yield the batches of earlier calls that are not merged, including those whose creation was not confirmed."""
        for key, sent in self._log.read().items():
            if sent.merged:
                continue
            if not sent.id:
                batch = self._service.find(key)
                sent = dataclasses.replace(sent, id=batch.id if batch else "", merged=batch is None)
                self._log.append(key, sent)
            if sent.id:
                say(f"generate: resuming batch {sent.id}, sent earlier with {counted(len(sent.prompts), 'prompt')}")
                yield key, sent

    def _submit(self, keys: Sequence[str]) -> dict[str, SentBatch]:
        submitted = {}
        lines = {key: self._service.line(key, self._dialect.fields(self._unanswered[key])) for key in keys}
        for part in parts(lines):
            batch_key = digest([part, time.time_ns()])
            self._log.append(batch_key, SentBatch(part))
            batch = self._service.send(batch_key, [lines[key] for key in part])
            submitted[batch_key] = SentBatch(part, str(batch.id))
            self._versions[str(batch.id)] = self._dialect.version
            self._log.append(batch_key, submitted[batch_key])
            sent = f"batch {batch.id} sent with {counted(len(part), 'prompt')}"
            say(f"generate: {sent}; after Ctrl-C, run the same command to continue with it")
        return submitted

    def _collect(self, pending: Mapping[str, SentBatch], poll_seconds: float) -> Iterator[Completion]:
        """Wait for batches, in whatever order they end, and yield their answers to prompts that have none yet."""
        waiting = dict(pending)
        done: dict[str, int] = {}
        with track("batches", total=sum(len(sent.prompts) for sent in waiting.values()), unit="requests") as bar:
            while waiting:
                for key, sent in list(waiting.items()):
                    batch = self._service.look(sent.id)
                    _show(bar, batch, done)
                    if batch.status in _ENDED:
                        yield from self._merge(batch)
                        self._log.append(key, dataclasses.replace(sent, merged=True))
                        del waiting[key]
                        self._raise_if_stopped(batch)
                if waiting:
                    time.sleep(poll_seconds)

    def _merge(self, batch: Batch) -> Iterator[Completion]:
        for key, row in self._service.results(batch):
            request = self._unanswered.get(key)
            if request is None:
                continue  # stored already, or another line of the same request
            reply = read(row, self._dialect, self._endpoint)
            if not isinstance(reply, Problem):
                del self._unanswered[key]
                yield self._dialect.completion(RequestOutcome(request, reply, None, None))
            elif reply.again or self._adapts(reply, batch):
                self._reasons[key] = reply.message
            else:
                del self._unanswered[key]
                error = f"{reply.message}{self._dialect.hint(reply.refusal)}"
                yield self._dialect.completion(RequestOutcome(request, None, error, None))

    def _adapts(self, problem: Problem, batch: Batch) -> bool:
        """Return whether a request can be sent again because settings have changed since its batch was sent."""
        if problem.refusal is None:
            return False
        changed = self._dialect.version != self._versions.get(batch.id, 0)
        return changed or self._dialect.adapt(problem.refusal)

    def _raise_if_stopped(self, batch: Batch) -> None:
        """Raise a ModelError for a batch that was rejected, as the next would be too, or that somebody cancelled."""
        if batch.status == "failed":
            errors = batch.errors.data if batch.errors and batch.errors.data else []
            reason = "; ".join(f"{e.code}: {e.message}" for e in errors) or "no reason given"
            raise ModelError(
                f"batch {batch.id} was rejected: {self._endpoint.redacted(reason)}. None of its requests were run."
            )
        if batch.status == "cancelled" and self._unanswered:
            raise ModelError(
                f"batch {batch.id} was cancelled. Its answers are stored; run the same command again to send the rest."
            )


def _show(bar: Bar, batch: Batch, done: dict[str, int]) -> None:
    counts = batch.request_counts
    now = sum(n for n in (counts.completed, counts.failed) if isinstance(n, int)) if counts else 0
    bar.advance(now - done.get(batch.id, 0), f"{batch.id}: {batch.status}")
    done[batch.id] = now


def _sent_batch(row: dict[str, Any]) -> SentBatch:
    return SentBatch(**{**row, "prompts": tuple(row["prompts"])})
