"""When a model ends, and whether that is too soon."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pytest

from harness import pipeline
from harness.analysis.verdict import Verdict, outlived, retirement
from tests.support.fakes import config

TODAY = datetime.date(2026, 11, 23)


@pytest.mark.parametrize(
    ("date", "days", "soon", "text"),
    [
        ("2027-01-14", 52, True, "its service ends the model on 2027-01-14, in 52 days"),
        ("2027-02-21", 90, True, "its service ends the model on 2027-02-21, in 90 days"),
        ("2027-02-22T00:00:00Z", 91, False, "its service ends the model on 2027-02-22, in 91 days"),
        ("2026-10-23", -31, True, "its service ended the model on 2026-10-23"),
    ],
)
def test_retirement(tmp_path: Path, date: str, days: int, soon: bool, text: str) -> None:
    result = dataclasses.replace(pipeline.run(config(tmp_path), "test").result, shutdown_date=date)
    found = retirement(result, TODAY)
    assert found is not None
    assert (found.days, found.soon, found.text) == (days, soon, text)


@pytest.mark.parametrize("date", [None, "", "next year"])
def test_an_unknown_date_is_none(tmp_path: Path, date: str | None) -> None:
    result = dataclasses.replace(pipeline.run(config(tmp_path), "test").result, shutdown_date=date)
    assert retirement(result, TODAY) is None


@pytest.mark.parametrize(
    ("decision", "date", "expected", "words"),
    [
        ("ship", "2027-01-14", "not enough data", "Do not ship echo: its service ends the model on 2027-01-14"),
        ("ship", "2028-01-14", "ship", "S."),
        ("ship", None, "ship", "S."),
        ("keep", "2027-01-14", "keep", "S. But look for another one: its service ends the model on 2027-01-14"),
        ("not enough data", "2027-01-14", "not enough data", "S."),
    ],
)
def test_a_winner_that_is_soon_gone_is_not_shipped(
    tmp_path: Path, decision: str, date: str | None, expected: str, words: str
) -> None:
    result = dataclasses.replace(pipeline.run(config(tmp_path), "test").result, shutdown_date=date)
    found = outlived(Verdict(decision, "S.", run=0), [result], TODAY)
    assert found.decision == expected
    assert found.text.startswith(words)
