"""The evidence counts right, and a small run of it keeps the promises as far as so few samples can tell."""

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
from benchmarks.evidence.rates import Case, Happened, Job, Rate, plan, simulate
from harness import pipeline
from harness.errors import StoreError
from tests.support.fakes import config

TINY = command.Effort(samples=12, comparisons=12, sizes=(64,), looks=64)


def coin(population: Population, n: int, rng: np.random.Generator) -> Happened:
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


def test_batches_cover_all_samples_and_repeat_themselves() -> None:
    jobs = plan(coin, [10, 20], 120)
    assert [(job.n, job.runs) for job in jobs] == [(n, runs) for n in (10, 20) for runs in (50, 50, 20)]
    assert len({job.seed for job in jobs}) == len(jobs)
    found = simulate(jobs)
    assert found == simulate(jobs)
    assert [rate.trials for rate in found.values()] == [120, 120]
    assert scipy.stats.binomtest(sum(rate.hits for rate in found.values()), 240).pvalue > 1e-4


def test_processes_give_what_one_process_gives() -> None:
    jobs = [Job(power.loss, 64, 3, (1,)), Job(power.loss, 64, 3, (2,))]
    assert simulate(jobs, workers=2) == simulate(jobs)


def test_a_rate_has_wilsons_bounds() -> None:
    assert Rate(7, 200).bounds == pytest.approx(proportion_confint(7, 200, method="wilson"))
    assert str(Rate(1, 20)) == "5.0% (0.9% to 23.6%)"


def test_the_coverage_of_a_share_is_that_of_drawing_it() -> None:
    rng, n = np.random.default_rng(0), 20
    truths = rng.uniform(0.0, 0.2, 40_000)
    low, high = proportion_confint(rng.binomial(n, truths), n, method="wilson")
    assert coverage.share(n, 0.0, 0.2) == pytest.approx(np.mean((low <= truths) & (truths <= high)), abs=0.004)


def test_where_few_examples_differ_it_is_said_whether_there_is_an_interval() -> None:
    stats = load().stats["rougeL"].copy()
    stats[2:, :, 0] = 0.0
    rare = Population({"rougeL": stats}, load().topics)
    found = dict(coverage.scores(rare, 16, np.random.default_rng(0)))
    assert found.keys() == {Case(coverage.RARE_GIVEN, "rougeL, score", 16)}
    assert not any(found.values())


def test_the_loss_is_the_one_asked_for_and_the_plan_is_that_of_a_t_test() -> None:
    population, chance = load(), power.replaced(load())
    means = population.per_example("rougeL").mean(axis=0)
    assert 0 < chance < 1
    mixed = (1 - chance) * means[SAMPLED_AGAIN] + chance * means[WORSE]
    assert means[SAMPLED] - mixed == pytest.approx(power.LOSS)
    needed = power.planned(population)
    rng = np.random.default_rng(0)
    deviation = np.mean([power.lossy(population, 500, rng).sd_of_difference or 0.0 for _ in range(10)])
    expected = TTestPower().solve_power(power.LOSS / deviation, power=0.9, alpha=0.05)
    assert needed == pytest.approx(expected, rel=0.1)


def test_a_population_is_that_of_its_runs(tmp_path: Path) -> None:
    runs = [pipeline.run(config(tmp_path, name), "command") for name in ("a", "b", "c")]
    made = of_runs(runs)
    save(made, tmp_path / "population.npz")
    kept = load(tmp_path / "population.npz")
    assert len(kept) == 12
    for name in ("exact_match", "rougeL", "bleu"):
        result = runs[1].result.metric(name)
        assert result is not None
        assert kept.score(name, 1) == pytest.approx(result.score.value)
    assert set(kept.topics) == {"maths", "people", "places"}
    with pytest.raises(StoreError, match="runs on the same examples"):
        of_runs([runs[0], pipeline.run(config(tmp_path, "fewer", n=9), "command")])
    failing = pipeline.run(config(tmp_path, "failing", error_rate=0.5), "command")
    with pytest.raises(StoreError, match="got failures"):
        of_runs([runs[0], failing])


def test_the_committed_population_is_what_the_studies_need() -> None:
    population = load()
    assert all(stats.shape[:2] == (len(population), 3) for stats in population.stats.values())
    assert all(np.isfinite(stats).all() for stats in population.stats.values())
    assert population.score("rougeL", SAMPLED) > population.score("rougeL", WORSE)
