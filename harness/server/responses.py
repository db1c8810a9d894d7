"""Answers: one `openai.types` object as JSON, or a page of a list of them.

Every list of OpenAI's API comes in pages: `limit` and `after` in the query, `has_more` in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import Field
from starlette.responses import JSONResponse

from harness.server.errors import invalid
from harness.server.requests import RequestModel

if TYPE_CHECKING:
    from openai import BaseModel


class Listed(Protocol):
    """Something with an id, by which a page continues."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


T = TypeVar("T", bound=Listed)


class ListQuery(RequestModel, strict=False):
    """The query of a list."""

    limit: int = Field(default=20, ge=1, le=100)
    after: str | None = None


def wire(answer: BaseModel) -> dict[str, Any]:
    """Return an object's JSON, with the keys that it was built with: OpenAI sends some as null, and omits others."""
    return answer.model_dump(exclude_unset=True, warnings=False)


def json(answer: BaseModel) -> JSONResponse:
    """Return an object as an HTTP answer."""
    return JSONResponse(wire(answer))


def page(query: ListQuery, items: Sequence[T], show: Callable[[T], BaseModel]) -> JSONResponse:
    """Return the page of a list that a query asks for."""
    start = 0
    if query.after:
        positions = [position for position, item in enumerate(items, 1) if item.id == query.after]
        if not positions:
            raise invalid(f"after: there is no {query.after[:80]!r} in this list.", "after")
        start = positions[0]
    shown = items[start : start + query.limit]
    return JSONResponse(
        {
            "object": "list",
            "data": [wire(show(item)) for item in shown],
            "has_more": len(items) > start + query.limit,
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
        }
    )
