"""`python -m harness gate`: a stored run, or a config that is run first, against the accepted baseline."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from harness.errors import ConfigError, GateFailed, GateUndecided
from harness.gate import candidate
from harness.gate.baseline import find, load
from harness.gate.budget import Budget
from harness.gate.candidate import Asked
from harness.gate.decision import Gated
from harness.gate.report import summary, text
from harness.gate.rules import OnUnderpowered
from harness.stats.noninferiority import Outcome
from harness.store.runs import find_run
from harness.store.stages import store_root


def main(options: argparse.Namespace) -> int:
    """Gate a candidate, print what was found, and return the exit code."""
    gated = _gate(options, asked(options))
    print(json.dumps(summary(gated), indent=2) if options.json else text(gated))
    if gated.passed:
        return 0
    return GateFailed.exit_code if gated.outcome is Outcome.FAIL else GateUndecided.exit_code


def asked(options: argparse.Namespace) -> Asked:
    """Return what the command line asks for."""
    return Asked(
        metrics=tuple(dict.fromkeys(options.metric)),
        margin=margin(options.margin),
        slices=tuple(options.slice),
        failures=not options.no_failures,
        underpowered=OnUnderpowered(options.underpowered),
        budget=_budget(options),
    )


def margin(words: list[str]) -> float | Mapping[str, float] | None:
    """Return one margin for all metrics, margins by metric, or None where none is given."""
    found: dict[str, float] = {}
    for word in words:
        name, _, value = word.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise ConfigError(f"--margin: expected a number or METRIC=number, got {word!r}.") from error
    if "" not in found:
        return found or None
    if len(found) > 1:
        raise ConfigError("--margin: expected one number for all metrics, or one a metric, got both.")
    return found[""]


def _budget(options: argparse.Namespace) -> Budget | None:
    limits = (options.max_examples, options.max_seconds, options.max_cost)
    if not options.sequential and all(limit is None for limit in limits):
        return None
    return Budget(*limits)


def _gate(options: argparse.Namespace, what: Asked) -> Gated:
    words: list[str] = options.candidate
    root = Path(options.baseline)
    if any("=" in word for word in words):
        overrides = [*words, f"store={options.store}"] if options.store else words
        task = candidate.compose(overrides).task.name
        return candidate.gate_config(overrides, load(find(root, task, options.name)), what)
    if len(words) > 1 or what.budget:
        raise ConfigError(
            f"gate: expected one stored run, or key=value overrides of a config, got {' '.join(words)}. "
            "A sequential gate takes overrides: a stored run has all its completions already."
        )
    run = find_run(store_root(options.store) / "runs", words[0])
    return candidate.gate_run(run, load(find(root, run.result.task, options.name)), what)
