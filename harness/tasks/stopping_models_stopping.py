"""Where a completion ends: stop sequences, and the task's line or sentence rule, judged on text alone.

Text, because a stop sequence may begin inside one token and end inside another. Every backend cuts by this one
rule, so that a completion does not depend on who stopped it.
"""

from __future__ import annotations

import re

from harness.tasks.stopping import sentence_end
from harness.types import Decoding, StopAt

_FIRST_LINE = re.compile(r"\s*\S[^\n]*(?=\n)")
"""The first line that has text: models often open with an empty one."""


def has_rule(decoding: Decoding) -> bool:
    """Return whether text can end a completion at all."""
    return bool(decoding.stop) or decoding.stop_at is not StopAt.none


def end_of(text: str, decoding: Decoding) -> int | None:
    """Return the index where a completion that begins with `text` ends, or None while it may go on.

    The earliest rule wins, and what it ends with is cut off: the stop sequence, the line break, the next sentence.
    """
    found = [text.find(stop) for stop in decoding.stop]
    ends: list[int | None] = [index for index in found if index >= 0]
    if decoding.stop_at is StopAt.line:
        line = _FIRST_LINE.match(text)
        ends.append(line.end() if line else None)
    elif decoding.stop_at is StopAt.sentence:
        ends.append(sentence_end(text))
    return min((end for end in ends if end is not None), default=None)


def tidy(text: str, end: int | None) -> str:
    """Return the completion's text: up to `end`, without the white space that models put around an answer."""
    return text[:end].strip()
