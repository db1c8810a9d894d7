"""Which examples are set aside for validation, and which ones a smaller run takes.

Every order here is that of a seeded hash of the example itself. It does not depend on the order of a file, and a row
that is added moves at most one other; a seeded shuffle would move them all.
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
    """Return a prompt's words in order, without case, compatibility forms, punctuation and white space."""
    folded = unicodedata.normalize("NFKC", prompt).casefold()
    return " ".join(_WORD.findall(folded)) or folded.strip()


def pools(examples: Sequence[Example], size: int, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Split into disjoint (training, validation) pools, with at most `size` examples for validation.

    Prompts that are equal once normalised stay together, so that no split leaks: a group that straddles the cut goes
    to training. When there are no more than `size` examples, all are for validation and none for training.
    """
    ranked = sorted((_rank("split", seed, normalise(e.prompt)), e.id, i) for i, e in enumerate(examples))
    cut = min(max(size, 0), len(ranked))
    while 0 < cut < len(ranked) and ranked[cut - 1][0] == ranked[cut][0]:
        cut -= 1
    order = [examples[i] for *_, i in ranked]
    return tuple(order[cut:]), tuple(order[:cut])


def subset(examples: Sequence[Example], n: int | None, seed: int) -> tuple[Example, ...]:
    """Return `n` of the examples, or all for None; under one seed a smaller subset is the start of a larger one.

    DataError when there are fewer than `n`.
    """
    if n is not None and not 0 <= n <= len(examples):
        raise DataError(
            f"expected 0 to {len(examples)} examples to be asked for, as that many are there, got {n}. Ask for fewer, "
            "or for all with null; task.validation_pool says how many are kept from training."
        )
    return tuple(sorted(examples, key=lambda example: (_rank("subset", seed, example.id), example.id))[:n])


def _rank(purpose: str, seed: int, key: str) -> str:
    return hashlib.sha256(f"{purpose} {seed} {key}".encode("utf-8", "surrogatepass")).hexdigest()
