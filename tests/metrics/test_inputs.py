"""Texts are read once for all metrics of a run, and never those of another run."""

from __future__ import annotations

import pytest

from harness.metrics.inputs import pairs
from tests.support.text_pairs import completions, examples


def test_rows_that_cannot_change_are_read_once() -> None:
    done, asked = tuple(completions(["a", "b"])), tuple(examples(["c", "d"]))
    assert pairs(done, asked) == (("a", "b"), ("c", "d"))
    assert pairs(done, asked) is pairs(done, asked)


def test_other_rows_are_read_for_themselves() -> None:
    asked = tuple(examples(["c", "d"]))
    first, second = (tuple(completions(texts)) for texts in (["a", "b"], ["x", "y"]))
    assert [pairs(each, asked)[0] for each in (first, second, first)] == [("a", "b"), ("x", "y"), ("a", "b")]
    assert pairs(first, tuple(examples(["e", "f"])))[1] == ("e", "f")
    with pytest.raises(ValueError, match="one completion an example"):
        pairs(first, asked[:1])


def test_lists_may_change_and_are_read_again() -> None:
    done, asked = completions(["a", "b"]), examples(["c", "d"])
    assert pairs(done, asked)[0] == ("a", "b")
    done[:] = completions(["x", "y"])
    assert pairs(done, asked)[0] == ("x", "y")
