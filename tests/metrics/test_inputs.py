"""Texts are read once for all metrics of a run, and never those of another run."""

from __future__ import annotations

import pytest

from harness.metrics.inputs import pairs
from tests.support.text_pairs import completions, examples


def test_rows_that_cannot_change_are_read_once() -> None:
    answers, questions = tuple(completions(["a", "b"])), tuple(examples(["c", "d"]))
    assert pairs(answers, questions) == (("a", "b"), ("c", "d"))
    assert pairs(answers, questions) is pairs(answers, questions)


def test_other_rows_are_read_for_themselves() -> None:
    questions = tuple(examples(["c", "d"]))
    first, second = (tuple(completions(texts)) for texts in (["a", "b"], ["x", "y"]))
    assert [pairs(rows, questions)[0] for rows in (first, second, first)] == [("a", "b"), ("x", "y"), ("a", "b")]
    assert pairs(first, tuple(examples(["e", "f"])))[1] == ("e", "f")
    with pytest.raises(ValueError, match="one completion per example"):
        pairs(first, questions[:1])


def test_lists_may_change_and_are_read_again() -> None:
    answers, questions = completions(["a", "b"]), examples(["c", "d"])
    assert pairs(answers, questions)[0] == ("a", "b")
    answers[:] = completions(["x", "y"])
    assert pairs(answers, questions)[0] == ("x", "y")
