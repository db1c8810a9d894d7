"""The end of a completion, case by case."""

from __future__ import annotations

import pytest

from harness.tasks.stopping import end_of, has_rule, tidy
from harness.types import SamplingParams, StopAt

CASES = [
    # text, stop, stop_at, what is left (None: it may go on)
    ("One two", (), StopAt.none, None),
    ("One. Two.\nThree", (), StopAt.none, None),
    ("One END two", ("END",), StopAt.none, "One"),
    ("One EN", ("END",), StopAt.none, None),
    ("a ## b ** c", ("**", "##"), StopAt.none, "a"),
    ("\n\nOne", ("\n\n",), StopAt.none, ""),
    ("One", (), StopAt.line, None),
    ("One\n", (), StopAt.line, "One"),
    ("One \n Two", (), StopAt.line, "One"),
    ("\n \n One\nTwo", (), StopAt.line, "One"),
    ("\n\n", (), StopAt.line, None),
    ("One.", (), StopAt.sentence, None),
    ("One. Two", (), StopAt.sentence, "One."),
    ("Made by Dr. Smith", (), StopAt.sentence, None),
    ("One, END two. Three", ("END",), StopAt.sentence, "One,"),
    ("One. Two END", ("END",), StopAt.sentence, "One."),
    ("One END\nTwo", ("END",), StopAt.line, "One"),
]


@pytest.mark.parametrize(("text", "stop", "stop_at", "left"), CASES)
def test_end_of(text: str, stop: tuple[str, ...], stop_at: StopAt, left: str | None) -> None:
    end = end_of(text, SamplingParams(stop=stop, stop_at=stop_at))
    assert (None if end is None else tidy(text, end)) == left


def test_tidy_keeps_a_whole_text_without_its_outer_white_space() -> None:
    assert tidy("\n One  two. \n", None) == "One  two."


@pytest.mark.parametrize(
    ("decoding", "expected"),
    [(SamplingParams(), False), (SamplingParams(stop=("x",)), True), (SamplingParams(stop_at=StopAt.line), True)],
)
def test_has_rule(decoding: SamplingParams, expected: bool) -> None:
    assert has_rule(decoding) is expected
