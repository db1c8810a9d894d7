"""What a score does not show is among the warnings: references that no metric reads, and answers without a label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness import registry
from harness.config import StatsConfig
from harness.protocols import Metric
from harness.stages.score import Scored, score
from harness.store.stages import Store
from harness.types import Completion, Example, FinishReason

LABELS = ["positive", "negative", "neutral"]


def scored(metrics: Sequence[Metric], texts: Sequence[str | None], references: Sequence[str], folder: Path) -> Scored:
    examples = [Example(f"e{i}", "", reference) for i, reference in enumerate(references)]
    completions = [
        Completion(e.id, text, FinishReason.STOP)
        if text is not None
        else Completion(e.id, None, FinishReason.ERROR, error="timeout")
        for e, text in zip(examples, texts, strict=True)
    ]
    return score(metrics, examples, completions, StatsConfig(n_resamples=100), Store(folder))


def test_completions_without_a_label_are_counted_once_for_all_metrics(tmp_path: Path) -> None:
    metrics = [registry.metric(name, {}, LABELS) for name in ("accuracy", "macro_f1")]
    texts = ["positive", None, "The answer is negative.", "I would say neutral"]
    [warning] = scored(metrics, texts, ["positive", "neutral", "negative", "neutral"], tmp_path).warnings
    assert warning.startswith(
        "2 of 3 completions hold no label that accuracy, macro_f1 can read, and count as wrong, such as 'e2': "
        "'The answer is negative.'"
    )
    assert "+metrics.options.classification.pattern=" in warning


def test_a_pattern_reads_them(tmp_path: Path) -> None:
    metrics = [registry.metric("accuracy", {"pattern": f"({'|'.join(LABELS)})"}, LABELS)]
    result = scored(metrics, ["Label: NEGATIVE", "It is neutral."], ["negative", "neutral"], tmp_path)
    assert result.warnings == ()
    assert result.metrics[0].score.value == 1


def test_references_that_a_metric_cannot_read_are_counted_beside_its_score(tmp_path: Path) -> None:
    references = ["今天天气很好。", "北京是中国的首都。"]
    metrics = [registry.metric(name, {}) for name in ("rougeL", "rouge1", "chrf")]
    result = scored(metrics, references, references, tmp_path)
    assert [metric.unreadable for metric in result.metrics] == [2, 2, 0]
    [warning] = result.warnings
    assert warning.startswith("2 of 2 references that rougeL, rouge1 cannot read: ")
