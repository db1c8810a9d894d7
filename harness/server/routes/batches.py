"""/v1/batches: create, list, retrieve, cancel."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.server import requests, responses
from harness.server.batches import Batch, BatchRequest
from harness.server.state import server_of


async def create(request: Request) -> Response:
    """Queue a batch."""
    server = server_of(request)
    body = await requests.read(request, BatchRequest, server.settings.limits)
    batch = await run_in_threadpool(server.runner.batches.create, body)
    server.runner.wake()
    return responses.json(batch.to_openai())


def list_batches(request: Request) -> Response:
    """List the batches, newest first."""
    query = requests.validated(responses.ListQuery, dict(request.query_params))
    return responses.page(query, server_of(request).runner.batches.records.all(), Batch.to_openai)


def get_batch(request: Request) -> Response:
    """Return one batch."""
    return responses.json(_batch(request).to_openai())


def cancel(request: Request) -> Response:
    """Ask for the end of a batch, which comes soon."""
    return responses.json(server_of(request).runner.batches.cancel(_batch(request).id).to_openai())


def _batch(request: Request) -> Batch:
    return server_of(request).runner.batches.records.get(request.path_params["batch_id"], "batch_id")


ROUTES = [
    Route("/v1/batches", create, methods=["POST"]),
    Route("/v1/batches", list_batches, methods=["GET"]),
    Route("/v1/batches/{batch_id}", get_batch, methods=["GET"]),
    Route("/v1/batches/{batch_id}/cancel", cancel, methods=["POST"]),
]
