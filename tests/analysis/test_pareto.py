"""Pareto fronts: behind the front, a run is dominated if a better one is significantly so, and tied otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.analysis.pareto import COSTS, ParetoStanding, fronts, on_front, seconds_per_completion
from harness.store.runs import StoredRun
from tests.support.grids import RunSpec, store

NOISE = np.random.default_rng(0).normal(0, 0.1, 60)


def priced(run: StoredRun, cost: float | None, seconds: float) -> StoredRun:
    usage = replace(run.result.usage, cost_usd=cost, seconds=seconds)
    return replace(run, result=replace(run.result, usage=usage))


def board(folder: Path, runs: Mapping[str, tuple[float, int | None, float | None]]) -> Leaderboard:
    """Make a leaderboard of runs by their mean score, their parameters and their price."""
    made = [
        RunSpec(name, {"rougeL": 0.5 + mean + np.roll(NOISE, i)}, parameters=parameters)
        for i, (name, (mean, parameters, _)) in enumerate(runs.items())
    ]
    stored = [priced(run, cost, 6.0) for run, (_, _, cost) in zip(store(folder, made), runs.values(), strict=True)]
    return by_task(stored, registry.stored_metric)[0]


def standings(board: Leaderboard, cost: str) -> dict[str, tuple[ParetoStanding, str]]:
    [front] = [front for front in fronts(board) if front.cost.name == cost]
    names = [entry.run.result.name for entry in board.entries]
    return {
        p.entry.run.result.name: (p.standing, "" if p.dominated_by is None else names[p.dominated_by])
        for p in front.points
    }


def test_a_dominated_run_is_significantly_worse_and_a_tied_one_is_not(tmp_path: Path) -> None:
    runs = {
        "large": (0.3, 1000, None),
        "middling": (0.1, 500, None),
        "close": (0.095, 600, None),
        "poor": (-0.3, 700, None),
        "small": (0.0, 100, None),
    }
    leaderboard = board(tmp_path, runs)
    assert standings(leaderboard, "parameters") == {
        "large": (ParetoStanding.FRONT, ""),
        "middling": (ParetoStanding.FRONT, ""),
        "close": (ParetoStanding.TIED, "middling"),
        "poor": (ParetoStanding.DOMINATED, "middling"),
        "small": (ParetoStanding.FRONT, ""),
    }
    [front] = fronts(leaderboard)
    assert [p.entry.run.result.name for p in on_front(front)] == ["small", "middling", "large"]


def test_a_run_without_a_known_cost_is_not_on_the_front(tmp_path: Path) -> None:
    leaderboard = board(tmp_path, {"a": (0.3, None, 0.02), "b": (0.1, None, 0.01), "free or not": (0.2, None, None)})
    assert set(standings(leaderboard, "cost")) == {"a", "b"}
    [front] = fronts(leaderboard)
    assert [p.cost for p in front.points] == pytest.approx([1000 * 0.02 / 60, 1000 * 0.01 / 60])


def test_a_cost_that_all_share_has_no_front(tmp_path: Path) -> None:
    assert fronts(board(tmp_path, {"a": (0.3, 100, None), "b": (0.1, 100, None)})) == []


def test_lower_may_be_better(tmp_path: Path) -> None:
    made = [RunSpec("bad", {"ter": 80 + NOISE}, parameters=2), RunSpec("good", {"ter": 40 + NOISE}, parameters=1)]
    leaderboard = by_task(store(tmp_path, made), registry.stored_metric)[0]
    assert standings(leaderboard, "parameters") == {
        "good": (ParetoStanding.FRONT, ""),
        "bad": (ParetoStanding.DOMINATED, "good"),
    }


def test_a_run_that_was_not_timed_has_no_latency(tmp_path: Path) -> None:
    [run] = store(tmp_path, [RunSpec("a", {"rougeL": NOISE})])
    assert seconds_per_completion(run.result) == pytest.approx(1 / 60)
    assert seconds_per_completion(priced(run, None, 0.0).result) is None
    assert len({cost.name for cost in COSTS}) == len(COSTS)
