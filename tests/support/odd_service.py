"""A service with odd answers: one for each prompt, which is the answer's name.

Each is written as bytes, because many are no proper HTTP.

    with OddService() as service: ... service.base_url, service.requests[name]
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from tests.support.odd_answers import FINE, ODD, OddAnswer, Shape


@dataclass(slots=True)
class OddService:
    """Serves every answer of the table on a free port of this machine, and counts the requests for each."""

    answers: Mapping[str, OddAnswer] = field(default_factory=lambda: ODD)
    requests: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> OddService:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        started = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        server = asyncio.run_coroutine_threadsafe(started, self._loop).result()
        self.port = int(server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            name = ""
            if "content-length: " in head:
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                name = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
                self.requests[name] += 1
            async for data in _written(self.answers[name] if name in self.answers else OddAnswer(FINE)):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    shown = {"Content-Type": "application/json", "Connection": "close", **headers}
    return f"HTTP/1.1 {status} X\r\n{''.join(f'{k}: {v}{chr(13)}{chr(10)}' for k, v in shown.items())}\r\n".encode()


def whole(shape: Shape) -> bytes:
    """Return a reply as HTTP."""
    status, body, headers = shape
    length = {} if status == 204 else {"Content-Length": str(len(body))}
    return _head(status, {**length, **headers}) + body


_FINE, _BODY = whole(FINE), FINE[1]
_ALIVE = _FINE.replace(b"Connection: close\r\n", b"")
_EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
_AT_ONCE = {
    "hangs up": b"",
    "chunks that end early": _head(200, {"Transfer-Encoding": "chunked"}) + b"ff\r\n" + _BODY[:40],
    "less than was announced": _head(200, {"Content-Length": "5000"}) + _BODY,
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "early hints": _EARLY + _FINE,
    "large header": whole((200, _BODY, {"X-Large": "x" * 20_000, "Set-Cookie": "=;;;\t,"})),
    "two bodies": _ALIVE + _ALIVE,
}


async def _written(answer: OddAnswer) -> AsyncIterator[bytes]:
    """Yield the bytes of an answer, as it sends them."""
    if not isinstance(answer.reply, str):
        yield whole(answer.reply)
    elif answer.reply in _AT_ONCE:
        yield _AT_ONCE[answer.reply]
    elif answer.reply == "says nothing":
        await asyncio.sleep(60)
    elif answer.reply == "drips":
        for i in range(len(_FINE)):
            yield _FINE[i : i + 1]
            await asyncio.sleep(0.1)
    elif answer.reply == "is endless":
        yield _head(200, {})
        while True:
            yield b" " * 100_000
