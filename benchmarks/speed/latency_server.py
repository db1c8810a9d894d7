"""A chat and completions server that answers every request after a fixed time, to measure the speed of clients.

    python -m benchmarks.speed.latency_server SECONDS     prints its port, serves until stdin is closed

It has one protocol object per connection and one timer per request, and needs far less processor time than any client.
"""

from __future__ import annotations

import asyncio
import json
import sys

_USAGE = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
_SAME = {"id": "x", "created": 1, "model": "gpt-x", "usage": _USAGE}
_END = {"index": 0, "finish_reason": "stop", "logprobs": None}
_MESSAGE = {"role": "assistant", "content": "What was asked is answered.", "refusal": None}
_CHAT = {**_SAME, "object": "chat.completion", "choices": [{**_END, "message": _MESSAGE}]}
_TEXT = {**_SAME, "object": "text_completion", "choices": [{**_END, "text": "What was asked is answered."}]}


def reply(answer: dict[str, object]) -> bytes:
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Answering(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    seconds = 0.05
    chat, text = reply(_CHAT), reply(_TEXT)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with an empty buffer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer a complete request after the fixed time."""
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        answer = self.chat if b"/chat/completions" in head[:80] else self.text
        asyncio.get_running_loop().call_later(self.seconds, self.answer, answer)

    def answer(self, answer: bytes) -> None:
        """Write a reply, if the client is still connected."""
        if not self.transport.is_closing():
            self.transport.write(answer)


async def main(seconds: float) -> None:
    Answering.seconds = seconds
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
