"""Words of any script: letters with their marks, and single characters where a script puts no spaces between words.

Unicode's rules for words (UAX #29, https://unicode.org/reports/tr29/) need a dictionary for Thai, Lao, Khmer, Burmese,
Chinese and Japanese. Without one, a character with its marks is the only unit that does not depend on the segmenter and
its version, as in sacrebleu's tokenisers `zh` and `char`. Hangul has spaces between words, and keeps them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\uaa60-\uaadf"  # Burmese, Khmer, Tai
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u302d\u3031-\u303c\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # Han
)
"""Character ranges of the scripts that put no spaces between words, for a regular expression."""
JOINERS = "\u200c\u200d"
"""Between letters they change how these are joined, and between emoji they make one of several."""
_SKIN_TONES = "\U0001f3fb-\U0001f3ff"
_SEARCHED = [*range(0x80, 0x20000), *range(0xE0000, 0xE0200)]
"""Where marks and symbols are; what is between and beyond is Han, not assigned, or for private use."""
_UNSPACED = re.compile(f"[{UNSPACED}]")


def composed(text: str) -> str:
    """Return the canonical composition (NFC): an accented letter is the same text in one code point or in two."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


@cache
def marks() -> str:
    """Return the ranges of all combining marks (categories Mn, Mc, Me), for a regular expression."""
    return _ranges("M")


def unicode_words(text: str) -> list[str]:
    """Return the words of a text in lower case, composed: what ROUGE compares with `tokenizer=unicode`.

    A word is a run of letters, digits and marks; of scripts without spaces it is one character with its marks. An emoji
    or another symbol that is not ASCII is a word of its own. On ASCII text these are rouge-score's own words.
    """
    return _word().findall(composed(text.lower()))


def split_unspaced(word: str) -> list[str]:
    """Return a word between spaces, with the characters of scripts without spaces between words one by one."""
    if word.isascii():
        return [word]
    word = composed(word)
    return _unspaced_or_not().findall(word) if _UNSPACED.search(word) else [word]


@cache
def _word() -> re.Pattern[str]:
    letter = rf"(?![{UNSPACED}])[^\W_]"
    joined = f"(?:[{JOINERS}](?={letter}))?"
    symbol = f"[{_ranges('So')}]"
    modifiers = f"[{marks()}{_SKIN_TONES}]*"
    return re.compile(
        rf"(?:{letter}[{marks()}]*{joined})+"  # a word of a script with spaces
        rf"|(?=[{UNSPACED}])[^\W_][{marks()}]*"  # a character of a script without
        rf"|{symbol}{modifiers}(?:\u200d{symbol}{modifiers})*"
    )


@cache
def _unspaced_or_not() -> re.Pattern[str]:
    return re.compile(rf"[{UNSPACED}][{marks()}]*|[^{UNSPACED}]+")


def _ranges(category: str) -> str:
    """Return the ranges of all characters of a category, or of all categories that start with the letter."""
    points = [p for p in _SEARCHED if unicodedata.category(chr(p)).startswith(category)]
    starts = [p for p, before in zip(points, [-2, *points], strict=False) if p != before + 1]
    ends = [p for p, after in zip(points, [*points[1:], -2], strict=True) if p + 1 != after]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
