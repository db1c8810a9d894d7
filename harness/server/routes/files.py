"""/v1/files: upload, list, retrieve, read, delete."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from harness.server import responses
from harness.server.errors import ApiError
from harness.server.files import File
from harness.server.requests import RequestModel, unsupported, validated
from harness.server.state import server_of


class UploadForm(RequestModel):
    """The fields of an upload's multipart form."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    file: UploadFile
    purpose: Literal["fine-tune", "batch"]
    expires_anchor: Annotated[Any, unsupported()] = Field(default=None, alias="expires_after[anchor]")
    expires_seconds: Annotated[Any, unsupported()] = Field(default=None, alias="expires_after[seconds]")


class FileQuery(responses.ListQuery, strict=False):
    """The query of the list of files."""

    limit: int = Field(default=10_000, ge=1, le=10_000)
    purpose: str | None = None
    order: Literal["asc", "desc"] = "desc"


async def upload(request: Request) -> Response:
    """Store a file that comes in a multipart form."""
    async with request.form(max_files=1, max_fields=8) as fields:
        form = validated(UploadForm, dict(fields))
        save = server_of(request).files.save
        file = await run_in_threadpool(save, form.file.file, form.file.filename or "", form.purpose)
    return responses.json(file.to_openai())


def list_files(request: Request) -> Response:
    """List the files, newest first unless the query asks for the other order."""
    query = validated(FileQuery, dict(request.query_params))
    files = [file for file in server_of(request).files.records.all() if query.purpose in (None, file.purpose)]
    if query.order == "asc":
        files.reverse()
    return responses.page(query, files, File.to_openai)


def get_file(request: Request) -> Response:
    """Return one file's record."""
    record = server_of(request).files.records.get(request.path_params["file_id"], "file_id")
    return responses.json(record.to_openai())


def read_file(request: Request) -> Response:
    """Return a file's content, never as a type that a browser would display."""
    path = server_of(request).files.path(request.path_params["file_id"])
    return FileResponse(path, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})


def delete_file(request: Request) -> Response:
    """Delete a file that no unfinished job or batch needs."""
    from openai.types import FileDeleted

    server, file_id = server_of(request), request.path_params["file_id"]
    server.files.records.get(file_id, "file_id")
    if server.trainer.uses(file_id) or server.runner.uses(file_id):
        raise ApiError(409, f"{file_id} is needed by a job or batch that is not finished.", "file_id", "file_in_use")
    server.files.records.remove(file_id)
    return responses.json(FileDeleted(id=file_id, object="file", deleted=True))


ROUTES = [
    Route("/v1/files", upload, methods=["POST"]),
    Route("/v1/files", list_files, methods=["GET"]),
    Route("/v1/files/{file_id}", get_file, methods=["GET"]),
    Route("/v1/files/{file_id}", delete_file, methods=["DELETE"]),
    Route("/v1/files/{file_id}/content", read_file, methods=["GET"]),
]
