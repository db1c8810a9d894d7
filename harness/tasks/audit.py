"""Checks of a run's examples before any work starts: whether the training examples hold the scored ones.

Only the examples that the run uses are checked, so that a grid is audited at each of its training sizes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from harness.errors import DataError
from harness.store.digest import canonical, digest_lines
from harness.tasks.leakage import LeakKind, leaks
from harness.tasks.rows import MAX_SHOWN, NoticeTexts, Origins, notices, origin_of
from harness.types import Example, Notice
from harness.wording import at_most

_NOTICES: NoticeTexts = {
    "leak_exact": ("validation prompt", "also among the training prompts; the run continues with task.allow_leakage"),
    "leak_normalised": ("validation prompt", "equal to a training prompt but for case, punctuation or whitespace"),
    "leak_near": ("validation prompt", "with nearly the same words as a training prompt"),
    "leak_completion": ("validation completion", "also among the training completions, for another prompt"),
}


def audit(train: Sequence[Example], validation: Sequence[Example], allow_leakage: bool = False) -> tuple[Notice, ...]:
    """Return notices about these examples; DataError if a validation prompt is also a training prompt."""
    origins: Origins = defaultdict(list)
    for leak in leaks(train, validation):
        origins[f"leak_{leak.kind.value}"].append(f"{origin_of(leak.validation)} = {origin_of(leak.train)}")
    exact = origins.get(f"leak_{LeakKind.EXACT.value}", [])
    if exact and not allow_leakage:
        raise DataError(
            f"the training examples contain {len(exact)} of {len(validation)} validation prompts: "
            f"{', '.join(at_most(exact, MAX_SHOWN))}. Remove them from one side, or continue with "
            "task.allow_leakage=true."
        )
    return notices(origins, _NOTICES)


def fingerprint(examples: Sequence[Example]) -> str:
    """Return the identity of a set of examples: equal for equal examples in any order, on every machine.

    It is the digest of the sorted canonical JSON of (id, prompt, reference, slices, messages).
    """
    return digest_lines(sorted(canonical((e.id, e.prompt, e.reference, dict(e.slices), e.messages)) for e in examples))
