"""TER's edits, numbers and signature are sacrebleu's, whatever the greedy search meets."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.lib_ter import BeamEditDistance, trace_to_alignment, translation_edit_rate
from sacrebleu.metrics.ter import TER

from harness.metrics import ter_search_batched as together
from harness.metrics.ngrams import clipped_matches
from harness.metrics.ter import Ter
from harness.metrics.ter_edits import edits
from harness.metrics.ter_search import align, edits_alone, safe_errors
from harness.metrics.ter_search_batched import WIDTH
from harness.metrics.token_ids import Encoded
from tests.support.text_pairs import ADVERSARIAL, drawn, replicated, stats, wiki_pairs

OPTIONS: list[dict[str, Any]] = [{}, {"normalized": True}, {"no_punct": True}, {"case_sensitive": True}]
words = st.lists(st.sampled_from("abcdef"), max_size=14)
many_words = st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=WIDTH)
few_kinds = st.lists(st.sampled_from("ab"), min_size=1, max_size=WIDTH)


def corpus(ours: list[str], theirs: list[str], **options: Any) -> float:
    return float(TER(**options).corpus_score(ours, [theirs]).score)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("source", ["wiki", "adversarial"])
def test_corpus_and_sentences(source: str, options: dict[str, Any]) -> None:
    pairs = zip(*wiki_pairs(100), strict=True) if source == "wiki" else ADVERSARIAL
    ours, theirs = map(list, zip(*pairs, strict=True))
    metric = Ter(**options)
    found = stats(metric, ours, theirs)
    assert float(metric.aggregate(found.sum(axis=0))) == pytest.approx(corpus(ours, theirs, **options), abs=1e-9)
    wanted = [TER(**options).sentence_score(a, [b]).score for a, b in zip(ours, theirs, strict=True)]
    np.testing.assert_allclose(metric.per_example(found), wanted, rtol=0, atol=1e-9)


@given(words, words)
def test_any_order_of_few_words(ours: list[str], theirs: list[str]) -> None:
    found = stats(Ter(), [" ".join(ours)], [" ".join(theirs)])
    assert tuple(found[0]) == translation_edit_rate(ours, theirs)


@pytest.mark.parametrize(("n_ours", "n_theirs", "vocabulary"), [(40, 35, 60), (80, 20, 6), (5, 90, 50), (60, 60, 900)])
def test_long_texts(n_ours: int, n_theirs: int, vocabulary: int) -> None:
    rng = random.Random(n_ours)
    ours, theirs = ([str(rng.randrange(vocabulary)) for _ in range(n)] for n in (n_ours, n_theirs))
    found = stats(Ter(), [" ".join(ours)], [" ".join(theirs)])
    assert tuple(found[0]) == translation_edit_rate(ours, theirs)


def test_long_texts_in_another_order() -> None:
    rng = random.Random(0)
    theirs = [str(rng.randrange(200)) for _ in range(60)]
    ours = theirs[40:50] + theirs[:15] + theirs[50:] + theirs[15:40]
    assert safe_errors(60, 60) < np.inf
    found = stats(Ter(), [" ".join(ours)], [" ".join(theirs)])
    assert tuple(found[0]) == translation_edit_rate(ours, theirs)


@given(words, words)
def test_alignment_prefers_what_tercom_prefers(ours: list[str], theirs: list[str]) -> None:
    _, trace = BeamEditDistance(theirs)(ours)
    flipped = trace.translate(str.maketrans("id", "di"))
    to, their_errors, our_errors = trace_to_alignment(flipped)
    found = align("".join(ours), "".join(theirs))
    assert found.to == [to[i] for i in range(len(theirs))]
    assert [found.ours_wrong >> i & 1 for i in range(len(ours))] == our_errors
    assert [found.theirs_wrong >> j & 1 for j in range(len(theirs))] == their_errors


@pytest.mark.parametrize("words", [many_words, few_kinds], ids=["many kinds of words", "few"])
@pytest.mark.parametrize("starts", [50, together.STARTS])
@given(data=st.data())
def test_texts_together_have_the_edits_of_each_alone(
    words: st.SearchStrategy[list[str]], starts: int, data: st.DataObject
) -> None:
    pairs = data.draw(st.lists(st.tuples(words, words), min_size=1, max_size=8))
    ours, theirs = (list(map("".join, texts)) for texts in zip(*pairs, strict=True))
    encoded = Encoded.of_strings(ours), Encoded.of_strings(theirs)
    errors = np.array([Levenshtein.distance(*pair) for pair in zip(ours, theirs, strict=True)])
    floors = np.maximum(*(each.lengths for each in encoded)) - clipped_matches(*encoded, 1)[:, 0]
    safe = np.array([safe_errors(len(a), len(b)) for a, b in zip(ours, theirs, strict=True)])
    alone = list(map(edits_alone, ours, theirs, errors.tolist(), floors.tolist(), safe.tolist()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "STARTS", starts)
        assert together.edits_together(*encoded, errors, floors, safe).tolist() == alone


@given(st.lists(st.tuples(few_kinds, many_words), min_size=1, max_size=4))
def test_texts_together_have_sacrebleus_edits(pairs: list[tuple[list[str], list[str]]]) -> None:
    ours, theirs = (Encoded.of_strings(map("".join, texts)) for texts in zip(*pairs, strict=True))
    floors = np.maximum(ours.lengths, theirs.lengths) - clipped_matches(ours, theirs, 1)[:, 0]
    assert edits(ours, theirs, floors).tolist() == [translation_edit_rate(*pair)[0] for pair in pairs]


def test_a_resample_is_the_corpus_that_was_drawn() -> None:
    ours, theirs = wiki_pairs(60)
    rows = replicated(60)
    wanted = corpus([ours[i] for i in rows], [theirs[i] for i in rows])
    assert float(Ter().aggregate(drawn(rows, stats(Ter(), ours, theirs)))) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_signature(options: dict[str, Any]) -> None:
    metric = TER(**options)
    metric.corpus_score(["a"], [["a"]])
    assert Ter(**options).signature == f"TER|{metric.get_signature()}"
