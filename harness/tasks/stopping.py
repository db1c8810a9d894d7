"""Where the first English sentence of a text ends: one rule for references and for the stop of a generation.

A reference is cut from a finished text; a generation grows token by token and has to stop without seeing the rest.
If the two disagreed, a model that repeats its reference perfectly would be scored as if it did not. So each possible
end is judged by nothing but the text before it and the next word: what is decided once holds however the text goes on.

Where a completion ends: stop sequences, and the task's line or sentence rule, judged on text alone.

Text, because a stop sequence may begin inside one token and end inside another. Every backend cuts by this one
rule, so that a completion does not depend on who stopped it.
"""

from __future__ import annotations

import re

from harness.types import SamplingParams, StopAt

_END = re.compile(r"""[.!?…][.!?…"'”’)\]]*(?=\s\W*(\w+)(\W)?)""")
"""A possible end: terminators and closing marks, white space, then the next word and the character after it."""
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_OPENING = re.compile(r"""["“‘(\[]""")
_LETTER = re.compile(r"[^\W\d_]")


def sentence_end(text: str) -> int | None:
    """Return the index after the first English sentence of `text`, or None while that sentence may still go on.

    A sentence ends at a blank line, or at a terminator where the next word has begun and sentencex sees an end.
    For every text that starts with `text` the answer is the same or, from None, becomes an index once. A quotation
    or bracket of several sentences ends after its first one, because one that is never closed must end too.
    """
    start = len(text) - len(text.lstrip())
    blank = _BLANK_LINE.search(text, start)
    limit = len(text[: blank.start()].rstrip()) if blank else len(text)
    for match in _END.finditer(text, start):
        if match.start(1) >= limit:
            break
        if _ends(text[start : match.end()], match[1], complete=match[2] is not None):
            return match.end()
    return limit if blank else None


def first_sentence(text: str) -> str:
    """Return the first sentence of a finished text without outer white space: all of it when it has no other."""
    return text[: sentence_end(text)].strip()


def _ends(head: str, word: str, complete: bool) -> bool:
    """Judge by the next word's first letter ("film. T"), and once more by the whole word ("in the U.S. The ")."""
    import sentencex

    # sentencex ends a sentence at "Beta vulgaris subsp. vulgaris", and at the number of a list's item, "1. Mercury".
    if word[0].islower() or not _LETTER.search(head):
        return False
    head = _OPENING.sub(" ", head)  # it takes 'signed "R. Mutt"' for two sentences, but not 'signed  R. Mutt'
    seen = (word[0], word) if complete else (word[0],)
    return any(sentencex.segment("en", f"{head} {part}")[-1].strip() == part for part in seen)


_FIRST_LINE = re.compile(r"\s*\S[^\n]*(?=\n)")
"""The first line that has text: models often open with an empty one."""


def has_rule(decoding: SamplingParams) -> bool:
    """Return whether text can end a completion at all."""
    return bool(decoding.stop) or decoding.stop_at is not StopAt.none


def end_of(text: str, decoding: SamplingParams) -> int | None:
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
