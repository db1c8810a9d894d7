"""Stop rules at every step of a growing text, against the rules applied to the whole text."""

from __future__ import annotations

import random

import pytest

from harness.tasks import growing
from harness.tasks.growing import StopWatch, ends
from harness.types import Prompt, SamplingParams, StopAt

PIECES = (
    *(
        "a",
        "The",
        " It",
        " river",
        " U.S.",
        " Dr.",
        " e.g.",
        " 3",
        "1.",
        ".",
        "!",
        "…",
        '"',
        ")",
        " (",
        "日本。",
        " ",
        "\t",
    ),
    *("\n", "\n\n", "#", "##", "Q:", "<think>", "</think>", "[/THINK]"),
)
RULES: tuple[SamplingParams, ...] = tuple(
    SamplingParams(stop=stop, stop_at=stop_at, answer_after=marker)
    for stop in ((), ("##",), ("\n\n", "Q:"), ("\n",))
    for stop_at in StopAt
    for marker in (None, "", "##", "</think>")
)
PROMPTS = (None, Prompt("open", rendered="Why? <think>\n"), Prompt("closed", rendered="Why?"))


@pytest.mark.parametrize("seed", range(8))
def test_it_says_at_each_step_what_the_rules_say_of_the_whole_text(seed: int) -> None:
    rng = random.Random(seed)
    n_ended = 0
    for _ in range(250):
        decoding, prompt, pieces = rng.choice(RULES), rng.choice(PROMPTS), rng.sample(PIECES, rng.randint(2, 8))
        watch, text = StopWatch(decoding, prompt), ""
        whole = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 25)))
        while whole:
            size = rng.randint(1, min(4, len(whole)))
            text, whole = text + whole[:size], whole[size:]
            expected = ends(text, decoding, prompt)
            assert watch.ends(text) == expected, (text, decoding, prompt)
            if expected:
                n_ended += 1
                break
    assert n_ended > 20


@pytest.mark.parametrize("unit", [". ", "word ", "a . ", "no 1. ", "x\n", "#", "<"])
@pytest.mark.parametrize("stop_at", StopAt)
def test_what_is_decided_is_not_read_again(monkeypatch: pytest.MonkeyPatch, unit: str, stop_at: StopAt) -> None:
    read = 0

    def scan(text: str, decided: int = 0) -> tuple[int | None, int]:
        nonlocal read
        read += len(text) - decided
        return None, text.rfind(".")

    monkeypatch.setattr(growing, "sentence_scan", scan)
    decoding = SamplingParams(stop=("###",), stop_at=stop_at if stop_at is StopAt.sentence else StopAt.none)
    watch, text = StopWatch(decoding), ""
    for _ in range(3000):
        text += unit
        watch.ends(text)
        if unit == "#" and len(text) > 2:
            break
    assert read < 10 * len(text)


def test_a_rule_does_not_end_the_reasoning() -> None:
    decoding = SamplingParams(stop_at=StopAt.line)
    watch = StopWatch(decoding)
    assert not watch.ends("<think>\n")
    assert not watch.ends("<think>\nIt is a river.\n</think>")
    assert not watch.ends("<think>\nIt is a river.\n</think>\n\nA river")
    assert watch.ends("<think>\nIt is a river.\n</think>\n\nA river\n")
