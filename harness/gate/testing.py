"""The gate inside a pytest test: reads the marker, runs the gate, records the result, and passes or fails the test."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.config import compose
from harness.errors import ConfigError, HarnessError, unknown
from harness.gate import candidate
from harness.gate.baseline import accept, find_folder, folder_for, load
from harness.gate.budget import GateBudget
from harness.gate.candidate import GateRequest
from harness.gate.decision import GateResult
from harness.gate.report import one_line, step_summary, text
from harness.gate.rules import OnUnderpowered
from harness.paths import BASELINES
from harness.reports.formatting import markdown
from harness.stats.noninferiority import GateOutcome
from harness.store.runs import StoredRun, find_run
from harness.store.stages import store_root

SETTINGS = ("task", "model", "metric", "margin", "slice", "baseline", "underpowered", "failures", "sequential")
UPDATED = pytest.StashKey[dict[Path, str]]()
"""The run that each baseline of this session was updated from."""


class UnderpoweredWarning(UserWarning):
    """A gate passed although its examples cannot decide it."""


class Gate:
    """Gates candidates for one test; returned by the fixture `harness_gate`.

    Summaries of the results are appended to `summaries`, as `line` and `markdown`.
    """

    def __init__(self, item: pytest.Item, summaries: list[dict[str, str]]) -> None:
        self._item, self._summaries = item, summaries
        marker = item.get_closest_marker("regression")
        self._overrides: Sequence[str] = marker.args if marker else ()
        self._settings: Mapping[str, Any] = marker.kwargs if marker else {}

    def __call__(self, *overrides: str, run: str | None = None) -> GateResult | None:
        """Gate the run of a config, or the stored run called `run`; None if the baseline was updated instead.

        Overrides follow those of the marker. Any error of the harness, such as a missing baseline, fails the test.
        """
        __tracebackhide__ = True
        try:
            return self._gate((*self._marker_overrides(), *overrides), run)
        except HarnessError as error:
            message = f"gate: {error}"
        pytest.fail(message, pytrace=False)

    def _gate(self, overrides: Sequence[str], selector: str | None) -> GateResult | None:
        __tracebackhide__ = True
        request = self._request()
        stored = find_run(store_root(None) / "runs", selector) if selector else None
        if self._option("update_baseline"):
            self._update(stored or candidate.run(candidate.compose_candidate(overrides), overrides))
            return None
        task = stored.result.task if stored else candidate.compose_candidate(overrides).task.name
        baseline = load(find_folder(self._root(), task, self._settings.get("baseline", "")))
        if stored:
            result = candidate.gate_run(stored, baseline, request)
        else:
            result = candidate.gate_config(overrides, baseline, request)
        self._record(result)
        if not result.passed:
            pytest.fail(text(result), pytrace=False)
        if result.outcome is GateOutcome.UNDERPOWERED:
            warnings.warn(UnderpoweredWarning(one_line(result)), stacklevel=3)
        return result

    def _marker_overrides(self) -> list[str]:
        if strange := self._settings.keys() - set(SETTINGS):
            raise ConfigError(f"@pytest.mark.regression: {unknown('argument', min(strange), SETTINGS)}")
        choices = [f"{group}={self._settings[group]}" for group in ("task", "model") if group in self._settings]
        return [*compose.search_path(self._option("config_dir")), *choices, *self._overrides]

    def _request(self) -> GateRequest:
        settings = self._settings
        return GateRequest(
            metrics=_names(settings.get("metric", ())),
            margin=settings.get("margin"),
            slices=_names(settings.get("slice", ())),
            failures=settings.get("failures", True),
            underpowered=_on_underpowered(settings.get("underpowered", self._option("underpowered"))),
            budget=self._budget(),
        )

    def _budget(self) -> GateBudget | None:
        limits = [self._option(name) for name in ("max_examples", "max_seconds", "max_cost")]
        sequential = self._settings.get("sequential", any(limit is not None for limit in limits))
        return GateBudget(*limits) if sequential else None

    def _root(self) -> Path:
        config, folder = self._item.config, self._option("baseline")
        return config.invocation_params.dir / folder if folder else config.rootpath / BASELINES

    def _option(self, name: str) -> Any:
        return self._item.config.getoption(f"harness_{name}")

    def _update(self, run: StoredRun) -> None:
        updated = self._item.config.stash.setdefault(UPDATED, {})
        folder = folder_for(self._root(), run.result.task, self._settings.get("baseline", ""))
        if updated.get(folder, run.result.run_id) != run.result.run_id:
            raise ConfigError(
                f"{folder}: expected one run per baseline, but two tests of this session write it, from "
                f"{updated[folder]} and {run.result.run_id}. Give each test a baseline of its own: "
                "@pytest.mark.regression(baseline='NAME')."
            )
        accept(run, folder)
        updated[folder] = run.result.run_id
        line = f"UPDATED {folder} from run {run.result.run_id}"
        self._summaries.append({"line": line, "markdown": f"### {markdown(self._item.name)}\n\n{markdown(line)}\n"})

    def _record(self, result: GateResult) -> None:
        """Add the result to the summaries and to the JUnit report."""
        main = result.main
        properties = {
            "outcome": result.outcome.value,
            "check": main.check.name,
            "difference": main.comparison.difference,
            "low": main.comparison.low,
            "high": main.comparison.high,
            "margin": main.check.margin,
            "n": main.comparison.sample.n,
            "baseline": result.paired.baseline.result.run_id,
            "candidate": result.paired.candidate.label,
        }
        self._item.user_properties += [(f"harness_{key}", str(value)) for key, value in properties.items()]
        self._summaries.append({"line": one_line(result), "markdown": step_summary(result, self._item.name)})


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def _on_underpowered(name: str) -> OnUnderpowered:
    if name not in list(OnUnderpowered):
        raise ConfigError(f"underpowered: {unknown('choice', name, list(OnUnderpowered))}")
    return OnUnderpowered(name)
