"""Counts agree in number, and lists, intervals and p-values are written the same everywhere."""

from __future__ import annotations

import pytest

from harness.wording import at_most, counted, difference, interval, p_value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (counted(1, "example"), "1 example"),
        (counted(0, "example"), "0 examples"),
        (counted(12_000, "example"), "12,000 examples"),
        (counted(2, "set of runs", "sets of runs"), "2 sets of runs"),
        (", ".join(at_most(["a", "b"], 2)), "a, b"),
        (", ".join(at_most(["a", "b", "c", "d"], 2)), "a, b, and 2 more"),
        (interval(0.1, 0.25), "[0.100, 0.250]"),
        (interval(-0.1, 2.5, 1, signed=True), "[-0.1, +2.5]"),
        (interval(None, 0.25), ""),
        (difference(0.1, -0.05, 0.25), "+0.100 [-0.050, +0.250]"),
        (difference(0.1, None, None, 1), "+0.1"),
        (difference(None, None, None), "–"),
        (p_value(0.0123), "0.012"),
        (p_value(0.0004), "< 0.001"),
        (p_value(0.0004, 4), "0.0004"),
        (p_value(None), "–"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert text == expected
