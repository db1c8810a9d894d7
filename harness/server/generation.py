"""What completions and chat completions have in common: decoding options, the wait for the model, usage.

Each of the two says in its own file what its requests and answers look like, as a `Form`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from harness.server import records as ids
from harness.server.engine import Answer, Ask, Watch
from harness.server.errors import ApiError, ending, invalid
from harness.server.fields import Fields, kind
from harness.server.settings import Limits
from harness.types import Completion, FinishReason, Prompt, SamplingParams

T = TypeVar("T")
STOPS = 4
"""The most stop sequences, as at OpenAI."""
NEUTRAL: dict[str, Sequence[object]] = {
    "n": (1,),
    "logit_bias": ({},),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
}
"""What changes the text and is not supported, with the values that would change nothing."""
LABELS = ("user", "safety_identifier", "prompt_cache_key")
"""Names for the asker, which decide nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request for text; `seeded` says whether its answer is to be the same each time."""

    model: str
    prompts: tuple[Prompt, ...]
    decoding: SamplingParams
    seeded: bool
    stream: bool = False
    include_usage: bool = False

    def asks(self, watch: Watch | None = None) -> list[Ask]:
        """Return what the engine is asked."""
        return [Ask(self.model, prompt, self.decoding, self.seeded, watch) for prompt in self.prompts]


@dataclass(frozen=True, slots=True)
class Head:
    """What every part of one answer carries."""

    id: str
    created: int
    model: str

    def json(self, kind: str, fingerprint: str | None) -> dict[str, Any]:
        """Return the first keys of an answer."""
        head = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return {**head, "system_fingerprint": fingerprint}


@dataclass(frozen=True, slots=True)
class Form:
    """How one endpoint's requests are read and its answers written."""

    prefix: str
    """What the ids of its answers start with."""
    parse: Callable[[Fields, Limits], Wanted]
    whole: Callable[[Head, Sequence[Answer]], dict[str, Any]]
    piece: Callable[[Head, str | None, str | None, bool], dict[str, Any]]
    """One part of a stream: its text, its finish reason, and whether it is the first."""

    def head(self, model: str) -> Head:
        """Return the head of a new answer."""
        return Head(ids.new(self.prefix), int(time.time()), model)


def finish(fields: Fields, prompts: tuple[Prompt, ...], max_tokens: int) -> Wanted:
    """Read the options of a request whose model and prompts are next; every key is read or refused."""
    model = fields.text("model")
    temperature, top_p = fields.number("temperature", 0, 2), fields.number("top_p", 0, 1)
    if top_p == 0:
        fields.refuse("top_p", "more than 0 (temperature 0 takes the likeliest token)", top_p)
    seed = fields.integer("seed", -(2**63), 2**63)
    stream = fields.flag("stream")
    options = Fields(fields.take("stream_options") or {}, "stream_options")
    include_usage = options.flag("include_usage")
    options.neutral({"include_obfuscation": (True, False)})
    options.done()
    stop = _stop(fields)
    for label in LABELS:
        fields.take(label)
    fields.neutral(NEUTRAL)
    fields.done()
    decoding = SamplingParams(
        max_tokens=max_tokens,
        temperature=1.0 if temperature is None else temperature,
        top_p=1.0 if top_p is None else top_p,
        stop=stop,
        seed=(seed or 0) % 2**63,  # numpy takes no seed below 0
    )
    return Wanted(model, prompts, decoding, seed is not None, stream, include_usage)


def _stop(fields: Fields) -> tuple[str, ...]:
    value = fields.take("stop")
    stops = [value] if isinstance(value, str) else value or []
    if not isinstance(stops, list) or len(stops) > STOPS:
        fields.refuse("stop", f"a text or a list of at most {STOPS}", value)
    for number, stop in enumerate(stops):
        if not isinstance(stop, str) or not stop:
            fields.refuse(f"stop[{number}]", "a text that is not empty", stop)
    return tuple(stops)


def text(value: object, name: str) -> str:
    """Return a text that a tokenizer can read."""
    if not isinstance(value, str):
        raise invalid(f"{name}: expected a text, got {kind(value)}.", name, "invalid_value")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise invalid(f"{name}: has half a surrogate pair.", name, "invalid_value") from error
    return value


async def answers(request: Request, asks: Sequence[Ask]) -> list[Answer]:
    """Wait for all answers; where the client goes away first, what has not begun is not done."""
    found = asyncio.gather(*(asyncio.wrap_future(ask.future) for ask in asks))
    return [checked(answer) for answer in await unless_gone(request, found)]


async def unless_gone(request: Request, wanted: asyncio.Future[T]) -> T:
    """Wait for what is wanted, and cancel it where the client goes away first, or the server ends."""
    gone = asyncio.ensure_future(_gone(request))
    wanted.add_done_callback(lambda done: done.cancelled() or done.exception())  # so that it counts as seen
    try:
        first: set[asyncio.Future[Any]] = {wanted, gone}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            raise ClientDisconnect
        return wanted.result()
    except asyncio.CancelledError as error:
        raise ending() from error
    finally:
        wanted.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def collected(futures: Sequence[Future[Answer]]) -> list[Answer]:
    """Wait for all answers in a thread of one's own."""
    return [checked(future.result()) for future in futures]


def checked(answer: Answer) -> Answer:
    """Return an answer that is one; else the error in OpenAI's shape."""
    found = answer.completion
    if found.error is None:
        return answer
    if found.prompt_tokens is not None:  # the model read the prompt and would not have it
        raise invalid(f"{found.error}.", "messages", "context_length_exceeded")
    raise ApiError(500, f"The model failed: {found.error}.")


def reason(completion: Completion) -> str:
    """Return OpenAI's word for why a completion ended."""
    return "length" if completion.finish_reason is FinishReason.LENGTH else "stop"


def usage(found: Sequence[Answer]) -> dict[str, int]:
    """Return OpenAI's usage object of some answers."""
    prompt = sum(answer.completion.prompt_tokens or 0 for answer in found)
    completion = sum(answer.completion.completion_tokens or 0 for answer in found)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
