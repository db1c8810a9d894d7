"""The checks that every request passes before anything reads it: its key, its origin, its size, and the load.

The key is compared in constant time. Without a key only this machine is answered, and no page in one of its browsers:
such a page has an Origin header or, where a foreign name was made to point here, a Host header with that name.
"""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.server.errors import ApiError, busy
from harness.server.settings import KEY_VARIABLE, MB, Settings, is_loopback

UPLOAD = "/v1/files"
OPEN = ("/health",)
"""Paths that need no key and disclose nothing."""
FORM_BYTES = MB // 16
"""How much a form may hold besides its file."""


def _without_port(host: str) -> str:
    return host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]


class Guard:
    """The outermost layer of the server."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings, self._limits = app, settings, settings.limits
        self._key = settings.api_key.encode()
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer with the error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            self._check_sender(scope["path"], headers)
            bounded = self._bounded(scope, headers, receive)
            if self._answering >= self._limits.requests:
                raise busy(f"The server is answering {self._answering} requests. Try again later.")
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        self._answering += 1
        try:
            await self._app(scope, bounded, send)
        finally:
            self._answering -= 1

    def _check_sender(self, path: str, headers: Headers) -> None:
        if path in OPEN:
            return
        if self._key:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self._key):
                raise ApiError(401, f"Incorrect API key: send the value of {KEY_VARIABLE}.", code="invalid_api_key")
            return
        if not is_loopback(_without_port(headers.get("host", ""))):
            raise ApiError(403, f"Without {KEY_VARIABLE} this server answers only localhost.", code="host_refused")
        if "origin" in headers:
            raise ApiError(403, "This server answers no web pages.", code="origin_refused")

    def _bounded(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """Return a `receive` that stops a body that is too large, whatever its header says."""
        upload = scope["path"] == UPLOAD and scope["method"] == "POST"
        limit = self._limits.upload_bytes + FORM_BYTES if upload else self._limits.body_bytes
        too_large = ApiError(413, f"The body is too large: this path takes {limit} bytes.", code="body_too_large")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise too_large
        n_bytes = 0

        async def bounded() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > limit:
                raise too_large
            return message

        return bounded
