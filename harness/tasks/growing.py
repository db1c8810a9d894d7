"""Stop rules over a text that grows token by token.

To apply the rules to the whole text at every token takes time that grows with the square of its length. Here the rules
are looked at again only where something new could end the text, and what was decided is not decided again.
"""

from __future__ import annotations

import re

from harness.tasks.stopping import REASONING_TAGS, end_of, sentence_scan, split_reasoning
from harness.types import Prompt, SamplingParams, StopAt

_LONGEST_TAG = max(map(len, REASONING_TAGS))
_LETTER = re.compile(r"[^\W\d_]")
_TERMINATOR = re.compile(r"[.!?…]")
_WORD = re.compile(r"\w")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


def ends(text: str, decoding: SamplingParams, prompt: Prompt | None = None) -> bool:
    """Return whether a stop rule ends the answer in a text as it came; none does while the reasoning goes on."""
    answer = split_reasoning(text, decoding, prompt).answer
    return answer is not None and end_of(answer, decoding) is not None


class StopWatch:
    """Tells of one text that grows whether the stop rules end it: as `ends` does, at little cost for each token."""

    def __init__(self, decoding: SamplingParams, prompt: Prompt | None = None) -> None:
        self._decoding, self._prompt = decoding, prompt
        marker = decoding.answer_after
        tags = [tag for pair in REASONING_TAGS.items() for tag in pair]
        self._markers = tags if marker is None else [marker] if marker else []
        self._overlap = max([0, *map(len, self._markers), *map(len, decoding.stop)])
        self._opened = marker == ""
        self._seen = 0
        self._restart(0 if marker == "" else None)

    def ends(self, text: str) -> bool:
        """Return whether the rules end `text`, which starts with the text of the call before."""
        window = text[max(0, self._seen - self._overlap) :]
        if not self._opened or any(marker in window for marker in self._markers):
            split = split_reasoning(text, self._decoding, self._prompt)
            start = None if split.answer is None else split.start
            if start != self._start:
                self._restart(start)
            self._opened = self._opened or len(text.lstrip()) >= _LONGEST_TAG
        self._seen = len(text)
        if self._start is None:
            return False
        result = self._answer_ends(text, self._start)
        self._checked = len(text)
        return result

    def _restart(self, start: int | None) -> None:
        """Take the answer to begin at an index, None while it has not begun."""
        self._start = start
        self._checked = start or 0
        self._decided = 0
        self._has_text = self._has_letter = self._has_terminator = self._in_word = False
        self._after_break = False

    def _answer_ends(self, text: str, start: int) -> bool:
        new = text[self._checked :]
        window = text[max(start, self._checked - self._overlap) :]
        self._has_text = self._has_text or bool(new.strip())
        line = "\n" in new and self._has_text and self._decoding.stop_at is StopAt.line
        may_end = line or any(stop in window for stop in self._decoding.stop)
        if may_end and end_of(text[start:], self._decoding) is not None:
            return True
        return self._decoding.stop_at is StopAt.sentence and self._sentence_ends(text, start, new)

    def _sentence_ends(self, text: str, start: int, new: str) -> bool:
        self._has_letter = self._has_letter or _LETTER.search(new) is not None
        self._has_terminator = self._has_terminator or _TERMINATOR.search(new) is not None
        word = self._in_word or _WORD.search(new) is not None
        self._in_word = _WORD.match(text[-1:]) is not None
        last = f"\n{new}" if self._after_break else new
        self._after_break = "\n" in last and not last[last.rfind("\n") :].strip()
        is_blank = self._has_text and _BLANK_LINE.search(last)
        if not (is_blank or (self._has_letter and self._has_terminator and word)):
            return False
        answer = text[start:]
        end, self._decided = sentence_scan(answer, self._decided)
        self._has_terminator = _TERMINATOR.search(answer, self._decided) is not None
        return end is not None
