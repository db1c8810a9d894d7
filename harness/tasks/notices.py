"""Notices are counted where rows are read: a code and the rows that it was seen on become one `Notice`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from harness.types import Notice

SHOWN = 5
"""How many rows a message names before it only counts them."""

Seen = defaultdict[str, list[str]]
"""Under each notice's code, the origins of the rows that it was seen on."""


def notices(seen: Mapping[str, Sequence[str]], messages: Mapping[str, str]) -> tuple[Notice, ...]:
    """Return, in the order of `messages`, a notice for each code that was seen."""
    return tuple(
        Notice(code, message, len(seen[code]), tuple(seen[code][:SHOWN]))
        for code, message in messages.items()
        if seen.get(code)
    )
