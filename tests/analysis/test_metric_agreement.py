"""Rank correlations are scipy's, and metrics that say the same are named with the one to keep."""

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
from tests.support.grids import Made, metric, store

RNG = np.random.default_rng(1)
N = 120


def test_the_correlation_is_scipys_with_ties_and_gaps() -> None:
    values = RNG.integers(0, 6, (4, 50)).astype(float)
    values[1, ::7] = np.nan
    values[3] = 2.0
    found = spearman(values)
    for i, j in ((0, 2), (0, 1), (1, 2)):
        both = np.isfinite(values[i]) & np.isfinite(values[j])
        expected = scipy.stats.spearmanr(values[i, both], values[j, both]).statistic
        assert found[i, j] == found[j, i] == pytest.approx(expected)
    assert np.isnan(found[3]).all()
    assert found[0, 0] == pytest.approx(1.0)


def made(runs: int) -> list[Made]:
    found = []
    for k in range(runs):
        base = np.clip(RNG.beta(4, 4, N) + 0.03 * k, 0, 1)
        found.append(
            Made(
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
    return found


NAMES = ("rougeL", "rougeLsum", "ter", "token_f1", "exact_match", "length_ratio")


@pytest.fixture
def aligned(tmp_path: Path) -> Aligned:
    return Aligned(store(tmp_path, made(6)), StatsConfig(n_resamples=200))


def test_redundant_metrics_are_named_whichever_way_they_point(aligned: Aligned) -> None:
    found = agreement(aligned, [metric(name) for name in NAMES], [5, 9, 9, 1, 0, 9], "rougeL")
    assert found is not None
    assert (found.runs, found.examples, found.has_few_runs) == (6, N, False)
    [group] = found.redundant
    assert (group.metrics, group.keep) == (("rougeL", "rougeLsum", "ter"), "rougeL")
    assert found.over_examples[0][2] == pytest.approx(1.0)
    assert found.over_examples[0][4] is None
    nearest = found.nearest("token_f1")
    assert nearest is not None
    assert abs(nearest.over_examples) < 0.2
    assert found.nearest("exact_match") is None


def test_of_others_the_metric_that_separates_most_is_kept(aligned: Aligned) -> None:
    found = agreement(aligned, [metric(name) for name in NAMES], [5, 9, 8, 1, 0, 9], "token_f1")
    assert found is not None
    assert found.redundant[0].keep == "rougeLsum"


def test_correlations_over_examples_are_averaged_within_runs(aligned: Aligned) -> None:
    found = agreement(aligned, [metric("rougeL"), metric("token_f1")], [0, 0], "rougeL")
    pairs = zip(aligned.stats("rougeL"), aligned.stats("token_f1"), strict=True)
    expected = np.mean([scipy.stats.spearmanr(a[:, 0], b[:, 0]).statistic for a, b in pairs])
    assert found is not None
    assert found.over_examples[0][1] == pytest.approx(expected)
    scores = [[each[:, 0].mean() for each in aligned.stats(name)] for name in ("rougeL", "token_f1")]
    assert found.over_runs[0][1] == pytest.approx(scipy.stats.spearmanr(*scores).statistic)


def test_the_report_names_what_is_redundant_and_what_is_blunt(tmp_path: Path) -> None:
    from harness import registry

    curve = (CurvePoint(1, 10, 1e-3, sequence_accuracy=0.01), CurvePoint(2, 20, 1e-3, sequence_accuracy=0.5))
    record = FineTuneRecord("lora", 20, 1.0, 100, 1000, 1, curve)
    runs = [Made(each.name, each.scores, finetune=record) for each in made(3)]
    board = by_task(store(tmp_path, runs), registry.stored_metric)[0]
    text = "\n".join(evidence_section(board))
    assert "**rougeL, rougeLsum and ter** say the same here: keep rougeL." in text
    assert "With 3 runs the second says little." in text
    assert "| sequence&#95;accuracy of fine-tunes | 0.010 to 0.010 | – | floor | – | – |" in text
    assert "exact&#95;match, sequence&#95;accuracy of fine-tunes**" in text


def test_the_picture_has_runs_above_the_diagonal_and_examples_below(tmp_path: Path) -> None:
    from harness import registry
    from harness.reports.plots import agreement as picture

    board = by_task(store(tmp_path, made(3)), registry.stored_metric)[0]
    found = board.agreement
    assert found is not None
    assert picture.wanted(board)
    texts = [text.get_text() for text in picture.make(board).axes[0].texts]
    assert texts[3] == f"{found.over_runs[0][3]:.2f}"
    assert texts[18] == f"{found.over_examples[3][0]:.2f}"
    assert texts[4] == "–"
