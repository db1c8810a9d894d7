"""Where first sentences and completions end, case by case."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.tasks.stopping import end_of, first_sentence, has_rule, sentence_end, tidy
from harness.types import SamplingParams, StopAt

ENDED = [
    # text, its first sentence
    ("Moles are small mammals. They dig.", "Moles are small mammals."),
    ("Moles are small mammals. T", "Moles are small mammals."),
    ("  Outer space. Is removed.", "Outer space."),
    ("A line\nwrap is no end. Next.", "A line\nwrap is no end."),
    ("A blank line ends it\n\nwhere x is", "A blank line ends it"),
    ("So does a Windows one\r\n\r\nNext", "So does a Windows one"),
    ("\n\nAfter blank lines. Next", "After blank lines."),
    ("What is it? A mole.", "What is it?"),
    ('It is "the Just". After that', 'It is "the Just".'),
    ('He said "never." Then', 'He said "never."'),
    ('It was made in China. "Pearl River" is', "It was made in China."),
    ("It has a voice (alto). It sings", "It has a voice (alto)."),
    ("In 273.15 K. It melts.", "In 273.15 K."),
    ("It is in Washington, D.C. It is big", "It is in Washington, D.C."),
    ("It is visual art. This too.", "It is visual art."),
    ("He ruled as Matthias I. He is", "He ruled as Matthias I."),
    ("Paper, clay, etc. Usually the", "Paper, clay, etc."),
    ("It lasted to 500 BC. Then", "It lasted to 500 BC."),
    ("The U.S. Army is big. It is", "The U.S. Army is big."),
    ("J. R. R. Tolkien wrote it. He", "J. R. R. Tolkien wrote it."),
    ("St. John of Ave. Road c. 1400 b. 1380. He", "St. John of Ave. Road c. 1400 b. 1380."),
    ("Dr. J. S. Bach Jr. was here. He", "Dr. J. S. Bach Jr. was here."),
    ("Beta vulgaris subsp. vulgaris var. rubra is red. It", "Beta vulgaris subsp. vulgaris var. rubra is red."),
    ('Signed "R. Mutt", it is art. The w', 'Signed "R. Mutt", it is art.'),
    ("African bees (A.\xa0m.\xa0scutellata) sting. They", "African bees (A.\xa0m.\xa0scutellata) sting."),
    ("Such as 0, 1, ..., 9 in base 10. The", "Such as 0, 1, ..., 9 in base 10."),
    ("1. Mercury is a planet. It", "1. Mercury is a planet."),
    ("A bracket (never closed ends too. Next", "A bracket (never closed ends too."),
]

OPEN = [
    # what may still continue
    "",
    "  \n\n ",
    "Moles are small",
    "Moles are small mammals.",
    "Moles are small mammals. ",
    "Moles are small mammals.\n",
    "Apple Inc. is",
    "In the U.S. A",
    "The U.S. Army",
    "Cucurbita pepo var. c",
    "He was born c. 1400",
    "Mr. S",
    "One... t",
    "1. M",
]


@pytest.mark.parametrize(("text", "sentence"), ENDED)
def test_the_first_sentence_ends(text: str, sentence: str) -> None:
    end = sentence_end(text)
    assert end is not None
    assert text[:end].strip() == first_sentence(text) == sentence


@pytest.mark.parametrize("text", OPEN)
def test_the_first_sentence_may_continue(text: str) -> None:
    assert sentence_end(text) is None
    assert first_sentence(text) == text.strip()


PIECES = ["The ", "dog", "U.S.", "art", " I", "J.", ".", "?", "!", " ", "\n", '"', "(", ")", "1", "St.", "subsp.", "-"]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("U.S.. . IThe ")  # two possible ends before one word, of which only the whole word decides the first
def test_an_end_once_seen_stays_where_it_is(text: str) -> None:
    ends = [sentence_end(text[:i]) for i in range(len(text) + 1)]
    known = [end for end in ends if end is not None]
    assert ends == [None] * (len(ends) - len(known)) + known
    assert len(set(known)) <= 1


def test_text_that_follows_a_repeated_reference_is_truncated_to_the_reference() -> None:
    article = "Kyoto is a city in Japan, cf. St. John's and the U.S. It is old. It has temples."
    reference = first_sentence(article)
    grown = next(article[:i] for i in range(len(article)) if sentence_end(article[:i]) is not None)
    assert grown[: sentence_end(grown)] == reference == "Kyoto is a city in Japan, cf. St. John's and the U.S."


COMPLETIONS = [
    # text, stop, stop_at, the completion (None: it may continue)
    ("One two", (), StopAt.none, None),
    ("One. Two.\nThree", (), StopAt.none, None),
    ("One END two", ("END",), StopAt.none, "One"),
    ("One EN", ("END",), StopAt.none, None),
    ("a ## b ** c", ("**", "##"), StopAt.none, "a"),
    ("\n\nOne", ("\n\n",), StopAt.none, None),
    ("\n\nOne\n\nTwo", ("\n\n",), StopAt.none, "One"),
    ("## One", ("##",), StopAt.none, ""),
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


@pytest.mark.parametrize(("text", "stop", "stop_at", "completion"), COMPLETIONS)
def test_end_of(text: str, stop: tuple[str, ...], stop_at: StopAt, completion: str | None) -> None:
    end = end_of(text, SamplingParams(stop=stop, stop_at=stop_at))
    assert (None if end is None else tidy(text, end)) == completion


def test_tidy_keeps_a_whole_text_without_surrounding_whitespace() -> None:
    assert tidy("\n One  two. \n", None) == "One  two."


@pytest.mark.parametrize(
    ("decoding", "expected"),
    [(SamplingParams(), False), (SamplingParams(stop=("x",)), True), (SamplingParams(stop_at=StopAt.line), True)],
)
def test_has_rule(decoding: SamplingParams, expected: bool) -> None:
    assert has_rule(decoding) is expected
