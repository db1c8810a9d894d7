"""What is answered where: models, completions, embeddings, files, jobs and batches; each handler is a few lines.

Handlers that are not coroutines run in Starlette's threads, so a file that they read delays no other answer.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.server import requests, responses
from harness.server.completions import CHAT, COMPLETIONS, GenerationEndpoint
from harness.server.embeddings import EmbeddingRequest
from harness.server.generation import results, stream
from harness.server.routes import batches as batch_routes
from harness.server.routes import files as file_routes
from harness.server.routes import fine_tuning as job_routes
from harness.server.state import server_of


def health(_: Request) -> Response:
    """Answer that the server is up."""
    return JSONResponse({"status": "ok"})


def list_models(request: Request) -> Response:
    """List the models, all on one page."""
    models = [responses.wire(model) for model in server_of(request).catalog.objects()]
    return JSONResponse({"object": "list", "data": models})


def get_model(request: Request) -> Response:
    """Return one model."""
    return responses.json(server_of(request).catalog.object(request.path_params["name"]))


def delete_model(request: Request) -> Response:
    """Delete a model that a job produced."""
    from openai.types import ModelDeleted

    name = request.path_params["name"]
    server_of(request).catalog.delete(name)
    return responses.json(ModelDeleted(id=name, object="model", deleted=True))


def generating(endpoint: GenerationEndpoint) -> Callable[[Request], object]:
    """Return the handler of an endpoint that generates text."""

    async def generate(request: Request) -> Response:
        server = server_of(request)
        generation = endpoint.parse(await requests.body(request), server.settings.limits)
        await run_in_threadpool(server.catalog.find, generation.model)
        if generation.stream:
            return await stream(request, endpoint, generation, server.engine)
        prompts = generation.queued()
        server.engine.submit(prompts)
        return responses.json(endpoint.answer(endpoint.head(generation.model), await results(request, prompts)))

    return generate


async def embed(request: Request) -> Response:
    """Embed texts."""
    server = server_of(request)
    texts = await requests.read(request, EmbeddingRequest, server.settings.limits)
    return responses.json(await run_in_threadpool(server.encoder.answer, texts))


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
