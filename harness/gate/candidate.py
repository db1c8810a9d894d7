"""The candidate of a gate: a stored run, or a config that is carried through for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness import pipeline, registry
from harness.analysis import leaderboard
from harness.config import HarnessConfig, TrackingConfig, TrackingMode
from harness.config import compose as schema
from harness.errors import ConfigError
from harness.gate.baseline import Baseline
from harness.gate.budget import Budget
from harness.gate.decision import Gated, gate
from harness.gate.pairing import Paired, answers_of, require_same
from harness.gate.rules import OnUnderpowered, Rules, margins
from harness.gate.sequential import gate_in_chunks
from harness.protocols import Metric
from harness.store.runs import StoredRun


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks of a gate, before it is checked against a baseline; see `Rules`."""

    metrics: tuple[str, ...] = ()
    """Empty asks for the baseline's primary metric."""
    margin: float | Mapping[str, float] | None = None
    slices: tuple[str, ...] = ()
    failures: bool = True
    underpowered: OnUnderpowered = OnUnderpowered.fail
    budget: Budget | None = None
    """Set, the gate is sequential: it reads examples in chunks and stops when the verdict is certain."""

    def names(self, baseline: Baseline) -> tuple[str, ...]:
        """Return the metrics that are gated; StoreError for one that the baseline lacks."""
        names = self.metrics or (baseline.result.primary_metric,)
        for name in names:
            baseline.stats(name)
        return names

    def rules(self, baseline: Baseline, metrics: Sequence[Metric]) -> Rules:
        """Return the rules with a margin for each metric."""
        return Rules(margins(metrics, self.margin, baseline), self.slices, self.failures, self.underpowered)


def compose(overrides: Sequence[str], names: Sequence[str] = ()) -> HarnessConfig:
    """Compose the config of a candidate, untracked; with `names`, only these metrics are computed."""
    config = replace(schema.run(overrides), tracking=TrackingConfig(TrackingMode.disabled))
    if config.dry_run:
        raise ConfigError("dry_run: a gate needs a run. Leave dry_run=true out.")
    if not names:
        return config
    metrics = replace(config.metrics, names=list(names))
    return replace(config, metrics=metrics, task=replace(config.task, primary_metric=names[0]))


def run(config: HarnessConfig, overrides: Sequence[str]) -> StoredRun:
    """Carry a composed config through to a stored run."""
    return pipeline.run(config, shlex.join(["python", "-m", "harness", "run", *overrides]))


def gate_run(run: StoredRun, baseline: Baseline, asked: Asked) -> Gated:
    """Gate a stored run; StoreError when it is not of the baseline's task, data and metric signatures."""
    metrics = [registry.stored_metric(run, name) for name in asked.names(baseline)]
    rules = asked.rules(baseline, metrics)
    scored = {name: found.signature if (found := run.result.metric(name)) else "not scored" for name in rules.margins}
    examples = [p.example for p in run.predictions()]
    require_same(baseline, run.result.task, examples, scored)
    paired = Paired(baseline, answers_of(run, metrics))
    return gate(paired, metrics, rules, leaderboard.stats_config(baseline.result), baseline.result.config["seed"])


def gate_config(overrides: Sequence[str], baseline: Baseline, asked: Asked) -> Gated:
    """Compose a candidate and gate it: as a whole run, or in chunks under a budget."""
    config = compose(overrides, asked.names(baseline))
    if asked.budget is None:
        return gate_run(run(config, overrides), baseline, asked)
    return gate_in_chunks(config, baseline, asked.budget, lambda metrics: asked.rules(baseline, metrics))
