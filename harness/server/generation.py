"""From the engine's queue to a client: whole answers, and streams of server-sent events.

A client that disconnects takes its prompts out of the queue. The texts of a stream, joined, are exactly the answer
that is not streamed. So a text is held back while it may still be truncated: white space at its end, the beginning of
a stop sequence, and a character of which only some bytes are generated.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse

from harness.server.completions import Generation, GenerationEndpoint, finish_reason, usage
from harness.server.engine import Engine, EngineResult, QueuedPrompt
from harness.server.errors import ApiError, explain, invalid, stopping
from harness.types import SamplingParams

T = TypeVar("T")
UNFINISHED = "\N{REPLACEMENT CHARACTER}"


async def results(request: Request, prompts: Sequence[QueuedPrompt]) -> list[EngineResult]:
    """Wait for all prompts; those that have not started are cancelled when the client disconnects."""
    futures = asyncio.gather(*(asyncio.wrap_future(prompt.future) for prompt in prompts))
    return [checked(result) for result in await unless_disconnected(request, futures)]


def collected(futures: Sequence[Future[EngineResult]]) -> list[EngineResult]:
    """Wait for all results in the calling thread."""
    return [checked(future.result()) for future in futures]


def checked(result: EngineResult) -> EngineResult:
    """Return a result that has a text; otherwise raise the error in OpenAI's shape."""
    completion = result.completion
    if completion.error is None:
        return result
    if completion.prompt_tokens is not None:  # the model read the prompt, which does not fit
        raise invalid(f"{completion.error}.", "messages", "context_length_exceeded")
    raise ApiError(500, f"The model failed: {completion.error}.")


async def unless_disconnected(request: Request, awaited: asyncio.Future[T]) -> T:
    """Wait for a future; cancel it when the client disconnects first, or the server stops."""
    disconnected = asyncio.ensure_future(_disconnected(request))
    awaited.add_done_callback(lambda done: done.cancelled() or done.exception())  # so that it counts as retrieved
    try:
        both: set[asyncio.Future[Any]] = {awaited, disconnected}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not awaited.done():
            raise ClientDisconnect
        return awaited.result()
    except asyncio.CancelledError as error:
        raise stopping() from error
    finally:
        awaited.cancel()
        disconnected.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def stream(
    request: Request, endpoint: GenerationEndpoint, generation: Generation, engine: Engine
) -> StreamingResponse:
    """Answer a request as a stream; what fails before the first piece is an error like any other."""
    loop = asyncio.get_running_loop()
    texts: asyncio.Queue[str | None] = asyncio.Queue()

    def put(text: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the server has stopped, and nobody listens
            loop.call_soon_threadsafe(texts.put_nowait, text)

    [prompt] = generation.queued(watch=put)
    prompt.future.add_done_callback(lambda _: put(None))
    engine.submit([prompt])
    try:
        first = await unless_disconnected(request, asyncio.ensure_future(texts.get()))
        if first is None:
            checked(prompt.future.result())
    except BaseException:
        prompt.future.cancel()
        raise
    return StreamingResponse(_events(endpoint, generation, prompt, texts, first), media_type="text/event-stream")


async def _events(
    endpoint: GenerationEndpoint,
    generation: Generation,
    prompt: QueuedPrompt,
    texts: asyncio.Queue[str | None],
    text: str | None,
) -> AsyncIterator[str]:
    chunk, sent = endpoint.chunk(endpoint.head(generation.model)), ""
    yield _event(endpoint.piece(chunk, "", first=True))
    try:
        while text is not None:
            final = settled(text, generation.decoding)
            if len(final) > len(sent) and final.startswith(sent):
                yield _event(endpoint.piece(chunk, final[len(sent) :]))
                sent = final
            text = await texts.get()
        result = checked(prompt.future.result())
        if rest := (result.completion.text or "")[len(sent) :]:
            yield _event(endpoint.piece(chunk, rest))
        yield _event(endpoint.piece(chunk, None, finish_reason(result.completion)))
        if generation.include_usage:
            yield _event({**chunk, "choices": [], "usage": usage([result]).model_dump(exclude_unset=True)})
        yield "data: [DONE]\n\n"
    except Exception as error:  # the answer has begun, so its status can no longer be changed
        yield _event(explain(error).json())


def settled(text: str, decoding: SamplingParams) -> str:
    """Return the beginning of an unfinished text that the rest of it can no longer change."""
    text = text.rstrip(UNFINISHED)
    held = max((_overlap(text, stop) for stop in decoding.stop), default=0)
    return text[: len(text) - held].strip()


def _overlap(text: str, stop: str) -> int:
    """Return how many of the last characters could be the first ones of a stop sequence."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"
