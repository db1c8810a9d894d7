"""The verdict in words, how the incumbent is found, and models that will be shut down."""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import pipeline, registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.analysis.verdict import Aim, Verdict, check_retirement, retirement, with_incumbent
from harness.errors import ConfigError, StoreError
from harness.store.runs import StoredRun
from tests.support.fakes import config
from tests.support.grids import RunSpec, store

RNG = np.random.default_rng(3)
BASE = RNG.beta(4, 4, 80)
GOOD = np.clip(BASE + 0.1 + RNG.normal(0, 0.02, 80), 0, 1)
NOISE = RNG.normal(0, 0.1, 80)
NEARLY = BASE + NOISE - NOISE.mean() + 0.008


def runs(folder: Path, *made: RunSpec) -> list[StoredRun]:
    return store(folder, made)


def f1(name: str, values: np.ndarray, parameters: int | None = None, worst: float = 0.0) -> RunSpec:
    return RunSpec(name, {"token_f1": values}, parameters=parameters, worst=worst)


def board(stored: list[StoredRun], incumbent: str = "", useful: float = 0.0) -> Leaderboard:
    return by_task(stored, registry.stored_metric, aim=Aim(incumbent, useful))[0]


def test_the_better_challenger_replaces_the_incumbent(tmp_path: Path) -> None:
    verdict = board(runs(tmp_path, f1("old", BASE), f1("new", GOOD)), "old").verdict
    assert verdict.decision == "ship"
    assert verdict.text.startswith("Ship new: it is significantly better than the incumbent old (token_f1 +0.")
    assert "adjusted p < 0.001, n = 80" in verdict.text
    assert (verdict.run, verdict.against) == (0, 1)
    assert verdict.comparison is not None
    assert verdict.comparison.difference == pytest.approx(np.mean(GOOD) - np.mean(BASE))


def test_an_incumbent_that_leads_is_kept(tmp_path: Path) -> None:
    verdict = board(runs(tmp_path, f1("old", GOOD), f1("new", BASE)), "old").verdict
    assert verdict.decision == "keep"
    assert verdict.text.startswith("Keep old: no run is significantly better; the closest is new (token_f1 -0.1")
    assert verdict.comparison is not None
    assert verdict.comparison.difference == pytest.approx(np.mean(GOOD) - np.mean(BASE))


def test_a_useful_difference_can_decide_for_the_incumbent(tmp_path: Path) -> None:
    both = runs(tmp_path, f1("old", BASE), f1("new", NEARLY))
    undecided = board(both, "old").verdict
    assert undecided.decision == "not enough data"
    assert "Not enough data to replace old: no run is significantly better; the closest is new" in undecided.text
    assert undecided.n_needed is not None
    assert undecided.n_needed > 80
    decided = board(both, "old", useful=0.1).verdict
    assert decided.decision == "keep"
    assert "better, and none can be better by 0.1 or more (upper bound 0.0" in decided.text
    assert "keep old if such a difference does not matter." in undecided.text


def test_a_tie_names_the_smallest_of_the_runs(tmp_path: Path) -> None:
    large = f1("large", NEARLY + 0.02, parameters=2_000_000_000)
    verdict = board(runs(tmp_path, large, f1("small", BASE + 0.02, parameters=500_000_000))).verdict
    assert verdict.decision == "not enough data"
    assert verdict.text.endswith("The smallest of these is small (500M parameters).")
    assert (verdict.smallest, verdict.cheapest) == (1, None)


def test_a_tie_names_the_cheapest_of_the_runs_where_costs_are_known(tmp_path: Path) -> None:
    both = runs(tmp_path, f1("dear", NEARLY + 0.02), f1("cheap", BASE + 0.02))
    priced = [
        replace(run, result=replace(run.result, usage=replace(run.result.usage, cost_usd=cost)))
        for run, cost in zip(both, (1.5, 0.25), strict=True)
    ]
    assert board(priced).verdict.text.endswith("The cheapest is cheap ($0.25 for 80 completions).")
    assert board([priced[0], both[1]]).verdict.cheapest is None


def test_the_verdict_reports_failures_that_would_change_it(tmp_path: Path) -> None:
    failing = GOOD.copy()
    failing[:30] = np.nan
    verdict = board(runs(tmp_path, f1("failing", failing), f1("whole", BASE))).verdict
    assert verdict.decision == "ship"
    assert verdict.with_failures_wrong == "With failed completions counted as wrong, the verdict would be: ship whole."
    assert verdict.text.endswith(verdict.with_failures_wrong)
    few = GOOD.copy()
    few[0] = np.nan
    assert board(runs(tmp_path / "few", f1("failing", few), f1("whole", BASE))).verdict.with_failures_wrong == ""


def test_the_incumbent_is_found_by_name_id_and_start_of_an_id(tmp_path: Path) -> None:
    both = runs(tmp_path, f1("one", BASE), f1("one-more", GOOD))
    for selector in ("one", "one-0123abcd", "one-0"):
        assert board(both, selector).incumbent == 1
    with pytest.raises(ConfigError, match="Did you mean 'one'"):
        board(both, "on3")
    with pytest.raises(ConfigError, match="'o' matches 2: one-more-0123abcd, one-0123abcd"):
        board(both, "o")


def test_an_incumbent_that_is_not_listed_comes_from_the_store(tmp_path: Path) -> None:
    old, new = runs(tmp_path, f1("old", BASE), f1("new", GOOD))
    assert [run.result.name for run in with_incumbent([new], tmp_path / "runs", "old")] == ["new", "old"]
    assert with_incumbent([new, old], tmp_path / "runs", "old") == [new, old]
    assert with_incumbent([new], tmp_path / "runs", "") == [new]
    with pytest.raises(StoreError, match="Unknown run 'odl'"):
        with_incumbent([new], tmp_path / "runs", "odl")


TODAY = datetime.date(2026, 11, 23)


@pytest.mark.parametrize(
    ("date", "days", "soon", "text"),
    [
        ("2027-01-14", 52, True, "its service shuts the model down on 2027-01-14, in 52 days"),
        ("2027-02-21", 90, True, "its service shuts the model down on 2027-02-21, in 90 days"),
        ("2027-02-22T00:00:00Z", 91, False, "its service shuts the model down on 2027-02-22, in 91 days"),
        ("2026-10-23", -31, True, "its service shut the model down on 2026-10-23"),
    ],
)
def test_retirement(tmp_path: Path, date: str, days: int, soon: bool, text: str) -> None:
    result = dataclasses.replace(pipeline.run(config(tmp_path), "test").result, shutdown_date=date)
    shutdown = retirement(result, TODAY)
    assert shutdown is not None
    assert (shutdown.days, shutdown.soon, shutdown.text) == (days, soon, text)


@pytest.mark.parametrize("date", [None, "", "next year"])
def test_an_unknown_date_is_none(tmp_path: Path, date: str | None) -> None:
    result = dataclasses.replace(pipeline.run(config(tmp_path), "test").result, shutdown_date=date)
    assert retirement(result, TODAY) is None


@pytest.mark.parametrize(
    ("decision", "date", "expected", "words"),
    [
        ("ship", "2027-01-14", "not enough data", "Do not ship echo: its service shuts the model down on 2027-01-14"),
        ("ship", "2028-01-14", "ship", "S."),
        ("ship", None, "ship", "S."),
        ("keep", "2027-01-14", "keep", "S. But plan a replacement: its service shuts the model down on 2027-01-14"),
        ("not enough data", "2027-01-14", "not enough data", "S."),
    ],
)
def test_a_model_that_will_soon_be_shut_down_is_not_shipped(
    tmp_path: Path, decision: str, date: str | None, expected: str, words: str
) -> None:
    result = dataclasses.replace(pipeline.run(config(tmp_path), "test").result, shutdown_date=date)
    verdict = check_retirement(Verdict(decision, "S.", run=0), [result], TODAY)
    assert verdict.decision == expected
    assert verdict.text.startswith(words)
