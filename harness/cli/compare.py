"""`python -m harness compare`: paired differences between stored runs, or unpaired ones on different examples."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence

from harness import registry
from harness.analysis import leaderboard
from harness.analysis.comparisons import Aligned, shared_metrics
from harness.analysis.training_seeds import compare_recipes
from harness.analysis.unpaired import compare_runs
from harness.errors import ConfigError
from harness.reports.terminal.comparison import ComparisonReport, print_comparison, print_unpaired
from harness.stats.comparison import Comparison
from harness.store.runs import StoredRun, require_runs
from harness.store.stages import store_root


def main(options: argparse.Namespace) -> int:
    """Compare runs pairwise, on one metric or on all that they share; return the exit code."""
    runs = require_runs(store_root(options.store) / "runs", options.runs)
    return _unpaired(runs, options) if options.unpaired else _paired(runs, options)


def _paired(runs: Sequence[StoredRun], options: argparse.Namespace) -> int:
    """Compare all pairs of runs on the examples that all of them completed."""
    if len(runs) < 2:
        raise ConfigError(f"compare: expected two runs or more, got {len(runs)}. List them: python -m harness report")
    primary = options.metric or runs[0].result.primary_metric
    best_first = leaderboard.ordered(runs, primary)
    aligned = Aligned(best_first, leaderboard.stats_config(best_first[0].result))
    names = [options.metric] if options.metric else shared_metrics(best_first)
    main = registry.stored_metric(best_first[0], primary)
    report = ComparisonReport(
        aligned,
        main=aligned.compare(main),
        metrics=aligned.compare_metrics([registry.stored_metric(best_first[0], name) for name in names]),
        parts=aligned.compare_parts(main),
        recipes=compare_recipes(aligned, main),
    )
    if options.json:
        print(json.dumps(_as_json(best_first, report), indent=2))
    else:
        print_comparison(report)
    return 0


def _unpaired(runs: Sequence[StoredRun], options: argparse.Namespace) -> int:
    """Compare two runs on different examples, which detects less than a paired comparison."""
    names = [options.metric] if options.metric else shared_metrics(runs) or [runs[0].result.primary_metric]
    comparison = compare_runs(runs, names, registry.stored_metric, leaderboard.stats_config(runs[0].result))
    if options.json:
        ids = [run.result.run_id for run in comparison.runs]
        pairs = [
            {
                "metric": finding.metric,
                "first": ids[0],
                "second": ids[1],
                **_numbers(finding.comparison, finding.p_adjusted),
            }
            for finding in comparison.findings
        ]
        print(json.dumps({"unpaired": True, "runs": ids, "remarks": comparison.remarks, "pairs": pairs}, indent=2))
    else:
        print_unpaired(comparison)
    return 0


def _as_json(runs: Sequence[StoredRun], report: ComparisonReport) -> dict[str, object]:
    ids = [run.result.run_id for run in runs]
    return {
        "runs": [
            {"run_id": run_id, "tie_group": group, "rank": list(rank)}
            for run_id, group, rank in zip(ids, report.main.groups, report.main.ranks, strict=True)
        ],
        "left_out": report.aligned.left_out,
        "pairs": [
            {
                "metric": metric.metric,
                "first": ids[pair.first],
                "second": ids[pair.second],
                **_numbers(pair.comparison, pair.p_adjusted),
            }
            for metric in report.metrics
            for pair in metric.pairs
        ],
        "slices": [
            {"slice": key, "value": value, "first": ids[0], "second": ids[1], **_numbers(part, None)}
            for (key, value), part in report.parts.items()
        ],
        "training_seeds": [
            {"first": pair.first.name, "second": pair.second.name, **_numbers(pair.comparison, pair.p_adjusted)}
            for pair in report.recipes
        ],
    }


def _numbers(comparison: Comparison, p_adjusted: float | None) -> dict[str, object]:
    return {**dataclasses.asdict(comparison), "effect": comparison.effect, "p_adjusted": p_adjusted}
