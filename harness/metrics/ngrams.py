"""Clipped n-gram matches for a whole corpus at once: the arithmetic that ROUGE, BLEU, chrF and token F1 share.

Counting n-grams in dictionaries costs a Python operation for each n-gram of each order. Here the symbols of a window
(words or characters) are packed into one integer together with the number of their example. All windows of
completions and references are sorted once; as every n-gram is a prefix of a longer window, each order is then read off
the same sorted array by a shift and a comparison of neighbours.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from harness.metrics.encoded import Encoded, IntArray

CHUNK = 512
"""Examples that are sorted together: few enough for the processor's cache, many enough to hide numpy's overhead."""
KEY_BITS = 62
"""Bits of a key that hold the example and its symbols; one more says whose window it is, and the sign stays free."""


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
        bits = len(alphabet).bit_length()
        if bits * order + (last - first).bit_length() <= KEY_BITS:
            keys = np.concatenate([_windows(ours, alphabet, order, 1), _windows(theirs, alphabet, order, 0)])
            matches[first:last] = _count(np.sort(keys), last - first, order, bits)
        elif last - first > 1:
            middle = (first + last) // 2
            stack += [(first, middle), (middle, last)]
        else:
            matches[first] = _count_one(ours.symbols[:-1], theirs.symbols[:-1], order)
    return matches


def _windows(texts: Encoded, alphabet: IntArray, order: int, ours: int) -> IntArray:
    """Pack example, `order` symbols and whose window it is into one integer for each position that can match."""
    bits = len(alphabet).bit_length()
    table = np.zeros(max(int(texts.symbols.max(initial=0)), int(alphabet.max(initial=0))) + 1, dtype=np.int64)
    table[alphabet] = np.arange(1, len(alphabet) + 1)
    symbols = np.concatenate([table[texts.symbols], np.zeros(order - 1, dtype=np.int64)])
    keys = texts.rows()
    size = len(keys)
    for offset in range(order):
        keys = (keys << bits) | symbols[offset : offset + size]
    return ((keys << 1) | ours)[symbols[:size] > 0]


def _count(keys: IntArray, n: int, order: int, bits: int) -> IntArray:
    """Read the matches of every order off sorted keys; keys without a match cannot match at a higher order."""
    matches = np.zeros((n, order), dtype=np.int64)
    mask = (1 << bits) - 1
    for length in range(1, order + 1):
        grams = keys >> (1 + bits * (order - length))
        if length > 1:
            whole = (grams & mask) > 0
            keys, grams = keys[whole], grams[whole]
        if not len(keys):
            break
        bounds = np.flatnonzero(np.concatenate([[True], grams[1:] != grams[:-1], [True]]))
        first, sizes = bounds[:-1], np.diff(bounds)
        ours = np.diff(np.concatenate([[0], np.cumsum(keys & 1)])[bounds])
        common = np.minimum(ours, sizes - ours)
        matches[:, length - 1] = np.bincount(grams[first] >> (bits * length), weights=common, minlength=n)
        keys = keys[np.repeat(common > 0, sizes)]
    return matches


def _count_one(completion: IntArray, reference: IntArray, order: int) -> IntArray:
    """Count the matches of one example whose alphabet is too large for packed keys."""
    ours, theirs = completion.tolist(), reference.tolist()
    return np.array([(_grams(ours, length) & _grams(theirs, length)).total() for length in range(1, order + 1)])


def _grams(symbols: list[int], length: int) -> Counter[tuple[int, ...]]:
    return Counter(zip(*(symbols[i:] for i in range(length)), strict=False))
