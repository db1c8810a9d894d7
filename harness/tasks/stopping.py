"""Where a text ends: the first English sentence, and the stop rules of a completion.

A reference is the first sentence of a finished text; a generation grows token by token and has to stop without seeing
the rest. If the two disagreed, a model that repeats its reference perfectly would get a lower score. So one rule
decides both: each possible end of a sentence is judged only by the text before it and the next word, and what is
decided once holds however the text continues.

Stop rules are judged on text, because a stop sequence may begin inside one token and end inside another. Every backend
truncates by `end_of`, so that a completion does not depend on what stopped it.
"""

from __future__ import annotations

import re

from harness.types import SamplingParams, StopAt

_SENTENCE_END = re.compile(r"""[.!?…][.!?…"'”’)\]]*(?=\s\W*(\w+)(\W)?)""")
"""A possible end: terminators and closing marks, whitespace, then the next word and the character after it."""
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_OPENING = re.compile(r"""["“‘(\[]""")
_LETTER = re.compile(r"[^\W\d_]")
_FIRST_LINE = re.compile(r"\s*\S[^\n]*(?=\n)")
"""The first line with text: models often start with an empty one."""


def has_rule(decoding: SamplingParams) -> bool:
    """Return whether any text can end a completion."""
    return bool(decoding.stop) or decoding.stop_at is not StopAt.none


def end_of(text: str, decoding: SamplingParams) -> int | None:
    """Return the index where a completion that begins with `text` ends, or None while it may continue.

    The earliest rule wins. What ends the completion is not part of it: the stop sequence, line break or next sentence.
    """
    ends: list[int | None] = [index for stop in decoding.stop if (index := text.find(stop)) >= 0]
    if decoding.stop_at is StopAt.line:
        line = _FIRST_LINE.match(text)
        ends.append(line.end() if line else None)
    elif decoding.stop_at is StopAt.sentence:
        ends.append(sentence_end(text))
    return min((end for end in ends if end is not None), default=None)


def tidy(text: str, end: int | None) -> str:
    """Return the completion's text: up to `end`, without the whitespace that models put around an answer."""
    return text[:end].strip()


def first_sentence(text: str) -> str:
    """Return the first sentence of a finished text without surrounding whitespace; all of it if there is no other."""
    return tidy(text, sentence_end(text))


def sentence_end(text: str) -> int | None:
    """Return the index after the first English sentence of `text`, or None while that sentence may continue.

    A sentence ends at a blank line, or at a terminator if the next word has begun and sentencex splits there. For every
    text that starts with `text` the answer is the same, or changes once from None to an index. A quotation or bracket
    of several sentences ends after its first one, because one that is never closed must end too.
    """
    start = len(text) - len(text.lstrip())
    blank = _BLANK_LINE.search(text, start)
    limit = len(text[: blank.start()].rstrip()) if blank else len(text)
    for match in _SENTENCE_END.finditer(text, start):
        if match.start(1) >= limit:
            break
        is_whole_word = match[2] is not None
        if _is_sentence(text[start : match.end()], match[1], is_whole_word):
            return match.end()
        if not is_whole_word:  # the rest of the word may still end the sentence here: no later end may be taken before
            break
    return limit if blank else None


def _is_sentence(head: str, word: str, is_whole_word: bool) -> bool:
    """Return whether `head` is a sentence, by the next word's first letter ("film. T") and by the whole word.

    The whole word matters in "in the U.S. The", for example.
    """
    import sentencex

    # sentencex splits "Beta vulgaris subsp. vulgaris", and after the number of a list's item, "1. Mercury".
    if word[0].islower() or not _LETTER.search(head):
        return False
    head = _OPENING.sub(" ", head)  # it takes 'signed "R. Mutt"' for two sentences, but not 'signed  R. Mutt'
    continuations = (word[0], word) if is_whole_word else (word[0],)
    return any(sentencex.segment("en", f"{head} {part}")[-1].strip() == part for part in continuations)
