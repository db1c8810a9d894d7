"""Diagnostics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.diagnostics import LengthRatio, Repetition
from tests.support.text_pairs import stats, value


def test_length_ratio_is_of_the_whole_corpus() -> None:
    rows = stats(LengthRatio(), ["one two", "", "a b c d"], ["one", "one two", "a b c"])
    assert float(LengthRatio().aggregate(rows.sum(axis=0))) == 1.0
    np.testing.assert_array_equal(LengthRatio().per_example(rows), [2, 0, 4 / 3])


@pytest.mark.parametrize(
    ("text", "n", "share"),
    [("a b c d e", 4, 0.0), ("a b a b a b", 2, 1 - 2 / 5), ("a a a a a", 4, 0.5), ("a a", 1, 0.5)],
)
def test_repetition(text: str, n: int, share: float) -> None:
    assert value(Repetition(n), text, "") == pytest.approx(share)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=12), min_size=1, max_size=6), st.integers(1, 4))
def test_repetition_is_counted_gram_by_gram(texts: list[list[str]], n: int) -> None:
    grams = [list(zip(*(words[i:] for i in range(n)), strict=False)) for words in texts]
    shares = [1 - len(set(row)) / len(row) if row else np.nan for row in grams]
    rows = Repetition(n).per_example(stats(Repetition(n), list(map(" ".join, texts)), [""] * len(texts)))
    np.testing.assert_allclose(rows, shares)


def test_completions_too_short_to_repeat_do_not_count() -> None:
    rows = stats(Repetition(), ["a b c", "", "a a a a a"], ["", "", ""])
    assert float(Repetition().aggregate(rows.sum(axis=0))) == 0.5
    assert np.isnan(Repetition().per_example(rows)).tolist() == [True, True, False]
    assert np.isnan(Repetition().aggregate(rows[0]))
