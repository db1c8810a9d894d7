"""/v1/files: upload, list, retrieve, read, delete."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from harness.server import records as lists
from harness.server.errors import ApiError, invalid
from harness.server.files import File, check_purpose, no_file
from harness.server.state import of

MOST = 10_000
"""The most files of one list, as at OpenAI."""


async def upload(request: Request) -> Response:
    """Keep a file that comes in a multipart form."""
    async with request.form(max_files=1, max_fields=8) as form:
        for key in form:
            if key not in ("file", "purpose"):
                raise invalid(f"{key[:80]} is not supported here. Leave it out.", key[:80], "unsupported_parameter")
        purpose, file = check_purpose(form.get("purpose")), form.get("file")
        if not isinstance(file, UploadFile):
            raise no_file()
        saved = await run_in_threadpool(of(request).files.save, file.file, file.filename or "", purpose)
    return JSONResponse(saved.json())


def list_files(request: Request) -> Response:
    """List the files, newest first, of one purpose where it is asked for."""
    purpose, order = request.query_params.get("purpose"), request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid(f"order: expected asc or desc, got {order[:80]!r}.", "order")
    files = [file for file in of(request).files.records.all() if purpose in (None, file.purpose)]
    if order == "asc":
        files.reverse()
    return JSONResponse(lists.answer(request, files, File.json, ("purpose", "order"), MOST))


def get_file(request: Request) -> Response:
    """Show one file's record."""
    return JSONResponse(of(request).files.records.get(request.path_params["file_id"], "file_id").json())


def read_file(request: Request) -> Response:
    """Give a file's content; never as anything that a browser would show."""
    path = of(request).files.path(request.path_params["file_id"])
    return FileResponse(path, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})


def delete_file(request: Request) -> Response:
    """Delete a file that nothing unfinished needs."""
    server, file_id = of(request), request.path_params["file_id"]
    server.files.records.get(file_id, "file_id")
    if server.trainer.uses(file_id) or server.runner.uses(file_id):
        raise ApiError(409, f"{file_id} is needed by a job or batch that is not finished.", "file_id", "file_in_use")
    server.files.records.remove(file_id)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


ROUTES = [
    Route("/v1/files", upload, methods=["POST"]),
    Route("/v1/files", list_files, methods=["GET"]),
    Route("/v1/files/{file_id}", get_file, methods=["GET"]),
    Route("/v1/files/{file_id}", delete_file, methods=["DELETE"]),
    Route("/v1/files/{file_id}/content", read_file, methods=["GET"]),
]
