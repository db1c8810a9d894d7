"""`python -m harness gate`: compare a stored run, or a config that is run first, with the accepted baseline."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from harness.config import compose
from harness.errors import ConfigError, GateFailed, GateUndecided
from harness.gate import candidate
from harness.gate.baseline import find_folder, load
from harness.gate.budget import GateBudget
from harness.gate.candidate import GateRequest
from harness.gate.decision import GateResult
from harness.gate.report import as_json, text
from harness.gate.rules import OnUnderpowered
from harness.stats.noninferiority import GateOutcome
from harness.store.runs import find_run
from harness.store.stages import store_root


def main(options: argparse.Namespace) -> int:
    """Gate a candidate, print the result, and return the exit code."""
    result = _gate(options, gate_request(options))
    print(json.dumps(as_json(result), indent=2) if options.json else text(result))
    if result.passed:
        return 0
    return GateFailed.exit_code if result.outcome is GateOutcome.FAIL else GateUndecided.exit_code


def gate_request(options: argparse.Namespace) -> GateRequest:
    """Return the checks that the command line names."""
    return GateRequest(
        metrics=tuple(dict.fromkeys(options.metric)),
        margin=margin(options.margin),
        slices=tuple(options.slice),
        failures=not options.no_failures,
        underpowered=OnUnderpowered(options.underpowered),
        budget=_budget(options),
    )


def margin(words: list[str]) -> float | Mapping[str, float] | None:
    """Return one margin for all metrics, margins by metric, or None if there is none."""
    margins: dict[str, float] = {}
    for word in words:
        name, _, value = word.rpartition("=")
        if name in margins:
            raise ConfigError(
                f"--margin: expected one {f'for {name}' if name else 'for all metrics'}, got {word!r} too."
            )
        try:
            margins[name] = float(value)
        except ValueError as error:
            raise ConfigError(f"--margin: expected a number or METRIC=number, got {word!r}.") from error
    if "" not in margins:
        return margins or None
    if len(margins) > 1:
        raise ConfigError("--margin: expected one number for all metrics, or one per metric, got both.")
    return margins[""]


def _budget(options: argparse.Namespace) -> GateBudget | None:
    limits = (options.max_examples, options.max_seconds, options.max_cost)
    if not options.sequential and all(limit is None for limit in limits):
        return None
    return GateBudget(*limits)


def _gate(options: argparse.Namespace, request: GateRequest) -> GateResult:
    words: list[str] = options.candidate
    root = Path(options.baseline)
    if any("=" in word for word in words):
        overrides = [*compose.search_path(options.config_dir), *words]
        overrides += [f"store={options.store}"] if options.store else []
        task = candidate.compose_candidate(overrides).task.name
        return candidate.gate_config(overrides, load(find_folder(root, task, options.name)), request)
    if len(words) > 1 or request.budget:
        raise ConfigError(
            f"gate: expected one stored run, or key=value overrides of a config, got {' '.join(words)}. "
            "A sequential gate needs overrides: a stored run already has all its completions."
        )
    run = find_run(store_root(options.store) / "runs", words[0])
    folder = find_folder(root, run.result.task, options.name)
    return candidate.gate_run(run, load(folder, run.result.dataset.fingerprint), request)
