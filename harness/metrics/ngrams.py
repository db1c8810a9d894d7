"""Clipped n-gram matches for a whole corpus at once: the arithmetic that ROUGE, BLEU, chrF and token F1 share.

Counting n-grams in dictionaries costs a Python operation for each n-gram of each order. Here the symbols of a window
(words or characters) are packed into one integer together with the number of their example. All windows of
completions and references are sorted once; as every n-gram is a prefix of a longer window, each order is then read off
the same sorted array: neighbours differ in a symbol of that order or before, or else they are the same n-gram.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from harness.metrics.token_ids import Encoded, IntArray

CHUNK = 512
"""Examples that are sorted together: few enough for the processor's cache, many enough to hide numpy's overhead."""
KEY_BITS = 62
"""Bits of a key that hold the example and its symbols; one more says whose window it is, and the sign stays free."""
NONE_OF_THEIRS, NONE_OF_OURS = 1, 2
"""Past the alphabet: what is no symbol of the references, and so can match nothing of the other side."""


def clipped_matches(completions: Encoded, references: Encoded, order: int) -> IntArray:
    """Count, per example, the n-grams that a completion shares with its reference, each at most as often as there.

    Returns shape (n, order): orders 1 to `order`.
    """
    n = len(references.starts) - 1
    matches = np.zeros((n, order), dtype=np.int64)
    stack = [(first, min(first + CHUNK, n)) for first in range(0, n, CHUNK)]
    while stack:
        first, last = stack.pop()
        ours, theirs = completions.part(first, last), references.part(first, last)
        alphabet = np.flatnonzero(np.bincount(theirs.symbols)[1:]) + 1
        bits = (len(alphabet) + NONE_OF_OURS).bit_length()
        if bits * order + (last - first).bit_length() <= KEY_BITS:
            windows = _windows(ours, alphabet, order, bits, 1), _windows(theirs, alphabet, order, bits, 0)
            matches[first:last] = _count(np.sort(np.concatenate(windows)), last - first, order, bits)
        elif last - first > 1:
            middle = (first + last) // 2
            stack += [(first, middle), (middle, last)]
        else:
            matches[first] = _count_one(ours.symbols[:-1], theirs.symbols[:-1], order)
    return matches


def _windows(texts: Encoded, alphabet: IntArray, order: int, bits: int, ours: int) -> IntArray:
    """Pack example, `order` symbols and whose window it is into one integer for each position that can match."""
    none = len(alphabet) + (NONE_OF_OURS if ours else NONE_OF_THEIRS)
    table = np.full(max(int(texts.symbols.max(initial=0)), int(alphabet.max(initial=0))) + 1, none, dtype=np.int64)
    table[alphabet] = np.arange(1, len(alphabet) + 1)
    symbols = np.concatenate([table[texts.symbols], np.full(order - 1, none, dtype=np.int64)])
    keys = texts.rows()
    size = len(keys)
    for offset in range(order):
        keys = (keys << bits) | symbols[offset : offset + size]
    return np.asarray(((keys << 1) | ours)[symbols[:size] != none])


def _count(keys: IntArray, n: int, order: int, bits: int) -> IntArray:
    """Read the matches of every order off sorted keys, as sums over runs of keys that are equal up to that order."""
    matches = np.zeros((n, order), dtype=np.int64)
    if not len(keys):
        return matches
    differ = np.append(keys[1:] ^ keys[:-1], 1 << KEY_BITS)
    ours = np.cumsum(keys & 1)
    ends = np.searchsorted(keys, np.arange(1, n + 1) << (1 + bits * order))
    for length in range(1, order + 1):
        last = np.flatnonzero(differ >= 1 << (1 + bits * (order - length)))
        of_ours = np.diff(ours[last], prepend=0)
        common = np.cumsum(np.minimum(of_ours, np.diff(last, prepend=-1) - of_ours))
        matches[:, length - 1] = np.diff(np.append(0, common)[np.searchsorted(last, ends)], prepend=0)
    return matches


def _count_one(completion: IntArray, reference: IntArray, order: int) -> IntArray:
    """Count the matches of one example whose alphabet is too large for packed keys."""
    ours, theirs = completion.tolist(), reference.tolist()
    return np.array([(_grams(ours, length) & _grams(theirs, length)).total() for length in range(1, order + 1)])


def _grams(symbols: list[int], length: int) -> Counter[tuple[int, ...]]:
    return Counter(zip(*(symbols[i:] for i in range(length)), strict=False))
