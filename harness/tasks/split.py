"""The split into training and validation pools, and the subsets that smaller runs use.

Examples are ordered by a seeded hash of their own content. The order does not depend on that of a file, and an added
row moves at most one other between the pools; a seeded shuffle would move them all.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from harness.errors import DataError
from harness.types import Example

_WORD = re.compile(r"\w+")


def normalise(prompt: str) -> str:
    """Return a prompt's words in order, without case, compatibility forms, punctuation and whitespace."""
    folded = unicodedata.normalize("NFKC", prompt).casefold()
    return " ".join(_WORD.findall(folded)) or folded.strip()


def pools(examples: Sequence[Example], size: int, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Split into disjoint (training, validation) pools, with at most `size` examples for validation.

    Prompts that are equal when normalised stay together, so that the split does not leak: a group on the boundary goes
    to training. If there are no more than `size` examples, all are for validation and none for training.
    """
    ranked = sorted((_rank("split", seed, normalise(e.prompt)), e.id, i) for i, e in enumerate(examples))
    n_validation = min(max(size, 0), len(ranked))
    while 0 < n_validation < len(ranked) and ranked[n_validation - 1][0] == ranked[n_validation][0]:
        n_validation -= 1
    order = [examples[i] for *_, i in ranked]
    return tuple(order[n_validation:]), tuple(order[:n_validation])


def subset(examples: Sequence[Example], n: int | None, seed: int) -> tuple[Example, ...]:
    """Return `n` of the examples, or all for None; for one seed, a smaller subset is the start of a larger one.

    DataError when there are fewer than `n`.
    """
    if n is not None and not 0 <= n <= len(examples):
        raise DataError(
            f"expected 0 to {len(examples)} examples, as many as there are, got {n}. Lower the number, or use null for "
            "all; task.validation_pool sets how many are for validation."
        )
    return tuple(sorted(examples, key=lambda example: (_rank("subset", seed, example.id), example.id))[:n])


def _rank(purpose: str, seed: int, key: str) -> str:
    return hashlib.sha256(f"{purpose} {seed} {key}".encode("utf-8", "surrogatepass")).hexdigest()
