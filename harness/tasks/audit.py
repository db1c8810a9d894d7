"""What is checked between a task's data and a run of it, before any work: leakage, and references that cannot fit.

It is run on the examples that a run really uses, so that a grid is audited at each of its training sizes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from harness.errors import DataError
from harness.store.digest import canonical, digest_lines
from harness.tasks.leakage import Leak, LeakKind, leaks
from harness.tasks.notices import SHOWN, Seen, notices
from harness.types import Example, Notice

_NOTICES = {
    "leak_exact": "validation prompts are training prompts too; task.allow_leakage lets the run go on",
    "leak_normalised": "validation prompts differ from a training prompt in case, punctuation or space alone",
    "leak_near": "validation prompts have nearly the words of a training prompt",
    "leak_completion": "validation completions are training completions too, under other prompts",
    "over_limit": "references are longer than generation.max_tokens, so no completion can equal them; raise it",
}


def estimate_tokens(text: str) -> int:
    """Return about how many tokens an English text has: 1.4 a word (SmolLM2's needs 1.37 for Wikipedia's sentences)."""
    return math.ceil(1.4 * len(text.split()))


def audit(
    train: Sequence[Example],
    validation: Sequence[Example],
    max_tokens: int,
    count_tokens: Callable[[str], int] = estimate_tokens,
    allow_leakage: bool = False,
) -> tuple[Notice, ...]:
    """Return what a user should know about these examples; DataError when a validation prompt is trained on.

    `max_tokens` is the generation limit, and `count_tokens` should be the model's own.
    """
    found = leaks(train, validation)
    exact = [_pair(leak) for leak in found if leak.kind is LeakKind.EXACT]
    if exact and not allow_leakage:
        more = f" and {len(exact) - SHOWN} more" if len(exact) > SHOWN else ""
        raise DataError(
            f"{len(exact)} of {len(validation)} validation prompts are training prompts too: "
            f"{', '.join(exact[:SHOWN])}{more}. Remove them from one side, or go on with task.allow_leakage=true."
        )
    seen: Seen = defaultdict(list)
    for leak in found:
        seen[f"leak_{leak.kind.value}"].append(_pair(leak))
    seen["over_limit"] = [_place(e) for e in validation if count_tokens(e.reference) > max_tokens]
    return notices(seen, _NOTICES)


def fingerprint(examples: Sequence[Example]) -> str:
    """Return the identity of a set of examples: equal for equal examples in any order, on every machine.

    It is the digest of the sorted canonical JSON of (id, prompt, reference, slices, messages).
    """
    return digest_lines(sorted(canonical((e.id, e.prompt, e.reference, dict(e.slices), e.messages)) for e in examples))


def _pair(leak: Leak) -> str:
    return f"{_place(leak.validation)} = {_place(leak.train)}"


def _place(example: Example) -> str:
    return f"{example.origin} {example.id!r}" if example.origin else repr(example.id)
