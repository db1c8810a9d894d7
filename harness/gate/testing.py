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
KEEP_BOTH = (
    "Give the test a baseline of its own, @pytest.mark.regression(baseline='NAME'), or replace this one: "
    "pytest --harness-replace-baseline"
)


class UnderpoweredWarning(UserWarning):
    """A gate passed although its examples cannot decide it."""


class Gate:
    """Gates candidates for one test; returned by the fixture `harness_gate`.

    Every `regression` mark of the test is a gate of its own: those of the test, its parameters, its class and its
    module. Summaries of the results are appended to `summaries`, as `line` and `markdown`.
    """

    def __init__(self, item: pytest.Item, summaries: list[dict[str, str]]) -> None:
        self._item, self._summaries = item, summaries
        marks = list(item.iter_markers("regression")) or [pytest.mark.regression.mark]
        distinct = {repr((mark.args, sorted(mark.kwargs.items()))): mark for mark in reversed(marks)}
        self._gates = [_MarkedGate(item, mark, summaries) for mark in reversed(distinct.values())]

    def __call__(self, *overrides: str, run: str | None = None) -> GateResult | None:
        """Gate the run of a config, or the stored run called `run`, by every mark; None if baselines were updated.

        Overrides follow those of each mark. The result is that of the mark nearest to the test. A failure of any gate
        and any error of the harness, such as a missing baseline, fails the test, with all of their messages.
        """
        __tracebackhide__ = True
        results, failures = [], []
        for gate in self._gates:
            try:
                result = gate(overrides, run)
            except HarnessError as error:
                failures.append(f"gate: {error}")
                continue
            results.append(result)
            if result and not result.passed:
                failures.append(text(result))
            elif result and result.outcome is GateOutcome.UNDERPOWERED:
                warnings.warn(UnderpoweredWarning(one_line(result)), stacklevel=2)
        if failures:
            pytest.fail("\n\n".join(failures), pytrace=False)
        return results[0]


class _MarkedGate:
    """The gate of one `regression` mark."""

    def __init__(self, item: pytest.Item, mark: pytest.Mark, summaries: list[dict[str, str]]) -> None:
        self._item, self._summaries = item, summaries
        self._overrides: Sequence[str] = mark.args
        self._settings: Mapping[str, Any] = mark.kwargs

    def __call__(self, call_overrides: Sequence[str], selector: str | None) -> GateResult | None:
        """Gate one candidate; None if the baseline was updated instead."""
        overrides, request = [*self._marked_overrides(), *call_overrides], self._request()
        stored = find_run(store_root(None) / "runs", selector) if selector else None
        if self._option("update_baseline") or self._option("replace_baseline"):
            self._update(stored or candidate.run(candidate.compose_candidate(overrides), overrides))
            return None
        if stored:
            baseline = load(self._folder(stored.result.task), stored.result.dataset.fingerprint)
            result = candidate.gate_run(stored, baseline, request)
        else:
            baseline = load(self._folder(candidate.compose_candidate(overrides).task.name))
            result = candidate.gate_config(overrides, baseline, request)
        self._record(result)
        return result

    def _marked_overrides(self) -> list[str]:
        if strange := self._settings.keys() - set(SETTINGS):
            raise ConfigError(f"@pytest.mark.regression: {unknown('argument', min(strange), SETTINGS)}")
        if strange_words := [word for word in self._overrides if not isinstance(word, str)]:
            raise ConfigError(f"@pytest.mark.regression: expected overrides as texts, got {strange_words[0]!r}.")
        choices = [f"{group}={self._settings[group]}" for group in ("task", "model") if group in self._settings]
        return [*compose.search_path(self._option("config_dir")), *choices, *self._overrides]

    def _request(self) -> GateRequest:
        settings = self._settings
        return GateRequest(
            metrics=_names("metric", settings.get("metric", ())),
            margin=_margin(settings.get("margin")),
            slices=_names("slice", settings.get("slice", ())),
            failures=_flag("failures", settings.get("failures", True)),
            underpowered=_on_underpowered(settings.get("underpowered", self._option("underpowered"))),
            budget=self._budget(),
        )

    def _budget(self) -> GateBudget | None:
        limits = [self._option(name) for name in ("max_examples", "max_seconds", "max_cost")]
        sequential = self._settings.get("sequential", any(limit is not None for limit in limits))
        return GateBudget(*limits) if _flag("sequential", sequential) else None

    def _folder(self, task: str) -> Path:
        return find_folder(self._root(), task, self._baseline_name())

    def _baseline_name(self) -> str:
        name = self._settings.get("baseline", "")
        if not isinstance(name, str):
            raise ConfigError(f"@pytest.mark.regression: expected a text as baseline, got {name!r}.")
        return name

    def _root(self) -> Path:
        config, folder = self._item.config, self._option("baseline")
        return config.invocation_params.dir / folder if folder else config.rootpath / BASELINES

    def _option(self, name: str) -> Any:
        return self._item.config.getoption(f"harness_{name}")

    def _update(self, run: StoredRun) -> None:
        updated = self._item.config.stash.setdefault(UPDATED, {})
        folder = folder_for(self._root(), run.result.task, self._baseline_name())
        if updated.get(folder, run.result.run_id) != run.result.run_id:
            raise ConfigError(
                f"{folder}: expected one run per baseline, but two tests of this session write it, from "
                f"{updated[folder]} and {run.result.run_id}. Give each test a baseline of its own: "
                "@pytest.mark.regression(baseline='NAME')."
            )
        accept(run, folder, replace_other=self._option("replace_baseline"), fix=KEEP_BOTH)
        line = f"UPDATED {folder} from run {run.result.run_id}"
        if folder not in updated:
            self._summaries.append({"line": line, "markdown": f"### {markdown(self._item.name)}\n\n{markdown(line)}\n"})
        updated[folder] = run.result.run_id

    def _record(self, result: GateResult) -> None:
        """Add the result to the summaries and to the JUnit report; those of further gates are numbered there."""
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
        number = f"{len(self._summaries) + 1}_" if self._summaries else ""
        self._item.user_properties += [(f"harness_{number}{key}", str(value)) for key, value in properties.items()]
        self._summaries.append({"line": one_line(result), "markdown": step_summary(result, self._item.name)})


def _names(setting: str, names: object) -> tuple[str, ...]:
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, list | tuple | set) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"@pytest.mark.regression: expected a name or a list of names as {setting}, got {names!r}.")
    return tuple(dict.fromkeys(names))


def _margin(margin: object) -> float | Mapping[str, float] | None:
    numbers = list(margin.values()) if isinstance(margin, Mapping) else [] if margin is None else [margin]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise ConfigError(
            f"@pytest.mark.regression: expected a number or {{metric: number}} as margin, got {margin!r}."
        )
    return margin  # type: ignore[return-value]


def _flag(setting: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"@pytest.mark.regression: expected True or False as {setting}, got {value!r}.")
    return value


def _on_underpowered(name: str) -> OnUnderpowered:
    if name not in list(OnUnderpowered):
        raise ConfigError(f"underpowered: {unknown('choice', str(name), list(OnUnderpowered))}")
    return OnUnderpowered(name)
