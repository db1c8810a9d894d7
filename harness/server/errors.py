"""Errors in OpenAI's shape, {"error": {"message", "type", "param", "code"}}, which its clients raise by status."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from harness.errors import ConfigError, DataError, FineTuneError, HarnessError

INVALID, LIMITED, FAILED = "invalid_request_error", "rate_limit_error", "server_error"


class ApiError(Exception):
    """A request that is answered with an error; `param` names what is wrong with it."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after: int | None = None

    def json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        from openai.types import ErrorObject

        kind = LIMITED if self.status == 429 else FAILED if self.status >= 500 else INVALID
        error = ErrorObject(message=self.message, type=kind, param=self.param, code=self.code)
        return {"error": error.model_dump(exclude_unset=True)}

    def response(self) -> JSONResponse:
        """Return the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.json(), self.status, headers)


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return the error for a request that is not valid."""
    return ApiError(400, message, param, code)


def missing(what: str, name: str, param: str = "id") -> ApiError:
    """Return the error for something that does not exist, an id of the wrong form included."""
    return ApiError(404, f"No such {what}: {name[:80]!r}.", param, "not_found")


def busy(message: str, seconds: int = 1) -> ApiError:
    """Return the error for a request that may be sent again after so many seconds."""
    error = ApiError(429, message, code="rate_limit_exceeded")
    error.retry_after = seconds
    return error


def stopping() -> ApiError:
    """Return the error for a request that the server's stop interrupts."""
    error = ApiError(503, "The server is stopping. Try again when it is back.")
    error.retry_after = 5
    return error


def explain(error: Exception) -> ApiError:
    """Return what a request is answered with when `error` was raised."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ConfigError | DataError | FineTuneError):
        return invalid(str(error))
    if isinstance(error, HarnessError):
        return ApiError(500, str(error))
    return ApiError(500, "The server failed on this request; see its log.")


async def answer_api_error(_: Request, error: Exception) -> JSONResponse:
    """Answer with an ApiError, or with an error of the harness, whose message says what to fix."""
    return explain(error).response()


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that the router or the form parser refused."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    texts = {
        404: f"Unknown request URL: {request.method} {request.url.path}.",
        405: f"Not allowed to {request.method} on {request.url.path}.",
    }
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(status)
    detail = str(getattr(error, "detail", error))
    return ApiError(status, texts.get(status, detail), code=code).response()
