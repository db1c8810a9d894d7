"""A gate whose prompts were sampled several times decides on prompts, not on samples."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api

from harness.errors import ConfigError, StoreError
from harness.gate.baseline import Baseline, accept, load
from harness.gate.budget import GateBudget
from harness.gate.candidate import GateRequest, gate_run
from harness.gate.diff import changes
from harness.gate.report import one_line
from harness.gate.sequential import gate_in_chunks
from harness.stats.proportions import Tango
from tests.support.sampled import right_or_wrong, sampled, settings

N, SAMPLES = 40, 5
REQUEST = GateRequest(("exact_match",), 0.1)


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    return load(accept(sampled(tmp_path, "accepted", right_or_wrong(N, SAMPLES, 3.0, seed=1)), tmp_path / "benchmarks"))


def test_the_standard_error_is_that_of_prompts(tmp_path: Path, baseline: Baseline) -> None:
    right = right_or_wrong(N, SAMPLES, 3.0, seed=1)
    right[::4] = ~right[::4]  # all samples of every fourth prompt
    run = sampled(tmp_path, "other", right)
    gated = gate_run(run, baseline, REQUEST)
    comparison = gated.checks[0].comparison
    values = right.astype(float) - right_or_wrong(N, SAMPLES, 3.0, seed=1)
    groups = np.repeat(np.arange(N), SAMPLES)
    fitted = statsmodels.api.OLS(values.ravel(), np.ones(N * SAMPLES)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}
    )
    assert comparison.difference == pytest.approx(float(values.mean()))
    assert comparison.standard_error == pytest.approx(float(fitted.bse[0]))
    assert (comparison.sample.n, comparison.sample.units) == (N * SAMPLES, N)
    assert "n 200 in 40 clusters" in one_line(gated)
    assert changes(baseline, run).scores[0].low == pytest.approx(comparison.low)


def test_samples_that_are_alike_decide_no_more_than_their_prompts(tmp_path: Path, baseline: Baseline) -> None:
    """Of 40 prompts, one alone became worse, in all its samples: 5 of 200 by samples, and 1 of 40 by prompts."""
    right = right_or_wrong(N, SAMPLES, 3.0, seed=1)
    worse = right.copy()
    worse[right.all(axis=1).argmax()] = False
    gated = gate_run(sampled(tmp_path, "worse", worse), baseline, REQUEST)
    as_if_independent = Tango(0, SAMPLES, N * SAMPLES).interval(0.95)[0]
    low = gated.checks[0].comparison.low
    assert low is not None
    assert low < as_if_independent - 0.02
    assert re.search(r"n 200 in 40 clusters; about \d\d\d? clusters would decide it", one_line(gated))


def test_failures_are_compared_by_prompts(tmp_path: Path, baseline: Baseline) -> None:
    check = gate_run(sampled(tmp_path, "again", right_or_wrong(N, SAMPLES, 3.0, seed=1)), baseline, REQUEST).checks[-1]
    assert (check.check.metric, check.comparison.sample.units) == (None, N)


@pytest.mark.parametrize("n_samples", [1, 3])
def test_other_numbers_of_samples_are_other_examples(tmp_path: Path, baseline: Baseline, n_samples: int) -> None:
    run = sampled(tmp_path, "fewer", right_or_wrong(N, n_samples, 3.0, seed=1))
    with pytest.raises(StoreError, match=r"missing, such as .*#.* n_validation and generation\.n, or accept"):
        gate_run(run, baseline, REQUEST)


def test_a_sequential_gate_needs_independent_examples(tmp_path: Path, baseline: Baseline) -> None:
    config = settings(tmp_path, "later", right_or_wrong(N, SAMPLES, 3.0, seed=1))
    config = replace(config, metrics=replace(config.metrics, names=["exact_match"]))
    config.task.primary_metric = "exact_match"
    with pytest.raises(ConfigError, match=r"generation\.n=5: a sequential gate needs independent examples"):
        gate_in_chunks(config, baseline, GateBudget(), lambda metrics: REQUEST.rules(baseline, metrics))


def test_the_readme_of_a_baseline_says_how_large_it_is(baseline: Baseline) -> None:
    readme = (baseline.folder / "README.md").read_text("utf-8")
    assert "40 prompts x 5 samples of `" in readme
    assert "sample seed 0" in readme
