"""TER's edits, numbers and signature are sacrebleu's, whatever the greedy search meets."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.lib_ter import BeamEditDistance, trace_to_alignment, translation_edit_rate
from sacrebleu.metrics.ter import TER

from harness.errors import ConfigError
from harness.metrics import ter_edits_batched
from harness.metrics.ngrams import clipped_matches
from harness.metrics.ter import Ter, count_edits
from harness.metrics.ter_edits import align, beam, edits_single, safe_distance
from harness.metrics.ter_edits_batched import BLOCK_STARTS, WIDTH, edits_batched
from harness.metrics.ter_edits_beam import edits_in_beam
from harness.metrics.token_ids import Encoded
from tests.support.text_pairs import ADVERSARIAL, drawn, replicated, stats, wiki_pairs

OPTIONS: list[dict[str, Any]] = [
    {},
    {"normalized": True},
    {"no_punct": True},
    {"case_sensitive": True},
    {"normalized": True, "asian_support": True},
    {"no_punct": True, "asian_support": True, "case_sensitive": True},
]
words = st.lists(st.sampled_from("abcdef"), max_size=14)
many_words = st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=WIDTH)
few_kinds = st.lists(st.sampled_from("ab"), min_size=1, max_size=WIDTH)


def corpus(hypotheses: list[str], references: list[str], **options: Any) -> float:
    return float(TER(**options).corpus_score(hypotheses, [references]).score)


def edits_and_length(hypothesis: list[str], reference: list[str]) -> tuple[float, ...]:
    return tuple(stats(Ter(), [" ".join(hypothesis)], [" ".join(reference)])[0])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("source", ["wiki", "adversarial"])
def test_corpus_and_sentences(source: str, options: dict[str, Any]) -> None:
    pairs = zip(*wiki_pairs(100), strict=True) if source == "wiki" else ADVERSARIAL
    hypotheses, references = map(list, zip(*pairs, strict=True))
    metric = Ter(**options)
    rows = stats(metric, hypotheses, references)
    expected = corpus(hypotheses, references, **options)
    assert float(metric.aggregate(rows.sum(axis=0))) == pytest.approx(expected, abs=1e-9)
    sentences = [TER(**options).sentence_score(a, [b]).score for a, b in zip(hypotheses, references, strict=True)]
    np.testing.assert_allclose(metric.per_example(rows), sentences, rtol=0, atol=1e-9)


@given(words, words)
def test_any_order_of_few_words(hypothesis: list[str], reference: list[str]) -> None:
    assert edits_and_length(hypothesis, reference) == translation_edit_rate(hypothesis, reference)


@pytest.mark.parametrize(
    ("n_hypothesis", "n_reference", "vocabulary"), [(40, 35, 60), (80, 20, 6), (5, 90, 50), (60, 60, 900)]
)
def test_long_texts(n_hypothesis: int, n_reference: int, vocabulary: int) -> None:
    rng = random.Random(n_hypothesis)
    pair = [[str(rng.randrange(vocabulary)) for _ in range(n)] for n in (n_hypothesis, n_reference)]
    assert edits_and_length(*pair) == translation_edit_rate(*pair)


def test_long_texts_in_another_order() -> None:
    rng = random.Random(0)
    reference = [str(rng.randrange(200)) for _ in range(60)]
    hypothesis = reference[40:50] + reference[:15] + reference[50:] + reference[15:40]
    assert safe_distance(60, 60) < np.inf
    assert edits_and_length(hypothesis, reference) == translation_edit_rate(hypothesis, reference)


def shuffled(n: int, vocabulary: int, seed: int) -> tuple[list[str], list[str]]:
    """Return two texts of about n words, of which whole parts stand elsewhere, are missing or are added."""
    rng = random.Random(seed)
    reference = [chr(100 + rng.randrange(vocabulary)) for _ in range(n)]
    hypothesis = list(reference)
    for _ in range(6):
        start, target = rng.randrange(len(hypothesis) + 1), rng.randrange(len(hypothesis) + 1)
        part = hypothesis[start : start + rng.randrange(1, 35)]
        if rng.random() < 0.7:
            del hypothesis[start : start + len(part)]
        hypothesis[target:target] = part if rng.random() < 0.7 else [chr(99)] * len(part)
    return hypothesis or [chr(99)], reference


@given(words.filter(bool), words.filter(bool))
def test_edits_in_the_beam_are_sacrebleus(hypothesis: list[str], reference: list[str]) -> None:
    assert edits_in_beam("".join(hypothesis), "".join(reference)) == translation_edit_rate(hypothesis, reference)[0]


@pytest.mark.parametrize(("n", "vocabulary", "seed"), [(30, 5, 0), (40, 4, 1), (60, 60, 2), (50, 300, 3), (70, 900, 6)])
def test_edits_in_the_beam_of_moved_parts_are_sacrebleus(n: int, vocabulary: int, seed: int) -> None:
    pair = shuffled(n, vocabulary, seed)
    assert edits_in_beam(*map("".join, pair)) == translation_edit_rate(*pair)[0]
    assert edits_in_beam(*map("".join, reversed(pair))) == translation_edit_rate(*reversed(pair))[0]


@pytest.mark.parametrize(("n_hypothesis", "n_reference"), [(1, 90), (90, 1), (2, 200), (130, 3)])
def test_edits_in_the_beam_of_unequal_lengths_are_sacrebleus(n_hypothesis: int, n_reference: int) -> None:
    rng = random.Random(n_reference)
    pair = [[rng.choice("abcd") for _ in range(n)] for n in (n_hypothesis, n_reference)]
    assert edits_in_beam(*map("".join, pair)) == translation_edit_rate(*pair)[0]


@pytest.mark.parametrize("drift", [False, True])
def test_both_searches_of_long_texts_agree(drift: bool) -> None:
    rng = random.Random(0)
    reference = [chr(200 + min(int(rng.paretovariate(1)), 5000)) for _ in range(1500)]
    hypothesis = "".join(
        "" if drift and rng.random() < 0.02 else chr(199) * 2 if drift and rng.random() < 0.02 else word
        for word in (chr(200 + rng.randrange(5000)) if rng.random() < 0.2 else word for word in reference)
    )
    text, distance = "".join(reference), Levenshtein.distance(hypothesis, "".join(reference))
    single = edits_single(hypothesis, text, distance, 0, safe_distance(len(hypothesis), len(text)))
    assert edits_in_beam(hypothesis, text) == single


def test_memory_grows_with_the_words_and_not_with_their_square() -> None:
    rng = random.Random(0)
    peaks = []
    for n in (1100, 4400):
        reference = [f"w{i}" for i in range(n)]
        hypothesis = [f"x{i}" if rng.random() < 0.2 else word for i, word in enumerate(reference)]
        hypothesis[100:120] = hypothesis[110:120] + hypothesis[100:110]
        stats(Ter(), ["a b"], ["b a"])
        tracemalloc.start()
        edits_and_length(hypothesis, reference)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6 * peaks[0]
    assert peaks[1] < 1500 * 4400


@given(st.integers(1, 150), st.integers(0, 400))
def test_the_least_distance_outside_the_beam_is_that_of_all_its_cells(n_hypothesis: int, n_reference: int) -> None:
    slope, width = beam(n_hypothesis, n_reference)
    i, j = np.arange(1, n_hypothesis + 1)[:, None], np.arange(n_reference + 1)
    diagonal = np.floor(i * slope)
    outside = (j < diagonal - width) | ((j >= diagonal + width) & (i < n_hypothesis))
    distances = abs(i - j) + abs((n_hypothesis - i) - (n_reference - j))
    assert safe_distance(n_hypothesis, n_reference) == (distances[outside].min() if outside.any() else np.inf)


def test_asian_support_alone_does_nothing_and_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"normalized=true, or no_punct=true"):
        Ter(asian_support=True)
    normalized = Ter(normalized=True, asian_support=True)
    texts = ["今天天气好。"], ["今天天气不好。"]
    assert float(normalized.aggregate(stats(normalized, *texts)[0])) == pytest.approx(corpus(*texts, **OPTIONS[4]))


@given(words, words)
def test_alignment_prefers_what_tercom_prefers(hypothesis: list[str], reference: list[str]) -> None:
    _, trace = BeamEditDistance(reference)(hypothesis)
    flipped = trace.translate(str.maketrans("id", "di"))
    positions, reference_errors, hypothesis_errors = trace_to_alignment(flipped)
    alignment = align("".join(hypothesis), "".join(reference))
    assert alignment.positions == [positions[i] for i in range(len(reference))]
    assert [alignment.hypothesis_errors >> i & 1 for i in range(len(hypothesis))] == hypothesis_errors
    assert [alignment.reference_errors >> j & 1 for j in range(len(reference))] == reference_errors


@pytest.mark.parametrize("words", [many_words, few_kinds], ids=["many kinds of words", "few"])
@pytest.mark.parametrize("block_starts", [50, BLOCK_STARTS])
@given(data=st.data())
def test_batched_edits_are_those_of_single_pairs(
    words: st.SearchStrategy[list[str]], block_starts: int, data: st.DataObject
) -> None:
    pairs = data.draw(st.lists(st.tuples(words, words), min_size=1, max_size=8))
    hypotheses, references = (list(map("".join, texts)) for texts in zip(*pairs, strict=True))
    encoded = Encoded.of_strings(hypotheses), Encoded.of_strings(references)
    distances = np.array([Levenshtein.distance(*pair) for pair in zip(hypotheses, references, strict=True)])
    bounds = np.maximum(*(texts.lengths for texts in encoded)) - clipped_matches(*encoded, 1)[:, 0]
    safe = np.array([safe_distance(len(a), len(b)) for a, b in zip(hypotheses, references, strict=True)])
    single = list(map(edits_single, hypotheses, references, distances.tolist(), bounds.tolist(), safe.tolist()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ter_edits_batched, "BLOCK_STARTS", block_starts)
        assert edits_batched(*encoded, distances, bounds, safe).tolist() == single


@given(st.lists(st.tuples(few_kinds, many_words), min_size=1, max_size=4))
def test_batched_edits_are_sacrebleus(pairs: list[tuple[list[str], list[str]]]) -> None:
    hypotheses, references = (Encoded.of_strings(map("".join, texts)) for texts in zip(*pairs, strict=True))
    assert count_edits(hypotheses, references).tolist() == [translation_edit_rate(*pair)[0] for pair in pairs]


def test_a_resample_is_the_corpus_that_was_drawn() -> None:
    hypotheses, references = wiki_pairs(60)
    rows = replicated(60)
    expected = corpus([hypotheses[i] for i in rows], [references[i] for i in rows])
    score = float(Ter().aggregate(drawn(rows, stats(Ter(), hypotheses, references))))
    assert score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_signature(options: dict[str, Any]) -> None:
    metric = TER(**options)
    metric.corpus_score(["a"], [["a"]])
    assert Ter(**options).signature == f"TER|{metric.get_signature()}"
