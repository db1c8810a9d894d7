"""An OpenAI-compatible server that fails in seeded ways, and counts what a real one would have billed.

It speaks HTTP over bare sockets, because it has to break connections in the middle of a reply. It runs in a thread of
its own: `with FaultServer(...) as server: ... server.base_url`.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import Any
from urllib.parse import unquote

REPEATED = ("cut cleanly", "no choice", "empty choice")
"""Whole replies with status 200 and no answer, the same each time."""
PAID = (*REPEATED, "cut")
"""Replies with status 200 and no answer; each costs money."""
KINDS = ("429", "429 and when", "500", "503", "dropped", "slow", *PAID)


@dataclass(slots=True)
class Behaviour:
    """What the server does: latency in seconds, the share of requests that meet a fault, and its limits."""

    latency: float = 0.002
    faults: float = 0.0
    kinds: tuple[str, ...] = KINDS
    slow: float = 0.05
    """Seconds that a slow reply takes."""
    most: int | None = None
    """More requests at once are refused with 429."""
    seed: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every reply."""
    endings: Mapping[str, str] = field(default_factory=dict)
    """The shutdown dates of the models that GET /v1/models/MODEL knows."""
    refuse: Mapping[str, str] = field(default_factory=dict)
    """Settings of a request that are refused with 400, and the error's code."""


@dataclass(slots=True)
class Seen:
    """What the server saw and did, by prompt."""

    requests: Counter[str] = field(default_factory=Counter)
    billed: Counter[str] = field(default_factory=Counter)
    """Answers that were written whole to a client that was still there."""
    faults: Counter[str] = field(default_factory=Counter)
    """By kind, and by prompt those that cost money."""
    paid_faults: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0


class FaultServer:
    """Serves /v1/chat/completions and /v1/completions on a free port of this machine."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.seen = behaviour, Seen()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> FaultServer:
        self._thread.start()
        started = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(started, self._loop).result()
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _request(reader, self.seen):
                self.seen.at_once += 1
                self.seen.most_at_once = max(self.seen.most_at_once, self.seen.at_once)
                try:
                    if not await self._answer(request, reader, writer):
                        break
                finally:
                    self.seen.at_once -= 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Reply once; False where the connection is done with."""
        does, seen, prompt = self.behaviour, self.seen, _prompt(body)
        if "get" in body:
            return await self._model(writer, body["get"])
        if does.most is not None and seen.at_once > does.most:
            return await self._send(writer, 429, _error("rate_limit_exceeded"))
        for name, code in does.refuse.items():
            if name in body:
                return await self._send(writer, 400, _error(code, name))
        draw = random.Random(f"{does.seed} {prompt} {seen.requests[prompt]}")
        seen.requests[prompt] += 1
        seen.bodies.append(body)
        kind = self._fault(prompt, draw)
        await asyncio.sleep(does.slow if kind == "slow" else does.latency)
        answer = json.dumps(answered(prompt, body, kind)).encode()
        if kind in _STATUS:
            status, when = _STATUS[kind]
            headers = draw.choice([*when, {"Retry-After": formatdate(usegmt=True)}]) if when else None
            return await self._send(writer, status, _error("server_error"), headers)
        if kind == "dropped":
            return False
        if kind == "cut":
            await self._send(writer, 200, answer[: len(answer) // 2], {"Content-Length": str(len(answer))})
            return False
        if kind == "cut cleanly":
            return await self._send(writer, 200, answer[: len(answer) // 2])
        if reader.at_eof() or writer.is_closing():  # the client has hung up
            return False
        seen.billed[prompt] += kind not in ("no choice", "empty choice")
        return await self._send(writer, 200, answer)

    def _fault(self, prompt: str, draw: random.Random) -> str:
        """Return the kind of fault that a request meets, empty for none; the paid ones strike a prompt once."""
        does, seen = self.behaviour, self.seen
        kind = draw.choice(does.kinds) if draw.random() < does.faults else ""
        if kind in PAID and does.faults < 1 and seen.paid_faults[prompt]:
            kind = ""
        seen.paid_faults[prompt] += kind in PAID
        seen.faults[kind] += bool(kind)
        return kind

    async def _model(self, writer: asyncio.StreamWriter, name: str) -> bool:
        if name not in self.behaviour.endings:
            return await self._send(writer, 404, _error("model_not_found"))
        model = {"id": name, "object": "model", "created": 1, "owned_by": "x"}
        ending = {"shutdown_date": self.behaviour.endings[name]}
        return await self._send(writer, 200, json.dumps({**model, **ending}).encode())

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> bool:
        fields = {"Content-Length": str(len(body)), **self.behaviour.headers, **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{head}\r\n".encode() + body)
        await writer.drain()
        return True


_STATUS: dict[str, tuple[int, list[dict[str, str]]]] = {
    "429": (429, []),
    "429 and when": (429, [{"Retry-After": "0"}, {"Retry-After": "0.004"}, {"retry-after-ms": "3"}]),
    "500": (500, []),
    "503": (503, []),
}


def answered(prompt: str, body: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """Return the answer to a prompt, which any test can work out for itself."""
    text = f"You said: {prompt}"
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    if "messages" in body:
        choice["message"] = {"role": "assistant", "content": None if kind == "empty choice" else text}
    else:
        choice["text"] = None if kind == "empty choice" else text
    return {
        "id": "x",
        "object": "chat.completion",
        "model": f"{body['model']}-2026-01-01",
        "system_fingerprint": "fp_1",
        "choices": [] if kind == "no choice" else [choice],
        "usage": {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())},
    }


def _prompt(body: Mapping[str, Any]) -> str:
    return str(body["messages"][-1]["content"] if "messages" in body else body.get("prompt", ""))


def _error(code: str, parameter: str | None = None) -> bytes:
    return json.dumps({"error": {"message": f"it is {code}", "type": code, "code": code, "param": parameter}}).encode()


async def _request(reader: asyncio.StreamReader, seen: Seen) -> dict[str, Any] | None:
    """Read one request; None where the client has no more."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    if head.startswith("GET "):
        return {"get": unquote(head.split()[1].removeprefix("/v1/models/"))}
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    seen.authorizations.add(fields.get("authorization", ""))
    body: dict[str, Any] = json.loads(await reader.readexactly(int(fields["content-length"])))
    return body
