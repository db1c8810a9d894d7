"""Runs that share a finding are listed together, each with its own figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.reports.markdown.finetunes import finetune_section
from harness.types import CurvePoint, FineTuneRecord
from tests.support.grids import RunSpec, store


def record(losses: Sequence[float], cost: float | None = None) -> FineTuneRecord:
    curve = tuple(CurvePoint(i, 10 * i, 1e-3, 3.0 - i, loss, 0.05, 0.5, 0.1) for i, loss in enumerate(losses, 1))
    best = int(np.argmin(losses)) + 1
    return FineTuneRecord("lora", 20, 12.0, 4_880_000, 100, best, curve, cost)


def board(folder: Path, records: dict[str, FineTuneRecord | None]) -> Leaderboard:
    made = [RunSpec(name, {"rougeL": np.linspace(0, 1, 20)}, finetune=tuned) for name, tuned in records.items()]
    return by_task(store(folder, made), registry.stored_metric)[0]


def test_findings_are_grouped_with_the_figures_of_each_run(tmp_path: Path) -> None:
    leaderboard = board(tmp_path, {"over": record([2.0, 2.5]), "under": record([2.5, 2.0], 0.25), "none": None})
    lines = list(finetune_section(leaderboard, "![curves](curves.svg)"))
    text = "\n".join(lines)
    assert "![curves](curves.svg)" in text
    assert "- **Over-fitting** (1 of 2)" in text
    assert "over (from step 2: +0.500 ± 0.050 between steps 1 and 2)" in text
    assert "- **Still falling at the end** (1 of 2)" in text
    assert "(2 evaluations each)" in text
    [row] = [line for line in lines if line.startswith("| under |")]
    assert row == "| under | lora | 20 | 4.88M | 12 | 0.25 | 2 | 2.000 ± 0.050 | 0.500 | 0.100 |"
    assert "| over | lora | 20 | 4.88M | 12 | unknown | 1 |" in text


def test_without_fine_tunes_there_is_no_section(tmp_path: Path) -> None:
    assert list(finetune_section(board(tmp_path, {"a": None, "b": None}), "")) == []
