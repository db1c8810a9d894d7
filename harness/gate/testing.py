"""The gate inside one pytest test: what its marker asks for, carried out, recorded, and turned into pass or failure."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, HarnessError, unknown
from harness.gate import candidate
from harness.gate.baseline import accept, find, load, place
from harness.gate.budget import Budget
from harness.gate.candidate import Asked
from harness.gate.decision import Gated
from harness.gate.report import one_line, step_summary, text
from harness.gate.rules import OnUnderpowered
from harness.paths import BASELINES
from harness.reports.formatting import markdown
from harness.stats.noninferiority import Outcome
from harness.store.runs import StoredRun, find_run
from harness.store.stages import store_root

SETTINGS = ("task", "model", "metric", "margin", "slice", "baseline", "underpowered", "failures", "sequential")
UPDATED = pytest.StashKey[dict[Path, str]]()
"""Which run each baseline of this session was updated from."""


class UnderpoweredWarning(UserWarning):
    """A gate was let through although its examples cannot decide it."""


class Gate:
    """Gates candidates for one test; made by the fixture `harness_gate`."""

    def __init__(self, item: pytest.Item, found: list[dict[str, str]]) -> None:
        self._item, self._found = item, found
        marker = item.get_closest_marker("regression")
        self._overrides: Sequence[str] = marker.args if marker else ()
        self._settings: Mapping[str, Any] = marker.kwargs if marker else {}

    def __call__(self, *overrides: str, run: str | None = None) -> Gated | None:
        """Gate the run of a config, or the stored run called `run`; None where the baseline was updated instead.

        Overrides follow those of the marker. Any error of the harness, such as a missing baseline, fails the test.
        """
        __tracebackhide__ = True
        try:
            return self._gate((*self._choices(), *self._overrides, *overrides), run)
        except HarnessError as error:
            message = f"gate: {error}"
        pytest.fail(message, pytrace=False)

    def _gate(self, overrides: Sequence[str], selector: str | None) -> Gated | None:
        __tracebackhide__ = True
        asked = self._asked()
        stored = find_run(store_root(None) / "runs", selector) if selector else None
        if self._option("update_baseline"):
            self._update(stored or candidate.run(candidate.compose(overrides), overrides))
            return None
        task = stored.result.task if stored else candidate.compose(overrides).task.name
        baseline = load(find(self._root(), task, self._settings.get("baseline", "")))
        if stored:
            gated = candidate.gate_run(stored, baseline, asked)
        else:
            gated = candidate.gate_config(overrides, baseline, asked)
        self._record(gated)
        if not gated.passed:
            pytest.fail(text(gated), pytrace=False)
        if gated.outcome is Outcome.UNDERPOWERED:
            warnings.warn(UnderpoweredWarning(one_line(gated)), stacklevel=3)
        return gated

    def _choices(self) -> list[str]:
        if strange := self._settings.keys() - set(SETTINGS):
            raise ConfigError(f"@pytest.mark.regression: {unknown('argument', min(strange), SETTINGS)}")
        return [f"{group}={self._settings[group]}" for group in ("task", "model") if group in self._settings]

    def _asked(self) -> Asked:
        given = self._settings
        return Asked(
            metrics=_several(given.get("metric", ())),
            margin=given.get("margin"),
            slices=_several(given.get("slice", ())),
            failures=given.get("failures", True),
            underpowered=_choice(given.get("underpowered", self._option("underpowered"))),
            budget=self._budget(),
        )

    def _budget(self) -> Budget | None:
        limits = [self._option(name) for name in ("max_examples", "max_seconds", "max_cost")]
        sequential = self._settings.get("sequential", any(limit is not None for limit in limits))
        return Budget(*limits) if sequential else None

    def _root(self) -> Path:
        config, given = self._item.config, self._option("baseline")
        return config.invocation_params.dir / given if given else config.rootpath / BASELINES

    def _option(self, name: str) -> Any:
        return self._item.config.getoption(f"harness_{name}")

    def _update(self, run: StoredRun) -> None:
        updated = self._item.config.stash.setdefault(UPDATED, {})
        folder = place(self._root(), run.result.task, self._settings.get("baseline", ""))
        if updated.get(folder, run.result.run_id) != run.result.run_id:
            raise ConfigError(
                f"{folder}: two tests of this session write it, from {updated[folder]} and {run.result.run_id}. "
                "Give each a baseline of its own: @pytest.mark.regression(baseline='a-name')."
            )
        accept(run, folder)
        updated[folder] = run.result.run_id
        line = f"UPDATED {folder} from run {run.result.run_id}"
        self._found.append({"line": line, "markdown": f"### {markdown(self._item.name)}\n\n{markdown(line)}\n"})

    def _record(self, gated: Gated) -> None:
        """Keep what was found for the summaries and the JUnit report."""
        main = gated.main
        properties = {
            "outcome": gated.outcome.value,
            "check": main.check.name,
            "difference": main.comparison.difference,
            "low": main.comparison.low,
            "high": main.comparison.high,
            "margin": main.check.margin,
            "n": main.comparison.sample.n,
            "baseline": gated.paired.baseline.result.run_id,
            "candidate": gated.paired.answers.run_id or gated.paired.answers.name,
        }
        self._item.user_properties += [(f"harness_{key}", str(value)) for key, value in properties.items()]
        self._found.append({"line": one_line(gated), "markdown": step_summary(gated, self._item.name)})


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def _choice(name: str) -> OnUnderpowered:
    if name not in list(OnUnderpowered):
        raise ConfigError(f"underpowered: {unknown('choice', name, list(OnUnderpowered))}")
    return OnUnderpowered(name)
