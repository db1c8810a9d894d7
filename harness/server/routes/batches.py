"""/v1/batches: create, list, retrieve, cancel."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.server import fields
from harness.server import records as lists
from harness.server.batches import Batch
from harness.server.state import of


async def create(request: Request) -> Response:
    """Queue a batch."""
    given, runner = await fields.read(request), of(request).runner
    batch = await run_in_threadpool(runner.batches.create, given)
    runner.wake()
    return JSONResponse(batch.json())


def list_batches(request: Request) -> Response:
    """List the batches, newest first."""
    return JSONResponse(lists.answer(request, of(request).runner.batches.records.all(), Batch.json))


def get_batch(request: Request) -> Response:
    """Show one batch."""
    return JSONResponse(_found(request).json())


def cancel(request: Request) -> Response:
    """Have a batch end soon."""
    return JSONResponse(of(request).runner.batches.cancel(_found(request).id).json())


def _found(request: Request) -> Batch:
    return of(request).runner.batches.records.get(request.path_params["batch_id"], "batch_id")


ROUTES = [
    Route("/v1/batches", create, methods=["POST"]),
    Route("/v1/batches", list_batches, methods=["GET"]),
    Route("/v1/batches/{batch_id}", get_batch, methods=["GET"]),
    Route("/v1/batches/{batch_id}/cancel", cancel, methods=["POST"]),
]
