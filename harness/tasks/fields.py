"""What a single value of a row has to be, in words that a user can act on."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import unknown


class BadRow(ValueError):
    """A row that cannot be used; its message goes behind `file:line`."""


def text(values: Mapping[str, object], key: str, setting: str) -> str:
    """Return the text under `key`, just as it is; BadRow when it is missing, empty or no text.

    `setting` is the config key that names another column.
    """
    if key not in values:
        raise BadRow(f"{unknown('key', key, map(str, values))} Rename it, or set {setting}.")
    return checked(values[key], key)


def checked(value: object, name: str) -> str:
    """Return `value` when it is text that can be tokenised and stored; BadRow otherwise."""
    if not isinstance(value, str):
        raise BadRow(f"{name}: expected text, got {kind(value)}")
    if not value.strip():
        raise BadRow(f"{name}: expected text, got {value!r}; remove the row or fill it in")
    if "\0" in value:
        raise BadRow(f"{name}: has a null byte at character {value.index(chr(0)) + 1}; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadRow(f"{name}: has half a surrogate pair at character {error.start + 1}; write it again") from None
    return value


def kind(value: object) -> str:
    """Name the JSON type of a value, for messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value)) or (f"the number {value}" if isinstance(value, int | float) else type(value).__name__)
