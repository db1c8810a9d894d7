"""What holds for every metric alike: the protocol, its shapes, and that nothing heavy is imported to name one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import metrics
from harness.metrics.bleu import Bleu
from harness.metrics.chrf import Chrf
from harness.metrics.classification import Classification
from harness.metrics.diagnostics import LengthRatio, Repetition
from harness.metrics.exact import ExactMatch, NormalizedMatch, PrefixMatch, TokenF1
from harness.metrics.facts import Facts
from harness.metrics.rouge import Rouge
from harness.metrics.ter import Ter
from harness.protocols import Metric
from harness.types import Completion, FinishReason
from tests.support.text_pairs import completions, examples, replicated, stats, wiki_pairs

METRICS: list[Metric] = [
    ExactMatch(),
    NormalizedMatch(),
    PrefixMatch(),
    TokenF1(),
    Rouge("rouge2"),
    Rouge("rougeLsum"),
    Bleu(),
    Chrf(),
    Chrf(word_order=2),
    Ter(),
    LengthRatio(),
    Repetition(),
    Facts(),
    Facts("recall"),
]
HEAVY = {"torch", "transformers", "sentence_transformers", "evaluate", "sacrebleu", "nltk", "rapidfuzz", "scipy"}
each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: type(metric).__name__ + metric.name)


@each_metric
def test_protocol_and_shapes(metric: Metric) -> None:
    assert isinstance(metric, Metric)
    assert metric.signature.count("|") >= 2
    hypotheses, references = wiki_pairs(30)
    rows = stats(metric, hypotheses, references)
    assert rows.dtype == np.float64
    assert rows.shape[0] == 30
    assert metric.per_example(rows).shape == (30,)
    sums = np.stack([rows[replicated(30, seed)].sum(axis=0) for seed in range(6)]).reshape(2, 3, -1)
    scores = metric.aggregate(sums)
    assert scores.shape == (2, 3)
    one_by_one = [[float(metric.aggregate(row)) for row in block] for block in sums]
    np.testing.assert_allclose(scores, one_by_one, rtol=1e-12)


@each_metric
def test_statistics_do_not_depend_on_the_company(metric: Metric) -> None:
    hypotheses, references = wiki_pairs(30)
    whole, part = stats(metric, hypotheses, references), stats(metric, hypotheses[10:13], references[10:13])
    np.testing.assert_array_equal(whole[10:13], part)
    assert stats(metric, [], []).shape == (0, whole.shape[1])


@each_metric
def test_a_right_answer_is_best(metric: Metric) -> None:
    if metric.higher_is_better is None:
        pytest.skip("a diagnostic")
    hypotheses, references = wiki_pairs(30)
    sign = 1 if metric.higher_is_better else -1
    right, wrong, none = (
        sign * float(metric.aggregate(stats(metric, texts, references).sum(axis=0)))
        for texts in (references, hypotheses, [""] * 30)
    )
    assert right > wrong >= none or np.isnan(none)


@each_metric
def test_failed_and_misaligned_completions_are_refused(metric: Metric) -> None:
    with pytest.raises(ValueError, match="has no text"):
        metric.stats([Completion("0", None, FinishReason.ERROR, "timeout")], examples(["a"]))
    with pytest.raises(ValueError, match="one completion per example"):
        metric.stats(completions(["a"]), examples(["a", "b"]))
    with pytest.raises(ValueError, match="'1'"):
        metric.stats(completions(["a", "b"])[::-1], examples(["a", "b"]))


def test_classification_keeps_the_contract() -> None:
    metric = Classification(["yes", "no"], "macro_f1")
    assert isinstance(metric, Metric)
    assert np.isnan(metric.aggregate(np.zeros(6)))
    assert metric.aggregate(np.ones((2, 3, 6))).shape == (2, 3)


def test_nothing_heavy_is_imported_to_name_a_metric() -> None:
    package = Path(metrics.__path__[0])
    imports = "".join(f"import harness.metrics.{path.stem}\n" for path in package.glob("[a-z]*.py"))
    check = f"import sys\nprint(*sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", imports + check], capture_output=True, text=True, check=True)
    assert "harness.metrics.rouge" in imports
    assert done.stdout.split() == []
