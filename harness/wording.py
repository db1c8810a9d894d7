"""How counts, lists, differences and p-values are written: one rule each, for messages, tables and reports alike.

The lowest layer of the package, so that a reader of data, a gate and a report can use the same words. How a score and
a completion are written is in `harness.reports.formatting`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

UNKNOWN = "–"
"""Written where there is no value."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal or a browser obeys rather than shows: controls and marks of direction."""


def visible(text: str) -> str:
    """Return `text` on one line, with control and bidirectional characters replaced by visible symbols."""
    return printable(text.replace("\r\n", "\n").replace("\n", " ⏎ ").replace("\t", " "))


def printable(text: str) -> str:
    """Return `text` with its lines, and with control and bidirectional characters replaced by visible symbols."""
    return _CONTROL.sub(_picture, text)


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return `1 example` or `1,200 examples`; `plural` is for nouns that do not just take an s."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def sized(n: int, samples: int = 1, noun: str = "example") -> str:
    """Return `64 examples`, or `64 prompts x 5 samples` where each prompt was sampled several times."""
    return counted(n, noun) if samples == 1 else f"{counted(n, 'prompt')} x {samples} samples"


def at_most(items: Sequence[str], limit: int) -> list[str]:
    """Return the first `limit` items and, where there are others, `and N more` as the last one."""
    others = len(items) - limit
    return [*items[:limit], f"and {others:,} more"] if others > 0 else list(items)


def interval(low: float | None, high: float | None, places: int = 3, signed: bool = False) -> str:
    """Return `[0.012, 0.034]`, with signs where it is of a difference; nothing where an end is unknown."""
    if low is None or high is None:
        return ""
    sign = "+" if signed else ""
    return f"[{low:{sign}.{places}f}, {high:{sign}.{places}f}]"


def difference(value: float | None, low: float | None, high: float | None, places: int = 3) -> str:
    """Return `+0.023 [+0.012, +0.034]`, without brackets where there is no interval; a dash where it is unknown."""
    if value is None:
        return UNKNOWN
    return f"{value:+.{places}f} {interval(low, high, places, signed=True)}".rstrip()


def p_value(p: float | None, places: int = 3) -> str:
    """Return `0.012`, or `< 0.001` for less than the last decimal; a dash where it was not tested."""
    if p is None:
        return UNKNOWN
    least = 10.0**-places
    return f"< {least:.{places}f}" if p < least else f"{p:.{places}f}"


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
