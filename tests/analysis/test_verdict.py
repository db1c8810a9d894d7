"""What the verdict says in words, and how the run in use is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.analysis.verdict import Aim, with_incumbent
from harness.errors import ConfigError, StoreError
from harness.store.runs import StoredRun
from tests.support.grids import Made, store

RNG = np.random.default_rng(3)
BASE = RNG.beta(4, 4, 80)
GOOD = np.clip(BASE + 0.1 + RNG.normal(0, 0.02, 80), 0, 1)
NOISE = RNG.normal(0, 0.1, 80)
NEARLY = BASE + NOISE - NOISE.mean() + 0.008


def runs(folder: Path, *made: Made) -> list[StoredRun]:
    return store(folder, made)


def f1(name: str, values: np.ndarray, parameters: int | None = None, worst: float = 0.0) -> Made:
    return Made(name, {"token_f1": values}, parameters=parameters, worst=worst)


def board(found: list[StoredRun], incumbent: str = "", useful: float = 0.0) -> Leaderboard:
    return by_task(found, registry.stored_metric, aim=Aim(incumbent, useful))[0]


def test_the_better_challenger_replaces_the_incumbent(tmp_path: Path) -> None:
    found = board(runs(tmp_path, f1("old", BASE), f1("new", GOOD)), "old")
    assert found.verdict.decision == "ship"
    assert found.verdict.text.startswith("Ship new: it is better than the incumbent old (token_f1 +0.1")
    assert "adjusted p < 0.001, n = 80" in found.verdict.text
    assert (found.verdict.run, found.verdict.against, found.incumbent) == (0, 1, 1)
    assert found.verdict.comparison is not None
    assert found.verdict.comparison.difference == pytest.approx(np.mean(GOOD) - np.mean(BASE))


def test_an_incumbent_that_leads_is_kept(tmp_path: Path) -> None:
    found = board(runs(tmp_path, f1("old", GOOD), f1("new", BASE)), "old")
    assert found.verdict.decision == "keep"
    assert found.verdict.text.startswith("Keep old: no run is shown to be better; the nearest is new (token_f1 -0.1")
    assert found.verdict.comparison is not None
    assert found.verdict.comparison.difference == pytest.approx(np.mean(GOOD) - np.mean(BASE))


def test_a_useful_difference_decides_what_chance_leaves_open(tmp_path: Path) -> None:
    both = runs(tmp_path, f1("old", BASE), f1("new", NEARLY))
    open_ = board(both, "old").verdict
    assert open_.decision == "not enough data"
    assert "Not enough data to replace old: no run is shown to be better; the nearest is new" in open_.text
    assert open_.n_needed is not None
    assert open_.n_needed > 80
    kept = board(both, "old", useful=0.1).verdict
    assert kept.decision == "keep"
    assert ", where 0.1 would matter; the nearest is new (token_f1 +0.008" in kept.text
    assert "keep it if that much does not matter." in open_.text


def test_a_tie_names_the_smallest_of_the_runs(tmp_path: Path) -> None:
    large = f1("large", NEARLY + 0.02, parameters=2_000_000_000)
    found = board(runs(tmp_path, large, f1("small", BASE + 0.02, parameters=500_000_000)))
    assert found.verdict.decision == "not enough data"
    assert found.verdict.text.endswith("The smallest of these is small (500M parameters).")
    assert (found.verdict.smallest, found.verdict.cheapest) == (1, None)


def test_a_tie_names_the_cheapest_of_the_runs_where_costs_are_known(tmp_path: Path) -> None:
    both = runs(tmp_path, f1("dear", NEARLY + 0.02), f1("cheap", BASE + 0.02))
    priced = [
        replace(run, result=replace(run.result, usage=replace(run.result.usage, cost_usd=cost)))
        for run, cost in zip(both, (1.5, 0.25), strict=True)
    ]
    assert board(priced).verdict.text.endswith("The cheapest is cheap ($0.25 for 80).")
    assert board([priced[0], both[1]]).verdict.cheapest is None


def test_failures_that_decide_the_verdict_are_said(tmp_path: Path) -> None:
    failing = GOOD.copy()
    failing[:30] = np.nan
    found = board(runs(tmp_path, f1("failing", failing), f1("whole", BASE)))
    assert found.verdict.decision == "ship"
    assert found.verdict.with_failures_wrong == "With failed completions counted as wrong it would be: ship whole."
    assert found.verdict.text.endswith(found.verdict.with_failures_wrong)
    few = GOOD.copy()
    few[0] = np.nan
    assert board(runs(tmp_path / "few", f1("failing", few), f1("whole", BASE))).verdict.with_failures_wrong == ""


def test_the_incumbent_is_found_by_name_id_and_start_of_an_id(tmp_path: Path) -> None:
    both = runs(tmp_path, f1("one", BASE), f1("one-more", GOOD))
    for selector in ("one", "one-0123abcd", "one-0"):
        assert board(both, selector).incumbent == 1
    with pytest.raises(ConfigError, match="Did you mean 'one'"):
        board(both, "on3")
    with pytest.raises(ConfigError, match="'o' is 2 of them: one-more-0123abcd, one-0123abcd"):
        board(both, "o")


def test_an_incumbent_that_is_not_listed_comes_from_the_store(tmp_path: Path) -> None:
    old, new = runs(tmp_path, f1("old", BASE), f1("new", GOOD))
    assert [run.result.name for run in with_incumbent([new], tmp_path / "runs", "old")] == ["new", "old"]
    assert with_incumbent([new, old], tmp_path / "runs", "old") == [new, old]
    assert with_incumbent([new], tmp_path / "runs", "") == [new]
    with pytest.raises(StoreError, match="Unknown run 'odl'"):
        with_incumbent([new], tmp_path / "runs", "odl")
