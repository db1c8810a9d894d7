"""Answers as they are made: server-sent events, whose texts joined are exactly the answer that is not streamed.

So a text is held back while it may still be cut: white space at its end, the beginning of a stop sequence, and a
character of which only some bytes are there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from harness.server.engine import Answer, Ask, Engine
from harness.server.errors import explain
from harness.server.generation import Form, Wanted, checked, reason, unless_gone, usage
from harness.types import SamplingParams

UNFINISHED = "\N{REPLACEMENT CHARACTER}"


async def stream(request: Request, form: Form, wanted: Wanted, engine: Engine) -> StreamingResponse:
    """Answer a request piece by piece; what goes wrong before the first piece is an error like any other."""
    loop = asyncio.get_running_loop()
    said: asyncio.Queue[str | None] = asyncio.Queue()

    def tell(text: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended, and nobody listens
            loop.call_soon_threadsafe(said.put_nowait, text)

    [ask] = wanted.asks(watch=tell)
    ask.future.add_done_callback(lambda _: tell(None))
    engine.submit([ask])
    try:
        first = await unless_gone(request, asyncio.ensure_future(said.get()))
        if first is None:
            checked(ask.future.result())
    except BaseException:
        ask.future.cancel()
        raise
    return StreamingResponse(_events(form, wanted, ask, said, first), media_type="text/event-stream")


async def _events(
    form: Form, wanted: Wanted, ask: Ask, said: asyncio.Queue[str | None], text: str | None
) -> AsyncIterator[str]:
    head, sent = form.head(wanted.model), ""
    yield _event(form.piece(head, "", None, True))
    try:
        while text is not None:
            sure = settled(text, wanted.decoding)
            if len(sure) > len(sent) and sure.startswith(sent):
                yield _event(form.piece(head, sure[len(sent) :], None, False))
                sent = sure
            text = await said.get()
        answer = checked(ask.future.result())
        if rest := (answer.completion.text or "")[len(sent) :]:
            yield _event(form.piece(head, rest, None, False))
        yield _event(form.piece(head, None, reason(answer.completion), False))
        if wanted.include_usage:
            yield _event(_totals(form.piece(head, None, None, False), answer))
        yield "data: [DONE]\n\n"
    except Exception as error:  # the answer has begun, so that its status can no longer say it
        yield _event(explain(error).json())


def settled(text: str, decoding: SamplingParams) -> str:
    """Return the beginning of an unfinished text that its end cannot change any more."""
    text = text.rstrip(UNFINISHED)
    held = max((_overlap(text, stop) for stop in decoding.stop), default=0)
    return text[: len(text) - held].strip()


def _overlap(text: str, stop: str) -> int:
    """Return how many of the last characters could be the first ones of a stop sequence."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)


def _totals(piece: dict[str, Any], answer: Answer) -> dict[str, Any]:
    return {**piece, "choices": [], "usage": usage([answer])}


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"
