"""What is answered where: models, completions, embeddings, files, jobs and batches; each handler a few lines.

Handlers that are no coroutines run in Starlette's threads, so that no file that they read holds up another answer.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.server import fields
from harness.server.chat import CHAT
from harness.server.completions import COMPLETIONS
from harness.server.generation import Form, answers
from harness.server.routes import batches as batch_routes
from harness.server.routes import files as file_routes
from harness.server.routes import fine_tuning as job_routes
from harness.server.state import of
from harness.server.streaming import stream


def health(_: Request) -> Response:
    """Say that the server is there."""
    return JSONResponse({"status": "ok"})


def list_models(request: Request) -> Response:
    """List the models."""
    return JSONResponse({"object": "list", "data": of(request).catalog.json()})


def get_model(request: Request) -> Response:
    """Show one model."""
    return JSONResponse(of(request).catalog.one(request.path_params["name"]))


def delete_model(request: Request) -> Response:
    """Delete a model that a job gave."""
    name = request.path_params["name"]
    of(request).catalog.delete(name)
    return JSONResponse({"id": name, "object": "model", "deleted": True})


def generating(form: Form) -> Callable[[Request], object]:
    """Return the handler of an endpoint that generates text."""

    async def generate(request: Request) -> Response:
        server = of(request)
        wanted = form.parse(await fields.read(request), server.settings.limits)
        await run_in_threadpool(server.catalog.find, wanted.model)
        if wanted.stream:
            return await stream(request, form, wanted, server.engine)
        asks = wanted.asks()
        server.engine.submit(asks)
        return JSONResponse(form.whole(form.head(wanted.model), await answers(request, asks)))

    return generate


async def embed(request: Request) -> Response:
    """Embed texts."""
    given = await fields.read(request)
    return JSONResponse(await run_in_threadpool(of(request).encoder.answer, given))


ROUTES = [
    Route("/health", health),
    Route("/v1/models", list_models),
    Route("/v1/models/{name}", get_model, methods=["GET"]),
    Route("/v1/models/{name}", delete_model, methods=["DELETE"]),
    Route("/v1/chat/completions", generating(CHAT), methods=["POST"]),
    Route("/v1/completions", generating(COMPLETIONS), methods=["POST"]),
    Route("/v1/embeddings", embed, methods=["POST"]),
    *file_routes.ROUTES,
    *job_routes.ROUTES,
    *batch_routes.ROUTES,
]
