"""Long texts that come back are found; short ones, which are the same by rights, are not."""

from __future__ import annotations

import pytest

from harness.analysis.samples import Repeat, Texts, bag

REFERENCE = "A river is a natural stream of fresh water that flows towards an ocean."


@pytest.mark.parametrize(
    ("text", "near"),
    [
        (REFERENCE, True),
        ("a RIVER is a natural stream of fresh water that flows towards an ocean", True),
        ("A river is a natural stream of fresh water which flows towards an ocean.", True),
        ("A river is a road for boats, and it flows to a lake or a sea far away.", False),
        ("A river.", False),
    ],
)
def test_what_is_nearly_the_reference_is_found(text: str, near: bool) -> None:
    texts = Texts(references={"e": bag(REFERENCE)})
    texts.add(3, "e", text)
    assert set(texts.matches.get("e", {})) == ({3} if near else set())


def test_one_text_for_several_prompts_is_found_within_a_run_only() -> None:
    texts = Texts(references={name: frozenset() for name in "abc"})
    for run, names in ((0, "ab"), (1, "c")):
        for name in names:
            texts.add(run, name, REFERENCE.upper() if name == "b" else REFERENCE)
            texts.add(run, name, "yes")
        texts.settle(run)
    assert texts.repeats == [Repeat(0, ("a", "b"))]
