"""What may be sent of an unfinished text: never more than the finished one will begin with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.server.streaming import settled
from harness.tasks.stopping import end_of, tidy
from harness.types import SamplingParams


@pytest.mark.parametrize(
    ("text", "stop", "sure"),
    [
        ("A river", (), "A river"),
        ("  A river \n", (), "A river"),
        ("A riv\N{REPLACEMENT CHARACTER}", (), "A riv"),
        ("A river EN", ("END",), "A river"),
        ("A river END", ("ENDS", "D."), "A river"),
        ("A river E N", ("END",), "A river E N"),
        ("EN", ("END",), ""),
        ("", ("END",), ""),
    ],
)
def test_what_may_still_be_cut_is_held_back(text: str, stop: tuple[str, ...], sure: str) -> None:
    assert settled(text, SamplingParams(stop=stop)) == sure


@given(st.text("ab \n", max_size=12), st.lists(st.text("ab \n", min_size=1, max_size=3), max_size=2))
def test_it_is_always_a_beginning_of_the_answer(text: str, stops: list[str]) -> None:
    decoding = SamplingParams(stop=tuple(stops))
    whole = tidy(text, end_of(text, decoding))
    for length in range(len(text) + 1):
        begun = text[:length]
        if end_of(begun, decoding) is not None:
            break
        assert whole.startswith(settled(begun, decoding))
