"""Request bodies, read key by key: what is wrong is named, and what nobody reads is refused.

A key with the value null is one that was not given, as at OpenAI.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from starlette.requests import Request

from harness.server.errors import ApiError, invalid


class Fields:
    """The keys of one JSON object; `name` is what it is called in messages, where it is a part of another."""

    def __init__(self, values: object, name: str = "") -> None:
        if not isinstance(values, Mapping):
            raise invalid(f"{name or 'body'}: expected a JSON object, got {kind(values)}.", name or None)
        self._values = {str(key): value for key, value in values.items() if value is not None}
        self._prefix = f"{name}." if name else ""

    def take(self, key: str) -> Any:
        """Return the value of a key, or None; it counts as read."""
        return self._values.pop(key, None)

    def has(self, key: str) -> bool:
        """Say whether a key was given and not read yet."""
        return key in self._values

    def automatic(self, key: str) -> None:
        """Take the value "auto" for one that was not given."""
        if self._values.get(key) == "auto":
            self.take(key)

    def text(self, key: str) -> str:
        """Return a text that must be there."""
        value = self.take(key)
        if not isinstance(value, str) or not value:
            self.refuse(key, "a text", value)
        return value

    def choice(self, key: str, options: Sequence[str]) -> str:
        """Return one of `options`, which must be there."""
        value = self.text(key)
        if value not in options:
            self.refuse(key, f"one of {', '.join(options)}", value)
        return value

    def flag(self, key: str) -> bool:
        """Return a truth value; false where it is not given."""
        value = self.take(key)
        if value is not None and not isinstance(value, bool):
            self.refuse(key, "true or false", value)
        return bool(value)

    def integer(self, key: str, low: int, high: float = math.inf) -> int | None:
        """Return a whole number from `low` to `high`, or None where it is not given."""
        value = self.take(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
            self.refuse(key, f"a whole number from {low}" + ("" if high == math.inf else f" to {high}"), value)
        return None if value is None else int(value)

    def number(self, key: str, low: float, high: float) -> float | None:
        """Return a number from `low` to `high`, or None where it is not given."""
        value = self.take(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.refuse(key, "a number", value)
        if value is not None and not low <= value <= high:
            self.refuse(key, f"a number from {low} to {high}", value)
        return None if value is None else float(value)

    def metadata(self) -> dict[str, str]:
        """Return `metadata`: at most 16 keys of 64 characters, with texts of 512, as at OpenAI."""
        value = self.take("metadata") or {}
        if not isinstance(value, Mapping) or len(value) > 16:
            self.refuse("metadata", "an object with at most 16 keys", value)
        for key, text in value.items():
            if not isinstance(text, str) or len(key) > 64 or len(text) > 512:
                self.refuse(f"metadata.{key[:64]}", "a key of 64 characters or less and a text of 512 or less", text)
        return dict(value)

    def neutral(self, options: Mapping[str, Sequence[object]]) -> None:
        """Read keys that the server does not support: each may only have a value that changes nothing."""
        for key, allowed in options.items():
            value = self.take(key)
            if value is not None and not any(type(value) is type(each) and value == each for each in allowed):
                name = f"{self._prefix}{key}"
                raise invalid(f"{name} is not supported here. Leave it out.", name, "unsupported_parameter")

    def done(self) -> None:
        """Refuse every key that nobody read."""
        for key in self._values:
            name = f"{self._prefix}{key[:80]}"
            raise invalid(f"Unrecognized request argument supplied: {name}", name, "unknown_parameter")

    def refuse(self, key: str, expected: str, got: object) -> NoReturn:
        """Refuse the value of a key."""
        name = f"{self._prefix}{key}"
        if got is None:
            raise invalid(f"{name}: expected {expected}, got none.", name, "missing_required_parameter")
        raise invalid(f"{name}: expected {expected}, got {shown(got)}.", name, "invalid_value")


async def read(request: Request) -> Fields:
    """Return the JSON object of a request.

    Its content type must say so: a page in a browser could send anything else to this machine without asking.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "Expected the header Content-Type: application/json.", code="unsupported_media_type")
    return Fields(parse(await request.body()))


def parse(text: bytes | str) -> Any:
    """Return the value of a JSON text; an error in OpenAI's shape where it is none."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise invalid(f"The body is not valid JSON: {error}.", code="invalid_json") from error


def kind(value: object) -> str:
    """Say what a JSON value is."""
    if isinstance(value, Mapping):
        return "an object"
    return {str: "a text", list: "a list", bool: "a truth value", type(None): "null"}.get(type(value), "a number")


def shown(value: object) -> str:
    """Show a JSON value in a message: short ones as they are, others by kind."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 80 else f"{kind(value)} of {len(text)} characters"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
