"""Lists in pages, as every list of OpenAI's API comes: `limit` and `after` in the query, `has_more` in the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request

from harness.server.errors import invalid
from harness.server.records import T, page

LIMIT = 20
MOST = 100


def answer(
    request: Request, records: list[T], show: Callable[[T], dict[str, Any]], own: Sequence[str] = (), most: int = MOST
) -> dict[str, Any]:
    """Return OpenAI's list object of the page that a request asks for; `own` are query keys that are read elsewhere."""
    query = request.query_params
    for key in query:
        if key not in ("limit", "after", *own):
            raise invalid(f"Unrecognized request argument supplied: {key[:80]}", key[:80], "unknown_parameter")
    asked = query.get("limit", str(LIMIT if most == MOST else most))
    if not asked.isdecimal() or not 1 <= int(asked[:9]) <= most:
        raise invalid(f"limit: expected a whole number from 1 to {most}, got {asked[:80]!r}.", "limit")
    found, more = page(records, query.get("after"), int(asked))
    ids = [record.id for record in found]
    return {
        "object": "list",
        "data": [show(record) for record in found],
        "has_more": more,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }
