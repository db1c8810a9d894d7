"""The server as an ASGI application: its routes, the guard before them, and errors in OpenAI's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from harness.errors import HarnessError
from harness.server import state
from harness.server.errors import ApiError, answer_api_error, answer_http_error
from harness.server.middleware import Guard
from harness.server.routes import ROUTES
from harness.server.settings import Settings

DISCONNECTED = 499
"""The status in a log for a client that disconnected; nobody receives it."""


def application(settings: Settings) -> Starlette:
    """Return the application of one server; its threads start and stop with it.

    StoreError when a record in the settings' folder is damaged.
    """
    server = state.build(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server.start()
        yield
        await run_in_threadpool(server.stop)

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Guard, settings=settings)],
        exception_handlers={
            ApiError: answer_api_error,
            HarnessError: answer_api_error,
            HTTPException: answer_http_error,
            ClientDisconnect: _disconnected,
            Exception: answer_api_error,
        },
        lifespan=lifespan,
    )
    app.state.server = server
    return app


async def _disconnected(_: Request, __: Exception) -> Response:
    return Response(status_code=DISCONNECTED)
