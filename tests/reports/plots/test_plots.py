"""Pictures are drawn where there is something to show, the same bytes each time, and names in them are text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.reports.plots import curves, draw
from harness.reports.plots.style import COLOURS, mark
from harness.types import CurvePoint, FineTuneRecord
from tests.support.grids import RunSpec, store

NASTY = "$x^2$ | <script>alert(1)</script> `a` \x1b[31m \\frac"


def record(points: int = 3, hidden: bool = False) -> FineTuneRecord:
    curve = tuple(
        CurvePoint(s, 10 * s, None if hidden else 1e-3, 2.0 / s, None if hidden else 2.1 / s, 0.05, 0.4, 0.0)
        for s in range(1, points + 1)
    )
    return FineTuneRecord("lora", 20, 1.0, 100, 1000, points, curve)


def board(folder: Path, records: dict[str, FineTuneRecord], settings: dict[str, dict[str, object]]) -> Leaderboard:
    noise = np.random.default_rng(0).normal(0, 0.1, 20)
    made = [
        RunSpec(f"run-{i}", {"rougeL": 0.5 + np.roll(noise, i)}, (), settings.get(name, {}), 100 * (i + 1), 0.0, tuned)
        for i, (name, tuned) in enumerate(records.items())
    ]
    runs = [
        replace(run, result=replace(run.result, name=name))
        for run, name in zip(store(folder, made), records, strict=True)
    ]
    return by_task(runs, registry.stored_metric)[0]


def test_pictures_are_the_same_bytes_each_time_and_undated(tmp_path: Path) -> None:
    leaderboard = board(tmp_path, {"a": record(), "b": record()}, {})
    first, second = (draw(leaderboard, tmp_path / name) for name in ("one", "two"))
    assert {"scores", "pareto", "curves"} <= {path.stem for _, path in first}
    for (_, a), (_, b) in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.with_suffix(".png").read_bytes() == b.with_suffix(".png").read_bytes()
        assert b"<dc:date>" not in a.read_bytes()


def test_names_are_shown_as_text(tmp_path: Path) -> None:
    leaderboard = board(tmp_path, {NASTY: record(), "b": record(hidden=True)}, {})
    for _, path in draw(leaderboard, tmp_path / "out"):
        content = path.read_text("utf-8")
        assert "<script>" not in content
        assert "\x1b" not in content
    scores = (tmp_path / "out" / "scores.svg").read_text("utf-8")
    assert "$x^2$" in scores  # the text beside its glyphs: not taken for a formula


@pytest.mark.parametrize(
    ("settings", "columns", "names"),
    [
        ({n: {"model": {"name": f"m{n}"}} for n in "abcd"}, {"ma", "mb", "mc", "md"}, {"fine-tune"}),
        (
            {n: {"model": {"name": f"m{n in 'ab'}"}, "finetune": {"seed": n in "ac"}} for n in "abcd"},
            {"mTrue", "mFalse"},
            {"seed True", "seed False"},
        ),
        ({}, {""}, {"a", "b", "c", "d"}),
    ],
)
def test_curves_have_a_column_a_model_and_a_colour_a_setting(
    tmp_path: Path, settings: dict[str, dict[str, object]], columns: set[str], names: set[str]
) -> None:
    leaderboard = board(tmp_path, dict.fromkeys("abcd", record()), settings)
    drawn = curves.arranged([entry.run for entry in leaderboard.entries])
    assert {curve.column for curve in drawn} == columns
    assert {curve.setting for curve in drawn} == names


def test_what_a_service_hides_has_no_row(tmp_path: Path) -> None:
    hidden = curves.draw(board(tmp_path / "a", {"a": record(hidden=True), "b": record(hidden=True)}, {}))
    shown = curves.draw(board(tmp_path / "b", {"a": record(), "b": record()}, {}))
    assert (len(shown.axes), len(hidden.axes)) == (4, 3)
    assert "learning rate" not in [axes.get_ylabel() for axes in hidden.axes]


def test_forty_nine_things_look_different() -> None:
    assert len({mark(i) for i in range(len(COLOURS) ** 2)}) == len(COLOURS) ** 2
