"""Words of any script, against tables worked out by hand."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.metrics.diagnostics import LengthRatio, Repetition
from harness.metrics.scripts import composed, split_unspaced, unicode_words
from tests.support.text_pairs import stats, value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's a re-do_it, 4.5!", "it s a re do it 4 5"),
        ("Café cafe\u0301", "café café"),
        ("Привет, мир", "привет мир"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("안녕하세요 세계", "안녕하세요 세계"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("می\u200cروم", "می\u200cروم"),
        ("今天，GPT-4 很好。", "今 天 gpt 4 很 好"),
        ("ラーメン", "ラ ー メ ン"),
        ("สวัสดี", "ส วั ส ดี"),
        ("ສະບາຍດີ", "ສ ະ ບ າ ຍ ດີ"),
        ("ការពារ", "កា រ ពា រ"),
        ("မင်္ဂလာပါ", "မ င်္ ဂ လာ ပါ"),
        ("ok 👍👎🏽 👩‍👩‍👧", "ok 👍 👎🏽 👩‍👩‍👧"),
        ("x² ½ ٤٢", "x² ½ ٤٢"),
        ("...?! —", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert unicode_words(text) == words.split(" ") * (words != "")


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_are_rouge_scores(text: str) -> None:
    assert unicode_words(text) == re.findall("[a-z0-9]+", text.lower())


@given(st.text())
@example("a\u0300 \u0e01\u0e34x")
def test_nothing_is_lost_between_spaces(text: str) -> None:
    for word in text.split():
        assert "".join(split_unspaced(word)) == composed(word)


def test_diagnostics_count_characters_where_no_spaces_are() -> None:
    assert value(LengthRatio(), "今天天气很好", "今天") == 3
    assert value(LengthRatio(), "three words here", "two words") == 1.5
    rows = stats(Repetition(2), ["今天今天今天", "天气很好"], ["", ""])
    assert rows[:, 0].tolist() == [pytest.approx(0.6), 0]
