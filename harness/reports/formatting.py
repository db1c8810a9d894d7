"""How scores and foreign text are written: one number format, and completions that show as text everywhere.

A completion may hold markdown, HTML, `|`, a link or a terminal escape. None of it may act on the page or the
terminal that shows it, and none of it may vanish: control characters become their visible pictures.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from harness.types import MetricResult, Score

_ENTITY = {c: f"&#{ord(c)};" for c in "\\`*_{}[]<>()#+-.!|~$&@:=^"}
"""HTML entities are literal text to markdown, inside tables too, where a backslash is not always."""
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~$&@^]|:(?=//)|(?<=www)\.|^\s*(?:[#+=-]+|\d+[.)](?=\s|$))")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return `text` in one line, with control and direction characters as visible pictures."""
    one_line = text.replace("\r\n", "\n").replace("\n", " ⏎ ").replace("\t", " ")
    return _CONTROL.sub(_picture, one_line)


def markdown(text: str) -> str:
    """Return `text` so that markdown shows it as it is, in a table cell or a paragraph."""
    return _SPECIAL.sub(lambda m: "".join(_ENTITY.get(c, c) for c in m[0]), visible(text))


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, saying how many were cut."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… (+{len(text) - limit} characters)"


def decimals(results: Iterable[MetricResult]) -> int:
    """Return how many decimals a metric is shown with: three for shares of one, one for shares of a hundred."""
    highest = max((abs(r.score.high or r.score.value or 0.0) for r in results), default=0.0)
    return 3 if highest < 5 else 1


def number(value: float | None, places: int) -> str:
    """Return a value with `places` decimals, or a dash where there is none."""
    return "–" if value is None else f"{value:.{places}f}"


def with_interval(score: Score, places: int) -> str:
    """Return `value [low, high]`."""
    if score.value is None:
        return "–"
    value = number(score.value, places)
    if score.low is None or score.high is None:
        return f"{value} [no interval]"
    return f"{value} [{number(score.low, places)}, {number(score.high, places)}]"


def bounds(score: Score, places: int) -> str:
    """Return the score with all failed rows wrong and all of them right, or nothing where none failed."""
    if not score.errors or score.worst is None or score.best is None:
        return ""
    return f"{number(score.worst, places)} to {number(score.best, places)}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> Iterator[str]:
    """Yield the lines of a markdown table; the columns at the positions `left` to the left, the others to the right."""
    yield f"| {' | '.join(header)} |"
    yield f"| {' | '.join('---' if i in left else '---:' for i in range(len(header)))} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
