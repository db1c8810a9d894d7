"""Why an answer ended, in the words of the services: finish_reason has no fixed vocabulary.

A word that is in no table is classified by what it contains, so that one like `upstream_error` is not taken for a whole
answer. Sources: the API references of OpenAI, Anthropic, Gemini, Mistral, DeepSeek, Cohere, OpenRouter, vLLM, SGLang.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Ending(StrEnum):
    """Why a service says that an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    WITHHELD = "withheld"
    TOOL = "tool"
    BROKEN = "broken"
    UNKNOWN = "unknown"


_END_TOKENS = frozenset(["eos", "eostoken", "eot", "eotid", "endoftext", "endofturn", "endturn", "imend"])
_STOP_SEQUENCES = frozenset(["stopsequence", "stopstring", "stopword"])
_STOP = "stop stopped end complete completed finish finished done"
_LENGTH = (
    "length maxtokens maxoutputtokens maxnewtokens maxcompletiontokens maxlength modellength tokenlimit contextlength "
    "limit errorlimit incomplete truncated"
)
_WORDS = {
    **dict.fromkeys((*_STOP.split(), *_END_TOKENS, *_STOP_SEQUENCES), Ending.STOP),
    **dict.fromkeys(_LENGTH.split(), Ending.LENGTH),
    **dict.fromkeys(("language", "spii"), Ending.WITHHELD),  # Gemini
    **dict.fromkeys(("other", "pauseturn", "pause"), Ending.BROKEN),  # Gemini, Anthropic
}
"""Whole words, in lower case and without what is no letter."""
_STEMS = {
    Ending.WITHHELD: "filter safety recitation block prohibit guardrail refus moderat policy sensitive toxic",
    Ending.TOOL: "tool function",
    Ending.LENGTH: "maxtoken maxlen tokenlimit contextlen contextwindow lengthlimit lengthexceed truncat",
    Ending.BROKEN: "error abort cancel fail timeout timedout interrupt insufficient resource overload unavailab conn",
}
"""Parts of other words; the first kind that has one is it."""
_LONGEST = 40
"""The most characters of an unknown word that are shown."""


def ending_of(value: object) -> tuple[Ending, str]:
    """Return why an answer ended, and the service's word for it, as it can be shown."""
    word = _word(value)
    shown = "".join(c for c in str(value)[:_LONGEST] if c.isprintable()) or "empty"
    if word in _WORDS:
        return _WORDS[word], shown
    kinds = (kind for kind, stems in _STEMS.items() if any(stem in word for stem in stems.split()))
    return next(kinds, Ending.UNKNOWN), shown


def at_stop(choice: Mapping[str, Any]) -> bool | None:
    """Return whether a stop sequence ended the answer, None where that is not said.

    vLLM says it in `stop_reason`, SGLang in `matched_stop`: a text, or nothing or a number for the end token.
    """
    if "stop_reason" in choice and choice["stop_reason"] is None:
        return False
    for key in ("stop_reason", "matched_stop", "native_finish_reason", "finish_reason"):
        value = choice.get(key)
        word = _word(value)
        if isinstance(value, int) or word in _END_TOKENS:
            return False
        if word in _STOP_SEQUENCES or (isinstance(value, str) and key in ("stop_reason", "matched_stop")):
            return True
    return None


def _word(value: object) -> str:
    """Return a reason as services variously write it (MAX_TOKENS, maxTokens, <|im_end|>) in one spelling."""
    return re.sub(r"[^a-z0-9]", "", value.lower()).removeprefix("finishreason") if isinstance(value, str) else ""
