"""A service's Batch API as a model: all prompts in one file, answered within a day, at a lower price.

What was sent is in a log beside the completions before and after it is sent, so that a restart waits for the batches
that are there instead of paying for new ones: one whose answer to the submission was lost is found by its metadata.
Answers are merged as batches end, expired and failed ones too; only what has no answer is sent again.
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
from harness.client.requests import Job, Outcome
from harness.errors import ConfigError, ModelError
from harness.models.openai import PATHS, OpenAIModel
from harness.progress import Bar, say, track
from harness.protocols import Model
from harness.stages.generate import prompt_key
from harness.store.digest import digest
from harness.store.stages import Log, Store
from harness.types import Completion, ModelIdentity, Prompt, SamplingParams

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch

ROUNDS = 3
"""How often a prompt is sent before it counts as an error."""
_ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch in the log: the prompts in it by key, its id once that is known, and whether its answers are merged."""

    prompts: tuple[str, ...]
    id: str = ""
    merged: bool = False


def in_batches(model: Model, store: Store, poll_seconds: float) -> Model:
    """Return the model with its prompts sent in batches; ConfigError where its backend has no Batch API."""
    if not isinstance(model, OpenAIModel):
        raise ConfigError(
            f"generation.batch: expected model=openai, got the {model.identity.backend!r} backend. Leave it out."
        )
    return BatchedModel(model, store, poll_seconds)


class BatchedModel:
    """An OpenAI-compatible model that is asked through its Batch API; its completions are the model's own."""

    parameters = None

    def __init__(self, model: OpenAIModel, store: Store, poll_seconds: float, client: OpenAI | None = None) -> None:
        self._model, self._store, self._poll = model, store, poll_seconds
        self._given = client

    @property
    def identity(self) -> ModelIdentity:
        """Identify the model; how its completions were asked for does not change them."""
        return self._model.identity

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield each batch's completions when it ends; ModelError where the service refuses a batch."""
        if not prompts:
            return
        from openai import OpenAIError

        config = self._model.config
        endpoint = Endpoint.of(config.base_url, config.api_key_env)
        inputs = {"model": self.identity, "decoding": decoding}
        path = self._store.completions(inputs).path.with_name("batches.jsonl")
        service = BatchService(self._given or endpoint.client(retries=5), PATHS[config.endpoint])
        run = _Run(service, endpoint, Dialect(config, decoding), Log(path, dataclasses.asdict, _sent))
        try:
            yield from run.completions(prompts, self._poll)
        except OpenAIError as error:
            raise ModelError(
                f"{endpoint.base_url}: {endpoint.redacted(str(error))}. What was sent is in {path}: the same command "
                "goes on with it."
            ) from error


class _Run:
    """One call for completions: what is wanted, what is on its way, and what came of it."""

    def __init__(self, service: BatchService, endpoint: Endpoint, dialect: Dialect, log: Log[Sent]) -> None:
        self._service, self._endpoint, self._dialect, self._log = service, endpoint, dialect, log
        self._jobs: dict[str, Job] = {}
        self._why: dict[str, str] = {}
        """Why a prompt has to be sent again."""

    def completions(self, prompts: Sequence[Prompt], poll: float) -> Iterator[Completion]:
        """Yield one completion a prompt, from batches that are there already and from new ones."""
        self._jobs = {prompt_key(prompt): self._dialect.job(prompt) for prompt in prompts}
        on_their_way = dict(self._earlier())
        for _ in range(ROUNDS):
            covered = {key for sent in on_their_way.values() for key in sent.prompts}
            on_their_way |= self._submit([key for key in self._jobs if key not in covered])
            yield from self._collect(on_their_way, poll)
            on_their_way = {}
            if not self._jobs:
                return
        for key, job in self._jobs.items():
            why = f"{self._why.get(key, 'no answer')} (in the last of {ROUNDS} batches)"
            yield self._dialect.completion(Outcome(job, None, why, None))

    def _earlier(self) -> Iterator[tuple[str, Sent]]:
        """Yield the batches of earlier calls that are not merged, those too that nobody knows to have arrived."""
        for key, sent in self._log.read().items():
            if sent.merged:
                continue
            if not sent.id:
                found = self._service.find(key)
                sent = dataclasses.replace(sent, id=found.id if found else "", merged=found is None)
                self._log.append(key, sent)
            if sent.id:
                say(f"generate: batch {sent.id}, sent earlier with {len(sent.prompts):,} prompts, is gone on with")
                yield key, sent

    def _submit(self, keys: Sequence[str]) -> dict[str, Sent]:
        made = {}
        lines = {key: self._service.line(key, self._dialect.fields(self._jobs[key])) for key in keys}
        for part in parts(lines):
            key = digest([part, time.time_ns()])
            self._log.append(key, Sent(part))
            made[key] = Sent(part, self._service.send(key, [lines[each] for each in part]).id)
            self._log.append(key, made[key])
            sent = f"batch {made[key].id} sent with {len(part):,} prompts"
            say(f"generate: {sent}; after Ctrl-C the same command goes on with it")
        return made

    def _collect(self, on_their_way: Mapping[str, Sent], poll: float) -> Iterator[Completion]:
        """Wait for batches, in whatever order they end, and yield what is still wanted of their answers."""
        left = dict(on_their_way)
        done: dict[str, int] = {}
        with track("batches", total=sum(len(sent.prompts) for sent in left.values()), unit="requests") as bar:
            while left:
                for key, sent in list(left.items()):
                    batch = self._service.look(sent.id)
                    _show(bar, batch, done)
                    if batch.status in _ENDED:
                        yield from self._merge(batch)
                        self._log.append(key, dataclasses.replace(sent, merged=True))
                        del left[key]
                        self._refuse(batch)
                if left:
                    time.sleep(poll)

    def _merge(self, batch: Batch) -> Iterator[Completion]:
        for key, row in self._service.results(batch):
            job = self._jobs.get(key)
            if job is None:
                continue  # stored already, or another line of the same request
            found = read(row, self._dialect, self._endpoint)
            if not isinstance(found, Problem):
                del self._jobs[key]
                yield self._dialect.completion(Outcome(job, found, None, None))
            elif found.again or (found.parameter and self._dialect.adapt(found.parameter)):
                self._why[key] = found.message
            else:
                del self._jobs[key]
                yield self._dialect.completion(Outcome(job, None, found.message, None))

    def _refuse(self, batch: Batch) -> None:
        """Raise a ModelError for a batch that was never run, as the next would not be, or that somebody stopped."""
        if batch.status == "failed":
            errors = batch.errors.data if batch.errors and batch.errors.data else []
            why = "; ".join(f"{e.code}: {e.message}" for e in errors) or "no reason given"
            raise ModelError(f"batch {batch.id} was refused: {self._endpoint.redacted(why)}. Nothing of it was run.")
        if batch.status == "cancelled" and self._jobs:
            raise ModelError(f"batch {batch.id} was cancelled. Its answers are kept; the same command sends the rest.")


def _show(bar: Bar, batch: Batch, done: dict[str, int]) -> None:
    counts = batch.request_counts
    now = counts.completed + counts.failed if counts else 0
    bar.advance(now - done.get(batch.id, 0), f"{batch.id}: {batch.status}")
    done[batch.id] = now


def _sent(row: dict[str, Any]) -> Sent:
    return Sent(**{**row, "prompts": tuple(row["prompts"])})
