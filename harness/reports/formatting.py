"""How scores and untrusted text are formatted, the same in every report.

A completion may hold markdown, HTML, `|`, a link or a terminal escape sequence. None of it may take effect where it
is shown, and none of it may disappear: control characters are replaced by visible symbols. Intervals, counts and
p-values are formatted by `harness.wording`, which lower layers use too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from harness.analysis.slices import Mark
from harness.types import MetricResult, Score
from harness.wording import UNKNOWN, counted, interval, visible

SIGNS = {Mark.BETTER: " ▲", Mark.WORSE: " ▼", Mark.NONE: "", Mark.TOO_FEW: ""}
"""What stands behind a score in a slice."""
_ENTITY = {c: f"&#{ord(c)};" for c in "\\`*_{}[]<>()#+-.!|~$&@:=^"}
"""HTML entities are always literal text in markdown; a backslash is not, inside a table."""
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~$&@^]|:(?=//)|(?<=www)\.|^\s*(?:[#+=-]+|\d+[.)](?=\s|$))")


def markdown(text: str) -> str:
    """Return `text` escaped so that markdown shows it unchanged, in a table cell or a paragraph."""
    return _SPECIAL.sub(lambda m: "".join(_ENTITY.get(c, c) for c in m[0]), visible(text))


def markdown_lines(text: str) -> Iterator[str]:
    """Yield `text` escaped like `markdown`, with its own line breaks."""
    *lines, last = text.split("\n")
    yield from (f"{markdown(line)}<br>" for line in lines)
    yield markdown(last)


def shorten(text: str, limit: int) -> str:
    """Return `text`, truncated to `limit` characters followed by how many more there are."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… (+{counted(len(text) - limit, 'character')})"


def decimals(results: Iterable[MetricResult]) -> int:
    """Return the number of decimals for a metric: three on a scale of 0 to 1, one on a scale of 0 to 100."""
    return decimals_of(max((abs(r.score.high or r.score.value or 0.0) for r in results), default=0.0))


def decimals_of(value: float | None) -> int:
    """Return the number of decimals for the highest score of a metric, or for a difference."""
    return 3 if value is None or abs(value) < 5 else 1


def number(value: float | None, places: int) -> str:
    """Return a value with `places` decimals, or a dash if it is None."""
    return UNKNOWN if value is None else f"{value:.{places}f}"


def with_interval(score: Score, places: int) -> str:
    """Return `value [low, high]`, or a dash if the score is unknown."""
    if score.value is None:
        return UNKNOWN
    return f"{number(score.value, places)} {interval(score.low, score.high, places) or '[no interval]'}"


def bounds(score: Score, places: int) -> str:
    """Return the score with all failed completions counted as wrong and as right; empty if none failed."""
    if not score.errors or score.worst is None or score.best is None:
        return ""
    return f"{number(score.worst, places)} to {number(score.best, places)}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> Iterator[str]:
    """Yield the lines of a markdown table; columns at the positions in `left` are left-aligned, the others right."""
    yield f"| {' | '.join(header)} |"
    yield f"| {' | '.join('---' if i in left else '---:' for i in range(len(header)))} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
