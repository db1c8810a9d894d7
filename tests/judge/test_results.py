"""Statistics of verdicts that the command's tests do not reach: clustered examples, and no verdict at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from scipy import stats

from harness import pipeline
from harness.analysis.comparisons import Aligned
from harness.config import StatsConfig, compose
from harness.judge import pairwise
from harness.judge.pairwise import Choice, JudgedExample, JudgeOutcome
from harness.judge.record import Judgement
from harness.judge.results import Verdicts
from harness.store.runs import StoredRun
from harness.types import ModelIdentity
from tests.support.fakes import config
from tests.support.sampled import right_or_wrong, sampled


@pytest.fixture
def runs(tmp_path: Path) -> list[StoredRun]:
    one, two = config(tmp_path, "one"), config(tmp_path, "two")
    two.task.instruction = "Tell me of {prompt}"
    return [pipeline.run(settings, "command") for settings in (one, two)]


def judgement(
    runs: Sequence[StoredRun], outcome: JudgeOutcome, choice: Choice | None, cluster: str | None
) -> Judgement:
    """Return the judgement where every example has this outcome."""
    aligned = Aligned(runs, StatsConfig(n_resamples=200, cluster=cluster))
    pairs = pairwise.pairs(aligned)
    places = (choice, Choice.B if choice else None)
    judged = [JudgedExample(pair.example.id, outcome, True, places, ("…", "…")) for pair in pairs]
    return Verdicts(aligned, pairs, judged).judgement(
        [], ModelIdentity("fake", "fake"), compose.judge_config(["model=echo"])
    )


def test_clustered_examples_are_compared_as_clusters(runs: list[StoredRun]) -> None:
    won = judgement(runs, JudgeOutcome.WIN, Choice.A, "topic")
    assert "3 clusters" in won.interval
    flips = won.trust.flip_rate
    bounds = stats.binomtest(0, 3).proportion_ci(0.95, method="wilson")
    assert [flips.value, flips.low, flips.high] == pytest.approx([0.0, bounds.low, bounds.high])


@pytest.mark.parametrize("cluster", [None, "topic"])
def test_no_verdict_at_all_is_no_win_rate(runs: list[StoredRun], cluster: str | None) -> None:
    unread = judgement(runs, JudgeOutcome.NO_VERDICT, None, cluster)
    assert [unread.win_rate.value, unread.win_rate.low, unread.p, unread.trust.flip_rate.value] == [None] * 4
    assert [unread.win_rate.worst, unread.win_rate.best] == [0.0, 1.0]


def test_samples_of_a_prompt_are_one_cluster(tmp_path: Path) -> None:
    right = right_or_wrong(12, 3, 2.0, seed=1)
    judged = judgement(
        [sampled(tmp_path, "a", right), sampled(tmp_path, "b", ~right)], JudgeOutcome.WIN, Choice.A, None
    )
    assert "12 clusters" in judged.interval
    flips = judged.trust.flip_rate
    bounds = stats.binomtest(0, 12).proportion_ci(0.95, method="wilson")
    assert [flips.n, flips.value, flips.high] == pytest.approx([36, 0.0, bounds.high])
