"""Rank correlations against scipy, and redundant metrics with the one to keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from harness.analysis.comparisons import Aligned
from harness.analysis.leaderboard import by_task
from harness.analysis.metric_agreement import agreement, spearman
from harness.config import StatsConfig
from harness.reports.markdown.evidence import evidence_section
from harness.types import CurvePoint, FineTuneRecord
from tests.support.grids import RunSpec, metric, store

RNG = np.random.default_rng(1)
N = 120


def test_the_correlation_is_scipys_with_ties_and_gaps() -> None:
    values = RNG.integers(0, 6, (4, 50)).astype(float)
    values[1, ::7] = np.nan
    values[3] = 2.0
    correlations = spearman(values)
    for i, j in ((0, 2), (0, 1), (1, 2)):
        both = np.isfinite(values[i]) & np.isfinite(values[j])
        expected = scipy.stats.spearmanr(values[i, both], values[j, both]).statistic
        assert correlations[i, j] == correlations[j, i] == pytest.approx(expected)
    assert np.isnan(correlations[3]).all()
    assert correlations[0, 0] == pytest.approx(1.0)


def specs(runs: int) -> list[RunSpec]:
    made = []
    for k in range(runs):
        base = np.clip(RNG.beta(4, 4, N) + 0.03 * k, 0, 1)
        made.append(
            RunSpec(
                f"run{k}",
                {
                    "rougeL": base,
                    "rougeLsum": base**2,
                    "ter": 100 * (1 - base),
                    "token_f1": RNG.beta(4, 4, N),
                    "exact_match": np.zeros(N),
                    "length_ratio": base,
                },
            )
        )
    return made


NAMES = ("rougeL", "rougeLsum", "ter", "token_f1", "exact_match", "length_ratio")


@pytest.fixture
def aligned(tmp_path: Path) -> Aligned:
    return Aligned(store(tmp_path, specs(6)), StatsConfig(n_resamples=200))


def test_redundant_metrics_are_named_whichever_way_they_point(aligned: Aligned) -> None:
    result = agreement(aligned, [metric(name) for name in NAMES], [5, 9, 9, 1, 0, 9], "rougeL")
    assert result is not None
    assert (result.runs, result.examples, result.has_few_runs) == (6, N, False)
    [group] = result.redundant
    assert (group.metrics, group.keep) == (("rougeL", "rougeLsum", "ter"), "rougeL")
    assert result.over_examples[0][2] == pytest.approx(1.0)
    assert result.over_examples[0][4] is None
    nearest = result.nearest("token_f1")
    assert nearest is not None
    assert abs(nearest.over_examples) < 0.2
    assert result.nearest("exact_match") is None


def test_among_other_metrics_the_one_that_separates_most_is_kept(aligned: Aligned) -> None:
    result = agreement(aligned, [metric(name) for name in NAMES], [5, 9, 8, 1, 0, 9], "token_f1")
    assert result is not None
    assert result.redundant[0].keep == "rougeLsum"


def test_correlations_over_examples_are_averaged_within_runs(aligned: Aligned) -> None:
    result = agreement(aligned, [metric("rougeL"), metric("token_f1")], [0, 0], "rougeL")
    pairs = zip(aligned.stats("rougeL"), aligned.stats("token_f1"), strict=True)
    expected = np.mean([scipy.stats.spearmanr(a[:, 0], b[:, 0]).statistic for a, b in pairs])
    assert result is not None
    assert result.over_examples[0][1] == pytest.approx(expected)
    scores = [[stats[:, 0].mean() for stats in aligned.stats(name)] for name in ("rougeL", "token_f1")]
    assert result.over_runs[0][1] == pytest.approx(scipy.stats.spearmanr(*scores).statistic)


def test_the_report_names_redundant_and_saturated_metrics(tmp_path: Path) -> None:
    from harness import registry

    curve = (CurvePoint(1, 10, 1e-3, sequence_accuracy=0.01), CurvePoint(2, 20, 1e-3, sequence_accuracy=0.5))
    record = FineTuneRecord("lora", 20, 1.0, 100, 1000, 1, curve)
    runs = [RunSpec(spec.name, spec.scores, finetune=record) for spec in specs(3)]
    board = by_task(store(tmp_path, runs), registry.stored_metric)[0]
    text = "\n".join(evidence_section(board))
    assert "**rougeL, rougeLsum and ter** are redundant here: keep rougeL." in text
    assert "Over 3 runs the latter is unreliable." in text
    assert "| sequence&#95;accuracy of fine-tunes | 0.010 to 0.010 | – | floor | – | – |" in text
    assert "exact&#95;match, sequence&#95;accuracy of fine-tunes**" in text


def test_the_picture_has_runs_above_the_diagonal_and_examples_below(tmp_path: Path) -> None:
    from harness import registry
    from harness.reports.plots import agreement as picture

    board = by_task(store(tmp_path, specs(3)), registry.stored_metric)[0]
    result = board.agreement
    assert result is not None
    assert picture.applies(board)
    texts = [text.get_text() for text in picture.draw(board).axes[0].texts]
    assert texts[3] == f"{result.over_runs[0][3]:.2f}"
    assert texts[18] == f"{result.over_examples[3][0]:.2f}"
    assert texts[4] == "–"
