"""The split into training and validation pools, and the subsets that smaller runs use.

Examples are ordered by a seeded hash of their own content. The order does not depend on that of a file, and an added
row moves at most one other between the pools; a seeded shuffle would move them all. How large the pools of one file are
follows from its number of rows, never from what a run does with them, so that the runs of a sweep share their examples.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from harness.config.task import AUTO
from harness.errors import DataError
from harness.types import Example, Notice

N_SCORED = 64
"""Examples that `AUTO` scores."""
MAX_POOL = 2000
"""The largest validation pool that is worked out."""
MIN_TRAIN, MIN_SPLIT = 4, 12
"""Training examples that are set aside at least, as many as a few-shot prompt has, from so many rows on."""

_OTHER = re.compile(r"[^\w\s]")
_OPERATOR = re.compile(r"(?<=\d)\s*([-*/])\s*(?=\d)")
_OPERATORS = {"-": " \N{MINUS SIGN} ", "*": " \N{MULTIPLICATION SIGN} ", "/": " \N{DIVISION SIGN} "}
"""Punctuation that is a sign of arithmetic between digits: "3 * 4" and "3 / 4" are different questions."""
_WORD_PARTS = ("Mn", "Mc", "Me", "Sm", "Sc", "So")
"""Unicode categories besides letters and digits that carry meaning: combining marks, as in Thai and Hindi, and symbols
such as + and emoji."""


def normalise(prompt: str) -> str:
    """Return a prompt's words in order, without case, compatibility forms, punctuation and whitespace."""
    folded = unicodedata.normalize("NFKC", prompt).casefold()
    signed = _OPERATOR.sub(lambda match: _OPERATORS[match[1]], folded)
    dropped = {ord(character): _in_place_of(character) for character in set(_OTHER.findall(signed))}
    return " ".join(signed.translate(dropped).split()) or folded.strip()


def _in_place_of(character: str) -> str:
    """Return what stands for a character that is neither a letter, a digit nor white space."""
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":  # joiners, and the choice between two looks
        return ""
    return character if category in _WORD_PARTS else " "


def pool_size(n: int, n_validation: int | str | None) -> int:
    """Return how many of `n` rows the validation pool gets where `task.validation_pool` leaves it open.

    None scores every row. Else it is a fifth of the rows, but no fewer than are to be scored, and of a small file four
    fifths; a few more are left for training where a few-shot prompt would lack them.
    """
    if n_validation is None:
        return n
    train = max(n // 5, MIN_TRAIN if n >= MIN_SPLIT else 0)
    pool = min(max(n // 5, min(N_SCORED, n - train)), MAX_POOL)
    return max(pool, min(n_validation, n)) if isinstance(n_validation, int) else pool


def n_scored(n_validation: int | str | None, pool: int) -> int:
    """Return how many examples of the validation pool are scored; a number that is asked for is returned as it is."""
    if isinstance(n_validation, int):
        return n_validation
    return min(N_SCORED, pool) if n_validation == AUTO else pool


def split_notice(n: int, n_validation: int | str | None, pool: int, train: int) -> Notice:
    """Return the line that says what became of the `n` rows of one file."""
    scored = n_scored(n_validation, pool)
    parts = [f"{scored:,} scored"]
    if pool > scored:
        parts.append(f"{pool - scored:,} more for validation")
    parts.append(f"{train:,} for training" if train else "none for training")
    hint = "; task.n_validation=null scores them all" if isinstance(n_validation, str) and n > scored else ""
    return Notice("split", f"{'row' if n == 1 else 'rows'}: {', '.join(parts)}{hint}", n)


def pools(
    examples: Sequence[Example], size: int, seed: int, at_least: int = 1
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Split into disjoint (training, validation) pools, with at most `size` examples for validation.

    Prompts that are equal when normalised stay together, so that the split does not leak: a group on the boundary goes
    to training, unless fewer than `at_least` would be for validation. If there are no more than `size` examples, all
    are for validation and none for training.
    """
    ranked = sorted((_rank("split", seed, normalise(e.prompt)), e.id, i) for i, e in enumerate(examples))
    ends = [i for i in range(len(ranked) + 1) if i in (0, len(ranked)) or ranked[i - 1][0] != ranked[i][0]]
    below = max((end for end in ends if end <= size), default=0)
    above = min((end for end in ends if end >= min(at_least, size)), default=0)
    order = [examples[i] for *_, i in ranked]
    n_validation = max(below, above)
    return tuple(order[n_validation:]), tuple(order[:n_validation])


def pools_by_size(
    examples: Sequence[Example], pool: int | None, n_validation: int | str | None, seed: int
) -> tuple[tuple[Example, ...], tuple[Example, ...], tuple[Notice, ...]]:
    """Split the examples of one file into (training, validation) pools, and say how where `pool` leaves it open."""
    if pool is not None:
        return *pools(examples, pool, seed), ()
    n = len(examples)
    at_least = n_validation if isinstance(n_validation, int) else 1
    train, validation = pools(examples, pool_size(n, n_validation), seed, at_least)
    return train, validation, (split_notice(n, n_validation, len(validation), len(train)),)


def subset(examples: Sequence[Example], n: int | None, seed: int, setting: str = "") -> tuple[Example, ...]:
    """Return `n` of the examples, or all for None; for one seed, a smaller subset is the start of a larger one.

    DataError when there are fewer than `n`; it names `setting`, which asks for them.
    """
    if n is not None and not 0 <= n <= len(examples):
        name, fix = f"{setting}: " if setting else "", _MORE.get(setting, "Lower the number, or use null for all.")
        limit = f"0 to {len(examples)} examples, as many as there are" if examples else "0, as there is no example"
        raise DataError(f"{name}expected {limit}, got {n}. {fix}")
    return tuple(sorted(examples, key=lambda example: (_rank("subset", seed, example.id), example.id))[:n])


_MORE_TRAINING = (
    "set task.validation_pool to fewer rows, so that more are for training, or give a training file as task.train_path."
)
_MORE = {
    "task.n_validation": (
        "Lower it, or use null for all. Where task.validation_pool is set, it limits how many are for validation."
    ),
    "prompt.shots": f"Lower it; or {_MORE_TRAINING}",
    "finetune.n_train": f"Lower it, or use null for all; or {_MORE_TRAINING}",
}
"""What mends a setting that asks for more examples than there are."""


def _rank(purpose: str, seed: int, key: str) -> str:
    return hashlib.sha256(f"{purpose} {seed} {key}".encode("utf-8", "surrogatepass")).hexdigest()
