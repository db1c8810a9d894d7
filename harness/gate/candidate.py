"""The candidate of a gate: a stored run, or a config that is run for it, with what the user wants to be checked."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from harness import pipeline, registry
from harness.analysis.comparisons import signature_of
from harness.analysis.leaderboard import stats_config
from harness.config import HarnessConfig, TrackingConfig, TrackingMode, compose
from harness.errors import ConfigError, unknown
from harness.gate.baseline import Baseline
from harness.gate.budget import GateBudget
from harness.gate.decision import GateResult, gate
from harness.gate.pairing import Paired, output_of, require_comparable, require_readable
from harness.gate.rules import OnUnderpowered, Rules, resolve_margins
from harness.gate.sequential import gate_in_chunks
from harness.protocols import Metric
from harness.stages.prepare import prepare
from harness.store.runs import StoredRun


@dataclass(frozen=True, slots=True)
class GateRequest:
    """What the user wants to be checked, before it is resolved against a baseline; see `Rules`."""

    metrics: tuple[str, ...] = ()
    """Empty for the primary metric of the baseline."""
    margin: float | Mapping[str, float] | None = None
    slices: tuple[str, ...] = ()
    failures: bool = True
    underpowered: OnUnderpowered = OnUnderpowered.fail
    budget: GateBudget | None = None
    """If set, the gate is sequential: it reads examples in chunks and stops as soon as the decision is certain."""

    def names(self, baseline: Baseline) -> tuple[str, ...]:
        """Return the metrics that are gated; ConfigError for a name that no metric has.

        StoreError for a metric that the baseline was not scored with.
        """
        names = self.metrics or (baseline.result.primary_metric,)
        scored = [metric.name for metric in baseline.result.metrics]
        for name in names:
            if name not in scored and name not in registry.METRICS and get_close_matches(name, scored, cutoff=0.5):
                raise ConfigError(f"metric: {unknown('metric of the baseline', name, scored)}")
            baseline.stats(name)
        return names

    def rules(self, baseline: Baseline, metrics: Sequence[Metric]) -> Rules:
        """Return the rules with a margin for each metric."""
        return Rules(resolve_margins(metrics, self.margin, baseline), self.slices, self.failures, self.underpowered)


def compose_candidate(overrides: Sequence[str], names: Sequence[str] = ()) -> HarnessConfig:
    """Compose the config of a candidate, without tracking; with `names`, only these metrics are computed.

    `names` are as `metrics.names` has them: "module:Class" for a class of one's own.
    """
    config = replace(compose.run_config(overrides), tracking=TrackingConfig(TrackingMode.disabled))
    if config.dry_run:
        raise ConfigError("dry_run: a gate needs the scores of a run. Remove dry_run=true.")
    if not names:
        return config
    options = dict(registry.options_of(name, config.metrics.options) for name in names)
    metrics = replace(config.metrics, names=list(names), options={key: dict(o) for key, o in options.items() if o})
    return replace(config, metrics=metrics, task=replace(config.task, primary_metric=names[0]))


def run(config: HarnessConfig, overrides: Sequence[str]) -> StoredRun:
    """Run a composed config and return the stored run."""
    return pipeline.run(config, shlex.join(["python", "-m", "harness", "run", *overrides]))


def gate_run(stored: StoredRun, baseline: Baseline, request: GateRequest) -> GateResult:
    """Gate a stored run; StoreError unless it has the task, data and metric signatures of the baseline."""
    names = request.names(baseline)
    examples = [p.example for p in stored.predictions()]
    require_comparable(baseline, stored.result.task, examples, {name: signature_of(stored, name) for name in names})
    metrics = [registry.stored_metric(stored, name) for name in names]
    rules = request.rules(baseline, metrics)
    require_readable(metrics, examples)
    paired = Paired(baseline, output_of(stored, metrics))
    return gate(paired, metrics, rules, stats_config(baseline.result))


def gate_config(overrides: Sequence[str], baseline: Baseline, request: GateRequest) -> GateResult:
    """Compose a candidate and gate it: as a whole run, or in chunks if there is a budget.

    What cannot be gated is refused before anything is generated.
    """
    results = [baseline.result.metric(name) for name in request.names(baseline)]
    config = compose_candidate(overrides, [result.config_name for result in results if result])
    if request.budget is None:
        prepared = prepare(config)
        signatures = {metric.name: metric.signature for metric in prepared.metrics}
        require_comparable(baseline, config.task.name, prepared.examples, signatures)
        request.rules(baseline, prepared.metrics)
        require_readable(prepared.metrics, prepared.examples)
        return gate_run(run(config, overrides), baseline, request)
    return gate_in_chunks(config, baseline, request.budget, lambda metrics: request.rules(baseline, metrics))
