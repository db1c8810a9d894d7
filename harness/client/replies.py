"""How replies of an OpenAI-compatible service are classified: accept, retry, wait, or stop.

Only a reply that can never become an answer ends a request, and only one that would end every other request too ends
the run: a wrong key, an empty account, another address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.client.endpoint import Endpoint
from harness.client.headers import retry_after

PATIENCE = 300.0
"""The most seconds that a server may ask to wait."""
_AGAIN = (408, 409, 425, 429)
_EMPTY_ACCOUNT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


class Unusable(Exception):
    """A reply with status 200 that holds no completion, such as a truncated one; the request is retried."""


class Refused(Exception):
    """A reply with status 200 that says why there will be no completion; the request is not retried."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an attempt failed: `again` if a retry may succeed, `fatal` if every request would fail like this one."""

    message: str
    again: bool = False
    throttled: bool = False
    fatal: bool = False
    wait: float | None = None
    parameter: str | None = None
    """The setting that was refused, if it was one."""


def problem(status: int, headers: Mapping[str, str], body: bytes, endpoint: Endpoint) -> Problem:
    """Classify a reply with a status other than 200."""
    error = _error(body)
    code = str(error.get("code") or error.get("type") or "")
    text = endpoint.redacted(str(error.get("message") or body.decode("utf-8", "replace")))
    message = f"{status} {code}: {text}" if code else f"{status}: {text}"
    wait = retry_after(headers)
    if code in _EMPTY_ACCOUNT:
        return Problem(message, fatal=True)
    if status in _AGAIN or status >= 500:
        if wait is not None and wait > PATIENCE:
            return Problem(f"{message} (asks to wait {wait:,.0f} s)", fatal=True)
        return Problem(message, again=True, throttled=status in (429, 503), wait=wait)
    if 300 <= status < 400:
        return Problem(
            f"{message} (redirected to {headers.get('location', 'nowhere')}: set model.base_url)", fatal=True
        )
    parameter = error.get("param")
    if status in (400, 422) and isinstance(parameter, str):
        return Problem(message, parameter=parameter.split(".")[0].split("[")[0])
    return Problem(message, fatal=status in (401, 402))


def unreachable(error: BaseException, endpoint: Endpoint) -> Problem:
    """Return the problem of a connection that failed or a request that timed out."""
    text = endpoint.redacted(str(error)) or "no details"
    return Problem(f"{type(error).__name__}: {text}", again=True)


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a reply; Unusable where it is truncated or something else."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Unusable(f"expected JSON, got {len(body):,} bytes that end in {body[-20:]!r} ({error})") from error
    if not isinstance(value, dict):
        raise Unusable(f"expected a JSON object, got {type(value).__name__}")
    return value


def _error(body: bytes) -> Mapping[str, Any]:
    try:
        reply = parsed(body)
    except Unusable:
        return {}
    error = reply.get("error", reply)
    return error if isinstance(error, dict) else {"message": error}
