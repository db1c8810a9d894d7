"""How replies of an OpenAI-compatible service are classified: accept, retry, wait, give up, or stop.

Only a reply that can never become an answer ends a request. What would end every other request too (a wrong key, an
empty account, another address) ends the run, once it is certain that it does.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.client.endpoint import Endpoint
from harness.client.headers import retry_after
from harness.client.refusals import ReportedError, of_value, reported

PATIENCE = 300.0
"""The most seconds that a server may ask to wait."""
_AGAIN = (408, 409, 425, 429)
_NEVER = (501, 505, 506, 510, 511)
_THROTTLED = (429, 503, 529)
_EMPTY_ACCOUNT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance")
_SETTING_REFUSED = (400, 422, 501)
_OF_ONE_PROMPT = re.compile(r"context|too[ _]long|content|polic|moderat|filter|safety|max_?len|string_above", re.I)
"""Refusals that say nothing of the next prompt."""
_TEMPORARY = re.compile(r"rate|overload|unavailable|server_error|internal|timeout|capacity|busy|exhausted", re.I)
_FINAL = re.compile(r"invalid|not_found|permission|authentication|unsupported|polic|moderat|filter|context", re.I)


class Unusable(Exception):
    """A reply with status 200 that holds no completion, such as a truncated one; the request is retried."""


class Refused(Exception):
    """A reply with status 200 that says why there will be no completion; the request is not retried."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an attempt failed: `again` if a retry may succeed, `fatal` if every request would fail like this one.

    `kind` is equal for refusals that have one cause, and empty for those of one prompt. `paid` says that the reply
    came with status 200, so that every retry costs money.
    """

    message: str
    again: bool = False
    throttled: bool = False
    fatal: bool = False
    wait: float | None = None
    kind: str = ""
    paid: bool = False
    refusal: ReportedError | None = None
    """What was refused, if it may have been a setting."""


def problem(status: int, headers: Mapping[str, str], body: bytes, endpoint: Endpoint) -> Problem:
    """Classify a reply with a status other than 200."""
    return _classified(status, headers, reported(body), endpoint)


def in_reply(reply: Mapping[str, Any], endpoint: Endpoint) -> Problem | None:
    """Return the error that a reply with status 200 reports, for itself or for its first choice; None for none."""
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    error = reply.get("error") or (first.get("error") if isinstance(first, dict) else None)
    if not error and choices is None and (reply.get("detail") or reply.get("object") == "error"):
        error = reply
    if not error:
        return None
    report = of_value({"error": error}, str(error)[:1000])
    code = error.get("code", error.get("status")) if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    if isinstance(code, int) and 400 <= code < 600:
        classified = _classified(code, {}, report, endpoint)
        return replace(classified, paid=not classified.throttled)
    what = f"{report.code}: {report.message}" if report.code else report.message
    final = _FINAL.search(report.code) and not _TEMPORARY.search(report.code)
    return Problem(endpoint.redacted(f"an error with status 200: {what}"), again=not final, paid=True)


def unreachable(error: BaseException, endpoint: Endpoint) -> Problem:
    """Return the problem of a connection that failed or a request that timed out."""
    text = endpoint.redacted(str(error)) or "no details"
    return Problem(f"{type(error).__name__}: {text}", again=True)


def parsed(body: bytes, content_type: str = "") -> dict[str, Any]:
    """Return the JSON object in a reply; Unusable where it is truncated or something else."""
    try:
        value = json.loads(body)
    except UnicodeDecodeError as error:
        value = _in_charset(body, content_type, error)
    except (ValueError, RecursionError) as error:
        raise _not_json(body, error) from error
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise Unusable(f"expected a JSON object, got {type(value).__name__}")
    return value


def _classified(status: int, headers: Mapping[str, str], report: ReportedError, endpoint: Endpoint) -> Problem:
    code = report.code
    text = endpoint.redacted(report.message)
    head = f"{status} {endpoint.redacted(code)[:60]}" if code else str(status)
    message = f"{head}: {text}"
    wait = retry_after(headers)
    if code in _EMPTY_ACCOUNT:
        return Problem(message, fatal=True, kind=head)
    if status in _AGAIN or (status >= 500 and status not in _NEVER):
        if wait is not None and wait > PATIENCE:
            return Problem(f"{message} (asks to wait {min(wait, 1e9):,.0f} s)", fatal=True, kind=head)
        return Problem(message, again=True, throttled=status in _THROTTLED, wait=wait)
    if 300 <= status < 400:
        target = endpoint.redacted(headers.get("location", "nowhere"))
        return Problem(f"{message} (redirected to {target}: set model.base_url)", fatal=True, kind=head)
    if 200 <= status < 300:
        return Problem(f"{head}: expected status 200 with a completion", kind=head)
    kind = "" if _OF_ONE_PROMPT.search(f"{code} {report.message}") or status == 413 else head
    refusal = report if status in _SETTING_REFUSED else None
    return Problem(message, fatal=status in (401, 402), kind=kind, refusal=refusal)


def _in_charset(body: bytes, content_type: str, error: UnicodeDecodeError) -> Any:
    """Return the value of a reply that is not in UTF-8, by the encoding that its header names."""
    named = re.search(r"charset=[\"']?([\w.:-]+)", content_type)
    try:
        return json.loads(body.decode(codecs.lookup(named[1]).name if named else "utf-8"))
    except (ValueError, LookupError, RecursionError):
        raise _not_json(body, error) from error


def _not_json(body: bytes, error: Exception) -> Unusable | Refused:
    start = body[:200].lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith((b"data:", b"event:", b":")):
        return Refused("expected one JSON object, got a stream of events, which was not asked for")
    if start.startswith(b"<"):
        return Unusable(f"expected JSON, got a page that begins {start[:40]!r}: is model.base_url the API's address?")
    why = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
    return Unusable(f"expected JSON, got {len(body):,} bytes that end in {body[-20:]!r} ({why})")
