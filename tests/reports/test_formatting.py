"""Untrusted text is shown as text: in markdown, in a table cell, in a terminal."""

from __future__ import annotations

import html
import re

import pytest

from harness.reports.formatting import bounds, decimals, markdown, shorten, with_interval
from harness.types import MetricResult, Score
from harness.wording import visible

NASTY = [
    "a | b || c",
    "<script>alert(1)</script>",
    "**bold** _it_ `code` ~~gone~~",
    "[link](javascript:alert(1)) ![i](x)",
    "https://evil.example/x and www.evil.example",
    "@user #1 $x^2$ \\(x\\)",
    "# heading",
    "1. list",
    "- list",
    "two\nlines\r\nthree",
    "\x1b[31mred\x1b[0m \x00 \x7f \u202eback",
    "&lt; &amp;",
    "=1+1",
]


@pytest.mark.parametrize("text", NASTY)
def test_markdown_shows_what_was_written(text: str) -> None:
    shown = markdown(text)
    assert html.unescape(shown) == visible(text)
    assert not re.search(r"[|<>*_`\[\]~$@\\\x00-\x1f\x7f\u202e]|https?://|www\.", shown)
    assert not re.match(r"\s*(#|-|\+|=|\d+\.)", re.sub(r"&#\d+;", "x", shown))


def test_control_characters_are_seen_not_obeyed() -> None:
    assert visible("\x1b[2J\x7f\u202ea\nb") == "␛[2J␡⟨U+202E⟩a ⏎ b"


def test_shortening_says_what_is_missing() -> None:
    assert shorten("abcdef", 4) == "abcd… (+2 characters)"
    assert shorten("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (Score(0.25, 0.2, 0.3, 10, 0), "0.250 [0.200, 0.300]"),
        (Score(0.25, None, None, 1, 0), "0.250 [no interval]"),
        (Score(None, None, None, 0, 5), "–"),
    ],
)
def test_a_score_is_never_without_its_interval(score: Score, text: str) -> None:
    assert with_interval(score, 3) == text


def test_bounds_are_shown_where_something_failed() -> None:
    assert bounds(Score(0.5, 0.4, 0.6, 9, 1, 0.45, 0.55), 2) == "0.45 to 0.55"
    assert bounds(Score(0.5, 0.4, 0.6, 9, 0), 2) == ""


@pytest.mark.parametrize(("high", "places"), [(0.3, 3), (None, 3), (31.6, 1)])
def test_decimals_follow_the_scale(high: float | None, places: int) -> None:
    assert decimals([MetricResult("m", "m", True, "", Score(high, None, high, 5, 0))]) == places
