"""HTTP connections to a service through plain aiohttp, which takes a fraction of the official client's CPU time.

Certificate authorities and proxy variables are the same as those of the official client.
"""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.client.endpoint import Endpoint

_MOST_OF_A_HEADER = 1 << 16
"""Bytes; longer ones are refused as no HTTP."""
_MOST_OF_AN_ERROR = 1 << 16
"""Bytes of a reply without an answer that are read."""

if TYPE_CHECKING:
    import aiohttp


def session(endpoint: Endpoint, timeout: float) -> aiohttp.ClientSession:
    """Return a session that sends the endpoint's headers; each request has `timeout` seconds in total."""
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ssl=_tls(endpoint.base_url)),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout),
        headers=endpoint.headers(),
        proxy=_proxy(endpoint.base_url),
        max_line_size=_MOST_OF_A_HEADER,
        max_field_size=_MOST_OF_A_HEADER,
    )


class TooLong(Exception):
    """A reply that is longer than any answer to its request can be."""


async def content(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of a reply, or the beginning of an error's; TooLong where an answer has more than `most` bytes.

    The size counts after decompression, so that a small reply cannot fill the memory.
    """
    is_answer = response.status == 200
    limit = most if is_answer else _MOST_OF_AN_ERROR
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.close()
            if is_answer:
                raise TooLong(f"the reply has more than {most:,} bytes, which no answer of this length has")
            break
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)[:limit]


def get(endpoint: Endpoint, path: str, timeout: float) -> bytes | None:
    """Return the body of a GET that succeeds within `timeout` seconds; None for anything else, whatever it is."""
    result: list[bytes] = []

    async def ask() -> None:
        async with (
            session(endpoint, timeout) as opened,
            opened.get(f"{endpoint.base_url}{path}", params=dict(endpoint.query), allow_redirects=False) as response,
        ):
            if response.status == 200:
                result.append(await content(response, _MOST_OF_AN_ERROR))

    def run() -> None:
        with suppress(Exception):
            asyncio.run(ask())

    thread = threading.Thread(target=run, name="look-up", daemon=True)  # the caller may run an event loop itself
    thread.start()
    thread.join(timeout + 1)
    return result[0] if result else None


def _tls(url: str) -> Any:
    """Return the context that checks the server's certificate, with the official client's authorities."""
    if not url.startswith("https:"):
        return True
    import httpx2

    return httpx2.create_ssl_context()


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)
