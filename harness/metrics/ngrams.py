"""Clipped n-gram matches for a whole corpus at once: the arithmetic that ROUGE, BLEU, chrF and token F1 share.

Counting n-grams in dictionaries costs a Python operation for each n-gram of each order. Here the symbols of a window
(words or characters) are packed into one integer together with the number of their example. All windows of
hypotheses and references are sorted once. As every n-gram is a prefix of a longer window, each order is then read off
the same sorted array: neighbours differ in a symbol of that order or before, or else they are the same n-gram.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from harness.metrics.token_ids import Encoded, IntArray

CHUNK = 512
"""Examples that are sorted together: few enough for the processor's cache, many enough to hide numpy's overhead."""
KEY_BITS = 62
"""Bits of a key that hold the example and its symbols; one more marks hypotheses, and the sign stays free."""
OTHER_IN_REFERENCE, OTHER_IN_HYPOTHESIS = 1, 2
"""Added to the size of the alphabet, the symbols of the references: stands for all other symbols of that side."""


def clipped_matches(hypotheses: Encoded, references: Encoded, order: int) -> IntArray:
    """Count, per example, the n-grams that a hypothesis shares with its reference, each at most as often as there.

    Returns shape (n, order): orders 1 to `order`.
    """
    n = len(references.starts) - 1
    matches = np.zeros((n, order), dtype=np.int64)
    stack = [(first, min(first + CHUNK, n)) for first in range(0, n, CHUNK)]
    while stack:
        first, last = stack.pop()
        some, others = hypotheses.part(first, last), references.part(first, last)
        alphabet = np.flatnonzero(np.bincount(others.symbols)[1:]) + 1
        bits = (len(alphabet) + OTHER_IN_HYPOTHESIS).bit_length()
        if bits * order + (last - first).bit_length() <= KEY_BITS:
            windows = _windows(some, alphabet, order, bits, True), _windows(others, alphabet, order, bits, False)
            matches[first:last] = _count(np.sort(np.concatenate(windows)), last - first, order, bits)
        elif last - first > 1:
            middle = (first + last) // 2
            stack += [(first, middle), (middle, last)]
        else:
            matches[first] = _count_single(some.symbols[:-1], others.symbols[:-1], order)
    return matches


def _windows(texts: Encoded, alphabet: IntArray, order: int, bits: int, is_hypothesis: bool) -> IntArray:
    """Pack example, `order` symbols and the side into one integer for each position that can match."""
    none = len(alphabet) + (OTHER_IN_HYPOTHESIS if is_hypothesis else OTHER_IN_REFERENCE)
    table = np.full(max(int(texts.symbols.max(initial=0)), int(alphabet.max(initial=0))) + 1, none, dtype=np.int64)
    table[alphabet] = np.arange(1, len(alphabet) + 1)
    symbols = np.concatenate([table[texts.symbols], np.full(order - 1, none, dtype=np.int64)])
    keys = texts.rows()
    size = len(keys)
    for offset in range(order):
        keys = (keys << bits) | symbols[offset : offset + size]
    return np.asarray(((keys << 1) | int(is_hypothesis))[symbols[:size] != none])


def _count(keys: IntArray, n: int, order: int, bits: int) -> IntArray:
    """Read the matches of every order off sorted keys, as sums over runs of keys that are equal up to that order."""
    matches = np.zeros((n, order), dtype=np.int64)
    if not len(keys):
        return matches
    differ = np.append(keys[1:] ^ keys[:-1], 1 << KEY_BITS)
    of_hypotheses = np.cumsum(keys & 1)
    ends = np.searchsorted(keys, np.arange(1, n + 1) << (1 + bits * order))
    for length in range(1, order + 1):
        last = np.flatnonzero(differ >= 1 << (1 + bits * (order - length)))
        in_hypothesis = np.diff(of_hypotheses[last], prepend=0)
        in_both = np.minimum(in_hypothesis, np.diff(last, prepend=-1) - in_hypothesis)
        sums = np.append(0, np.cumsum(in_both))
        matches[:, length - 1] = np.diff(sums[np.searchsorted(last, ends)], prepend=0)
    return matches


def _count_single(hypothesis: IntArray, reference: IntArray, order: int) -> IntArray:
    """Count the matches of one example whose alphabet is too large for packed keys."""
    symbols, others = hypothesis.tolist(), reference.tolist()
    return np.array([(_ngrams(symbols, n) & _ngrams(others, n)).total() for n in range(1, order + 1)])


def _ngrams(symbols: list[int], n: int) -> Counter[tuple[int, ...]]:
    return Counter(zip(*(symbols[i:] for i in range(n)), strict=False))
