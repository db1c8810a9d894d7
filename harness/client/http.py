"""HTTP connections to a service through plain aiohttp, which takes a fraction of the official client's CPU time.

Certificate authorities and proxy variables are the same as those of the official client.
"""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.client.endpoint import Endpoint

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
    )


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
