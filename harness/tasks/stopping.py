"""Where a text ends: the first English sentence, and the stop rules of a completion.

A reference is the first sentence of a finished text; a generation grows token by token and has to stop without seeing
the rest. If the two disagreed, a model that repeats its reference perfectly would get a lower score. So one rule
decides both: each possible end of a sentence is judged only by the text before it and the next word, and what is
decided once holds however the text continues.

Stop rules are judged on text, because a stop sequence may begin inside one token and end inside another. Every backend
truncates by `end_of`, so that a completion does not depend on what stopped it.

A reasoning model thinks before it answers. `settle` separates the two before any rule truncates, from the text as it
came, and every backend makes its completions with it.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from harness.types import Completion, FinishReason, Prompt, SamplingParams, StopAt

_RUN = re.compile(r"""[.!?…][.!?…"'”’)\]]*+(?=(\s)?)""")
"""Terminators and closing marks, and whether white space follows: a possible end of a sentence where it does."""
_NEXT_WORD = re.compile(r"(\w+)(\W)?")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_OPENING = re.compile(r"""["“‘(\[]""")
_LETTER = re.compile(r"[^\W\d_]")
_SENTENCE_CONTEXT = 1000
"""Characters before a possible end that decide whether it is one."""
_FIRST_LINE = re.compile(r"\s*\S[^\n]*(?=\n)")
"""The first line with text: models often start with an empty one."""

REASONING_TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
}
"""How open reasoning models begin and end their reasoning: DeepSeek-R1, Qwen3 and most others, Seed-OSS, Magistral."""


@dataclass(frozen=True, slots=True)
class Split:
    """A text in two: the reasoning, None where there is none, and the answer, None while the reasoning goes on."""

    reasoning: str | None
    answer: str | None
    start: int = 0
    """The index at which the answer starts."""


def split_reasoning(text: str, decoding: SamplingParams, prompt: Prompt | None = None) -> Split:
    """Separate the reasoning from the answer in a text as it came; `prompt` tells whether it left a tag open."""
    marker = decoding.answer_after
    if marker == "":
        return Split(None, text)
    if marker is None:
        opening = _opening(text, prompt)
        if opening is None:
            return Split(None, text)
        marker = REASONING_TAGS[opening]
    start = text.find(marker)
    if start < 0:
        return Split(_without_tag(text), None, len(text))
    return Split(_without_tag(text[:start]), text[start + len(marker) :], start + len(marker))


def settle(raw: str, decoding: SamplingParams, completion: Completion, prompt: Prompt | None = None) -> Completion:
    """Return the completion whose text came as `raw`: reasoning separated, truncated where a rule ends it, stripped.

    `completion` has everything but the texts; its finish reason says why `raw` ended, its reasoning is what a service
    sent beside the text. An answer that never began, because the reasoning was not over, counts as truncated, unless
    `answer_after` is a marker of the user's own that a finished text lacks: then the whole text is the answer.
    `prompt` tells whether it left a reasoning tag open.
    """
    split = split_reasoning(raw, decoding, prompt)
    ended, answer = completion.finish_reason, split.answer
    if answer is None and decoding.answer_after and ended is not FinishReason.LENGTH:
        split, answer = Split(None, raw), raw
    end = None if answer is None else end_of(answer, decoding)
    if answer is None or (completion.reasoning and not answer.strip()):
        reason = FinishReason.LENGTH
    else:
        reason = ended if end is None else FinishReason.STOP
    text = tidy(answer or "", end)
    return dataclasses.replace(
        completion,
        text=text,
        finish_reason=reason,
        raw=raw,
        reasoning="\n\n".join(part for part in (completion.reasoning, split.reasoning) if part) or None,
        ended=None if reason is ended else ended,
    )


def unsettled(completion: Completion, decoding: SamplingParams, prompt: Prompt | None = None) -> Completion:
    """Return what `settle` was given: the text as it came, and the reasoning that a service sent beside it."""
    raw = completion.text if completion.raw is None else completion.raw
    reasoning = completion.reasoning
    if raw is not None and reasoning and (inside := split_reasoning(raw, decoding, prompt).reasoning):
        reasoning = reasoning.removesuffix(inside).rstrip() or None
    reason = completion.ended or completion.finish_reason
    return dataclasses.replace(completion, text=raw, raw=None, finish_reason=reason, reasoning=reasoning, ended=None)


def _opening(text: str, prompt: Prompt | None) -> str | None:
    """Return the reasoning tag that a text, or the prompt before it, opens with; None where there is none."""
    before = prompt.rendered.rstrip() if prompt else ""
    begins = text.lstrip()
    for opening, closing in REASONING_TAGS.items():
        if begins.startswith(opening) or before.endswith(opening):
            return opening
        closed, opened = text.find(closing), text.find(opening)
        if closed >= 0 and not 0 <= opened < closed:  # a chat template opened it where it cannot be seen
            return opening
    return None


def _without_tag(reasoning: str) -> str:
    text = reasoning.strip()
    for opening in REASONING_TAGS:
        text = text.removeprefix(opening)
    return text.strip()


def has_rule(decoding: SamplingParams) -> bool:
    """Return whether any text can end a completion."""
    return bool(decoding.stop) or decoding.stop_at is not StopAt.none


def end_of(text: str, decoding: SamplingParams) -> int | None:
    """Return the index where a completion that begins with `text` ends, or None while it may continue.

    The earliest rule wins. What ends the completion is not part of it: the stop sequence, line break or next sentence.
    """
    begin = len(text) - len(text.lstrip())  # models often start with an empty line, which ends nothing
    ends: list[int | None] = [
        index for stop in decoding.stop if (index := text.find(stop, begin if stop.isspace() else 0)) >= 0
    ]
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
    of several sentences ends after its first one, because one that is never closed must end too. Time grows with the
    length of the text, whatever it consists of.
    """
    return sentence_scan(text)[0]


def sentence_scan(text: str, decided: int = 0) -> tuple[int | None, int]:
    """Return `sentence_end`, and the index before which no other text that starts with `text` can have it.

    `decided` is that index of an earlier call with the beginning of this text, whose work is not done again.
    """
    start = len(text) - len(text.lstrip())
    blank = _BLANK_LINE.search(text, start)
    limit = len(text[: blank.start()].rstrip()) if blank else len(text)
    first_letter = _LETTER.search(text, start)
    if first_letter is None:  # dots, digits and marks alone are no sentence
        return (limit if blank else None), decided
    word = _NEXT_WORD.search(text, start)
    for match in _RUN.finditer(text, max(first_letter.end(), decided)):
        if match[1] is None:
            if match.end() < len(text):  # something else follows than white space
                decided = match.end()
            continue
        while word and word.start() < match.end():
            word = _NEXT_WORD.search(text, match.end())
        if word is None or word.start() >= limit:
            break
        is_whole_word = word[2] is not None
        if _is_sentence(text[max(start, match.end() - _SENTENCE_CONTEXT) : match.end()], word[1], is_whole_word):
            return match.end(), match.end()
        if not is_whole_word:  # the rest of the word may still end the sentence here: no later end may be taken before
            break
        decided = match.end()
    return (limit if blank else None), decided


def _is_sentence(head: str, word: str, is_whole_word: bool) -> bool:
    """Return whether `head` ends a sentence, by the next word's first letter ("film. T") and by the whole word.

    The whole word matters in "in the U.S. The", for example.
    """
    import sentencex

    # sentencex splits "Beta vulgaris subsp. vulgaris", and after the number of a list's item, "1. Mercury".
    if word[0].islower():
        return False
    head = _OPENING.sub(" ", head)  # it takes 'signed "R. Mutt"' for two sentences, but not 'signed  R. Mutt'
    continuations = (word[0], word) if is_whole_word else (word[0],)
    return any(sentencex.segment("en", f"{head} {part}")[-1].strip() == part for part in continuations)
