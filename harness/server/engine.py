"""The thread that generates: requests for one model under the same decoding options are answered together.

A local model answers many prompts in little more time than one. So what has come in while the model was busy goes
through it as one batch, and a first request waits for a moment for those that were sent with it. Two prompts that are
the same and are to be answered by chance have no part in one batch, where they would draw the same.
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
"""The most prompts at once, where the model has no number of its own."""

Watch = Callable[[str], None]


@runtime_checkable
class WatchedModel(Model, Protocol):
    """A model that tells the text so far while it generates."""

    def generate_watched(
        self, prompts: Sequence[Prompt], decoding: SamplingParams, watchers: Mapping[str, Watch]
    ) -> Iterator[Completion]:
        """As `generate`, and tell each watcher the text of its example after every token."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion, and the digest of the model that gave it."""

    completion: Completion
    fingerprint: str


@dataclass(eq=False, slots=True)
class Ask:
    """One prompt that is to be completed; unless `seeded` its answer is drawn by a number of the engine's own."""

    model: str
    prompt: Prompt
    decoding: SamplingParams
    seeded: bool = True
    watch: Watch | None = None
    future: Future[Answer] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)

    def joins(self, group: Sequence[Ask]) -> bool:
        """Say whether it can be answered in one batch with these."""
        first = group[0]
        if (self.model, self.decoding, self.seeded) != (first.model, first.decoding, first.seeded):
            return False
        by_chance = self.decoding.temperature > 0 and not self.seeded
        return not (by_chance and any(_same(self.prompt, other.prompt) for other in group))


class Engine:
    """Everything that generates text in one server; models are loaded on use and leave memory in turn."""

    def __init__(self, catalog: Catalog, limits: Limits) -> None:
        self._catalog, self._limits = catalog, limits
        self._waiting: list[Ask] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._models: OrderedDict[str, tuple[Model, str]] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, seconds: float = 2.0) -> bool:
        """Answer nothing more; what waits is cancelled. Return whether the thread has ended in so many seconds."""
        with self._changed:
            self._stopping = True
            for ask in self._waiting:
                ask.future.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many prompts wait for the model."""
        return len(self._waiting)

    def submit(self, asks: Sequence[Ask], limited: bool = True) -> None:
        """Queue prompts, all or none; an error in OpenAI's shape where too many wait."""
        with self._changed:
            self._waiting = [ask for ask in self._waiting if not ask.future.cancelled()]
            if limited and len(self._waiting) + len(asks) > self._limits.waiting:
                raise busy(f"{len(self._waiting)} prompts wait for the model. Ask again.", 2)
            self._waiting += asks
            self._changed.notify_all()

    def _run(self) -> None:
        while group := self._next():
            running = [ask for ask in group if ask.future.set_running_or_notify_cancel()]
            try:
                model, fingerprint = self._load(group[0].model)
            except Exception as error:  # whatever it is, its askers are told and the next have their turn
                for ask in running:
                    ask.future.set_exception(error)
                continue
            _generate(model, fingerprint, running)

    def _next(self) -> list[Ask]:
        """Wait for prompts that can be answered together; none when the server ends."""
        with self._changed:
            while not self._stopping:
                if not self._waiting:
                    self._changed.wait()
                    continue
                first = self._waiting[0]
                size = self._size(first.model)
                group = [first]
                for ask in self._waiting[1:]:
                    if len(group) < size and ask.joins(group):
                        group.append(ask)
                left = first.arrived + GATHER_SECONDS - time.monotonic()
                if len(group) < size and left > 0:
                    self._changed.wait(left)
                    continue
                taken = set(map(id, group))
                self._waiting = [ask for ask in self._waiting if id(ask) not in taken]
                return group
        return []

    def _size(self, name: str) -> int:
        with contextlib.suppress(Exception):  # a model that was deleted meanwhile is told of when it is loaded
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


def _generate(model: Model, fingerprint: str, asks: Sequence[Ask]) -> None:
    """Answer a batch; where it fails as a whole each prompt is tried alone, so that a bad one costs only itself."""
    if not asks:
        return
    prompts = [replace(ask.prompt, example_id=str(number)) for number, ask in enumerate(asks)]
    decoding = asks[0].decoding
    if not asks[0].seeded:
        decoding = replace(decoding, seed=secrets.randbits(62))
    try:
        watchers = {str(number): ask.watch for number, ask in enumerate(asks) if ask.watch}
        if watchers and isinstance(model, WatchedModel):
            found = model.generate_watched(prompts, decoding, watchers)
        else:
            found = model.generate(prompts, decoding)
        for completion in found:
            asks[int(completion.example_id)].future.set_result(Answer(completion, fingerprint))
        error: Exception = ModelError("The model gave no completion for this prompt.")
    except Exception as raised:  # the thread must live on
        error = raised
    left = [ask for ask in asks if not ask.future.done()]
    if len(asks) == 1 and left:
        left[0].future.set_exception(error)
        return
    for ask in left:
        _generate(model, fingerprint, [ask])


def _same(one: Prompt, other: Prompt) -> bool:
    return (one.text, one.messages) == (other.text, other.messages)
