"""The table of edit distances between two texts, a row of it at a time, one bit a word of theirs.

Source: Hyyrö, 2003, after Myers, 1999 (https://doi.org/10.1145/316542.316550). A row may be an integer of Python's, for
a text of any length, or an array of unsigned ones, for many texts at once; bits above the last word mean nothing.
"""

from __future__ import annotations

from typing import Any, TypeVar

BitsT = TypeVar("BitsT", bound=Any)


def next_row(equal: BitsT, rises: BitsT, falls: BitsT) -> tuple[BitsT, BitsT, BitsT, BitsT]:
    """Return what the row of our word that is `equal` to those of theirs says of each of their words.

    A path of least edits can come across (the words are equal, or one is substituted for the other) or from above (our
    word is deleted), and the distance rises or falls by one from their word before. Before our first word, all rise.
    """
    level = (((equal & rises) + rises) ^ rises) | equal | falls
    above = falls | ~(level | rises)
    entered = above << 1 | 1
    return equal | ~level, above, (rises & level) << 1 | ~(level | entered), entered & level
