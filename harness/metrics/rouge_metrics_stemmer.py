"""Porter's stemmer (1980, https://doi.org/10.1108/eb046814) as rouge-score uses it, two or three times sooner.

nltk's tries every rule of a step on every word; here a step is left out where none of its rules can apply, and words
on which no rule of any step can are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable

STEMMED_FROM = 4
"""rouge-score stems only words of at least so many characters."""
ENDINGS: dict[str, tuple[str, ...]] = {
    "_step1a": ("s",),
    "_step1b": ("ed", "ing"),
    "_step1c": ("y",),
    "_step2": ("i", "tional", "izer", "ation", "ator", "alism", "ness"),
    "_step3": ("icate", "ative", "alize", "iciti", "ical", "ful", "ness"),
    "_step4": (
        *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ent"),
        *("ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"),
    ),
    "_step5a": ("e",),
    "_step5b": ("ll",),
}
"""How a word must end for a step of nltk's stemmer to change it."""
SUFFIXES = tuple(suffix for endings in ENDINGS.values() for suffix in endings)

Stem = Callable[[str], str]


def stemmer() -> Stem:
    """Return what stems a lower-case word; a short one is its own stem."""
    from nltk.stem.porter import PorterStemmer

    nltks = PorterStemmer()
    for name, endings in ENDINGS.items():
        if step := getattr(nltks, name, None):
            setattr(nltks, name, _only_for(endings, step))
    return lambda word: str(nltks.stem(word)) if len(word) >= STEMMED_FROM and word.endswith(SUFFIXES) else word


def _only_for(endings: tuple[str, ...], step: Stem) -> Stem:
    return lambda word: step(word) if word.endswith(endings) else word
