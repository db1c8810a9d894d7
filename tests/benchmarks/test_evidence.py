"""The simulations count correctly, and the figures of a small run are plausible."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from benchmarks.evidence import __main__ as command
from benchmarks.evidence import coverage, power
from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, WORSE, Population, load, of_runs, save
from benchmarks.evidence.rates import Case, Events, Rate, SimulationJob, plan, simulate
from harness import pipeline
from harness.errors import StoreError
from tests.support.fakes import config

TINY = command.Effort(samples=12, comparisons=12, sizes=(64,), looks=64)


def coin(population: Population, n: int, rng: np.random.Generator) -> Events:
    yield Case("heads", "coin", n), bool(rng.random() < 0.5)


def test_the_command_writes_a_page_and_ends_with_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "QUICK", TINY)
    command.main(["--quick", "--workers", "1", "--out", str(tmp_path)])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = {
        "false_alarm": (0.0, 0.3),
        "power": (0.6, 1.0),
        "coverage_min": (0.5, 0.97),
        "coverage_max": (0.95, 1.0),
        "sequential_false_alarm": (0.0, 0.3),
    }
    assert figures.keys() == expected.keys()
    for name, (low, high) in expected.items():
        assert low <= figures[name] <= high, name
    page = (tmp_path / "evidence.md").read_text(encoding="utf-8")
    assert "| rougeL |" in page
    assert all((tmp_path / "evidence" / f"{name}.svg").exists() for name in ("coverage", "power", "peeking"))


def test_batches_cover_all_samples_and_are_reproducible() -> None:
    jobs = plan(coin, [10, 20], 120)
    assert [(job.n, job.runs) for job in jobs] == [(n, runs) for n in (10, 20) for runs in (50, 50, 20)]
    assert len({job.seed for job in jobs}) == len(jobs)
    rates = simulate(jobs)
    assert rates == simulate(jobs)
    assert [rate.trials for rate in rates.values()] == [120, 120]
    assert scipy.stats.binomtest(sum(rate.hits for rate in rates.values()), 240).pvalue > 1e-4


def test_rates_do_not_depend_on_the_number_of_processes() -> None:
    jobs = [SimulationJob(power.loss, 64, 3, (1,)), SimulationJob(power.loss, 64, 3, (2,))]
    assert simulate(jobs, workers=2) == simulate(jobs)


def test_a_rate_has_wilsons_bounds() -> None:
    assert Rate(7, 200).bounds == pytest.approx(proportion_confint(7, 200, method="wilson"))
    assert str(Rate(1, 20)) == "5.0% (0.9% to 23.6%)"


def test_the_coverage_of_a_share_is_that_of_drawing_it() -> None:
    rng, n = np.random.default_rng(0), 20
    truths = rng.uniform(0.0, 0.2, 40_000)
    low, high = proportion_confint(rng.binomial(n, truths), n, method="wilson")
    assert coverage.share(n, 0.0, 0.2) == pytest.approx(np.mean((low <= truths) & (truths <= high)), abs=0.004)


def test_rare_cases_report_whether_there_is_an_interval() -> None:
    stats = load().stats["rougeL"].copy()
    stats[2:, :, 0] = 0.0
    rare = Population({"rougeL": stats}, load().topics)
    events = dict(coverage.scores(rare, 16, np.random.default_rng(0)))
    assert events.keys() == {Case(coverage.RARE_EXISTS, "rougeL, score", 16)}
    assert not any(events.values())


def test_the_loss_is_the_intended_one_and_the_plan_is_that_of_a_t_test() -> None:
    population, share = load(), power.replaced(load())
    means = population.per_example("rougeL").mean(axis=0)
    assert 0 < share < 1
    mixed = (1 - share) * means[SAMPLED_AGAIN] + share * means[WORSE]
    assert means[SAMPLED] - mixed == pytest.approx(power.LOSS)
    needed = power.planned(population)
    rng = np.random.default_rng(0)
    sd = np.mean([power.lossy(population, 500, rng).sd_of_difference or 0.0 for _ in range(10)])
    expected = TTestPower().solve_power(power.LOSS / sd, power=0.9, alpha=0.05)
    assert needed == pytest.approx(expected, rel=0.1)


def test_a_population_is_that_of_its_runs(tmp_path: Path) -> None:
    runs = [pipeline.run(config(tmp_path, name), "command") for name in ("a", "b", "c")]
    save(of_runs(runs), tmp_path / "population.npz")
    loaded = load(tmp_path / "population.npz")
    assert len(loaded) == 12
    for name in ("exact_match", "rougeL", "bleu"):
        result = runs[1].result.metric(name)
        assert result is not None
        assert loaded.score(name, 1) == pytest.approx(result.score.value)
    assert set(loaded.topics) == {"maths", "people", "places"}
    with pytest.raises(StoreError, match="runs on the same examples"):
        of_runs([runs[0], pipeline.run(config(tmp_path, "fewer", n=9), "command")])
    failing = pipeline.run(config(tmp_path, "failing", error_rate=0.5), "command")
    with pytest.raises(StoreError, match="got failures"):
        of_runs([runs[0], failing])


def test_the_committed_population() -> None:
    population = load()
    assert all(stats.shape[:2] == (len(population), 3) for stats in population.stats.values())
    assert all(np.isfinite(stats).all() for stats in population.stats.values())
    assert population.score("rougeL", SAMPLED) > population.score("rougeL", WORSE)
