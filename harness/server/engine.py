"""The thread that generates: requests for one model under the same decoding options are answered together.

A local model answers many prompts in little more time than one. So the prompts that arrive while the model is busy go
through it as one batch, and a first request waits for a moment for those that were sent with it. Two equal prompts
that are sampled without a seed are never in one batch, where they would get the same completion.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from harness import registry
from harness.config import LocalModelConfig
from harness.errors import ModelError
from harness.protocols import Model
from harness.server.errors import busy
from harness.server.models import Catalog
from harness.server.settings import Limits
from harness.store.digest import digest
from harness.types import Completion, Prompt, SamplingParams

GATHER_SECONDS = 0.005
"""How long the first request waits for others."""
BATCH = 64
"""The most prompts at once, for a model without a batch size of its own."""

Watch = Callable[[str], None]
"""Called with the text so far, from the engine's thread."""


@runtime_checkable
class WatchedModel(Model, Protocol):
    """A model that reports the text so far while it generates."""

    def generate_watched(
        self, prompts: Sequence[Prompt], decoding: SamplingParams, watchers: Mapping[str, Watch]
    ) -> Iterator[Completion]:
        """As `generate`, and call each watcher with the text of its example after every token."""
        ...


@dataclass(frozen=True, slots=True)
class EngineResult:
    """A completion, and the digest of the model that generated it."""

    completion: Completion
    fingerprint: str


@dataclass(eq=False, slots=True)
class QueuedPrompt:
    """One prompt that waits for its completion; unless `seeded`, the engine draws it with a seed of its own."""

    model: str
    prompt: Prompt
    decoding: SamplingParams
    seeded: bool = True
    watch: Watch | None = None
    future: Future[EngineResult] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)

    def joins(self, group: Sequence[QueuedPrompt]) -> bool:
        """Return whether it can be answered in one batch with these."""
        first = group[0]
        if (self.model, self.decoding, self.seeded) != (first.model, first.decoding, first.seeded):
            return False
        unseeded_sampling = self.decoding.temperature > 0 and not self.seeded
        return not (unseeded_sampling and any(_same(self.prompt, other.prompt) for other in group))


class Engine:
    """The queue and the models of one server; a model is loaded on use, and the least recently used one is unloaded."""

    def __init__(self, catalog: Catalog, limits: Limits) -> None:
        self._catalog, self._limits = catalog, limits
        self._waiting: list[QueuedPrompt] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._models: OrderedDict[str, tuple[Model, str]] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def stop(self, seconds: float = 2.0) -> bool:
        """Cancel what waits and stop. Return whether the thread has ended within `seconds`."""
        with self._changed:
            self._stopping = True
            for prompt in self._waiting:
                prompt.future.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many prompts wait for the model."""
        return len(self._waiting)

    def submit(self, prompts: Sequence[QueuedPrompt], limited: bool = True) -> None:
        """Queue prompts, all or none; a 429 error when `limited` and too many wait."""
        with self._changed:
            self._waiting = [prompt for prompt in self._waiting if not prompt.future.cancelled()]
            if limited and len(self._waiting) + len(prompts) > self._limits.waiting:
                raise busy(f"{len(self._waiting)} prompts wait for the model. Try again later.", 2)
            self._waiting += prompts
            self._changed.notify_all()

    def _run(self) -> None:
        while group := self._next():
            running = [prompt for prompt in group if prompt.future.set_running_or_notify_cancel()]
            try:
                model, fingerprint = self._load(group[0].model)
            except Exception as error:  # whatever it is, its requests fail with it and the next are answered
                for prompt in running:
                    prompt.future.set_exception(error)
                continue
            _generate(model, fingerprint, running)

    def _next(self) -> list[QueuedPrompt]:
        """Wait for prompts that can be answered together; an empty list when the server stops."""
        with self._changed:
            while not self._stopping:
                if not self._waiting:
                    self._changed.wait()
                    continue
                first = self._waiting[0]
                size = self._size(first.model)
                group = [first]
                for prompt in self._waiting[1:]:
                    if len(group) < size and prompt.joins(group):
                        group.append(prompt)
                remaining = first.arrived + GATHER_SECONDS - time.monotonic()
                if len(group) < size and remaining > 0:
                    self._changed.wait(remaining)
                    continue
                taken = set(map(id, group))
                self._waiting = [prompt for prompt in self._waiting if id(prompt) not in taken]
                return group
        return []

    def _size(self, name: str) -> int:
        with contextlib.suppress(Exception):  # a model that was deleted meanwhile fails when it is loaded
            config = self._catalog.find(name)
            return config.batch_size if isinstance(config, LocalModelConfig) else BATCH
        return BATCH

    def _load(self, name: str) -> tuple[Model, str]:
        config = self._catalog.find(name)
        if name not in self._models:
            while len(self._models) >= self._limits.models_in_memory:
                self._models.popitem(last=False)
            model = registry.model(config)
            self._models[name] = model, f"fp_{digest(model.identity)}"
        self._models.move_to_end(name)
        return self._models[name]


def _generate(model: Model, fingerprint: str, queued: Sequence[QueuedPrompt]) -> None:
    """Complete a batch; when it fails as a whole, each prompt is tried alone, so that a bad one fails only itself."""
    if not queued:
        return
    prompts = [replace(item.prompt, example_id=str(number)) for number, item in enumerate(queued)]
    decoding = queued[0].decoding
    if not queued[0].seeded:
        decoding = replace(decoding, seed=secrets.randbits(62))
    try:
        watchers = {str(number): item.watch for number, item in enumerate(queued) if item.watch}
        if watchers and isinstance(model, WatchedModel):
            completions = model.generate_watched(prompts, decoding, watchers)
        else:
            completions = model.generate(prompts, decoding)
        for completion in completions:
            queued[int(completion.example_id)].future.set_result(EngineResult(completion, fingerprint))
        error: Exception = ModelError("The model gave no completion for this prompt.")
    except Exception as raised:  # the thread must survive
        error = raised
    unanswered = [item for item in queued if not item.future.done()]
    if len(queued) == 1 and unanswered:
        unanswered[0].future.set_exception(error)
        return
    for item in unanswered:
        _generate(model, fingerprint, [item])


def _same(one: Prompt, other: Prompt) -> bool:
    return (one.text, one.messages) == (other.text, other.messages)
