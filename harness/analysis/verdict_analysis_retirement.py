"""Models that their service will end: a winner that is soon gone is no winner.

The date is what the service said when the run was made; a later word of it is not known here.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.analysis.verdict_rule_analysis_decision import KEEP, NOT_ENOUGH, SHIP
from harness.analysis.verdict import Verdict
from harness.types import RunResult

DEFAULT_DAYS = 90
"""For runs made before `report.retire_days` was a setting."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """The end of a run's model: its date, the days until then, and whether that is too soon to ship it."""

    date: datetime.date
    days: int
    soon: bool

    @property
    def text(self) -> str:
        """Say when the model ends."""
        if self.days < 0:
            return f"its service ended the model on {self.date}"
        return f"its service ends the model on {self.date}, in {self.days} days"


def retirement(result: RunResult, today: datetime.date | None = None) -> Retirement | None:
    """Return when a run's model ends, None where no date is known."""
    date = _date(result.shutdown_date)
    if date is None:
        return None
    days = (date - (today or datetime.datetime.now(datetime.UTC).date())).days
    report = result.config.get("report", {})
    return Retirement(date, days, days <= int(report.get("retire_days", DEFAULT_DAYS)))


def outlived(verdict: Verdict, results: Sequence[RunResult], today: datetime.date | None = None) -> Verdict:
    """Return the verdict, without `ship` where the model will soon be gone; a kept one that will be is named."""
    if verdict.run is None or verdict.decision not in (SHIP, KEEP):
        return verdict
    found, name = retirement(results[verdict.run], today), results[verdict.run].name
    if found is None or not found.soon:
        return verdict
    if verdict.decision == KEEP:
        return replace(verdict, text=f"{verdict.text} But look for another one: {found.text}.")
    text = f"Do not ship {name}: {found.text}. By the scores alone: {verdict.text}"
    return replace(verdict, decision=NOT_ENOUGH, text=text)


def _date(text: str | None) -> datetime.date | None:
    """Read an ISO date or time; another form is an unknown date."""
    try:
        return datetime.datetime.fromisoformat(text).date() if text else None
    except ValueError:
        return None
