"""`report` and `compare`: leaderboards and paired tests from stored runs alone, without Hydra and without torch."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence

from harness import registry
from harness.analysis import leaderboard
from harness.analysis.comparisons import Aligned
from harness.analysis.training_seeds import compare_recipes
from harness.analysis.unpaired import compare_runs
from harness.analysis.verdict import Aim, with_incumbent
from harness.config import ReportConfig
from harness.errors import ConfigError, StoreError
from harness.reports.html.page import PageSink
from harness.reports.markdown.report import MarkdownSink, numbered
from harness.reports.terminal.comparison import ComparisonReport, print_comparison, print_unpaired
from harness.reports.terminal.leaderboard import TerminalSink
from harness.stats.comparison import Comparison
from harness.store.runs import StoredRun, find_runs
from harness.store.stages import store_root


def main(options: argparse.Namespace) -> int:
    """Run `report` or `compare` and return the exit code."""
    store = store_root(options.store)
    runs = find_runs(store / "runs", options.runs)
    if not runs:
        raise StoreError(f"there are no runs in {store / 'runs'}. Make one: python -m harness run")
    if options.command == "report":
        return _report(with_incumbent(runs, store / "runs", options.incumbent), options)
    return _compare(runs, options)


def _report(runs: Sequence[StoredRun], options: argparse.Namespace) -> int:
    """Show one leaderboard a task and set of examples, and write its report."""
    config = ReportConfig(
        options.out,
        options.name,
        not options.no_references,
        options.samples,
        titles=options.titles,
        incumbent=options.incumbent,
        useful_difference=options.useful_difference,
    )
    boards = leaderboard.by_task(runs, registry.stored_metric, options.metric, Aim.of(config))
    paths: list[str] = []
    for i, board in enumerate(boards):
        here = numbered(config, i)
        paths += [path for sink in (MarkdownSink(here), PageSink(here)) for path in sink.write(board)]
        if not options.json:
            TerminalSink().write(board)
    if options.json:
        print(json.dumps([leaderboard.as_json(board) for board in boards], indent=2))
    else:
        print("wrote:", *paths, sep="\n  ")
    return 0


def _compare(runs: Sequence[StoredRun], options: argparse.Namespace) -> int:
    """Compare the runs pairwise: on one metric, or on all that they have in common."""
    if options.unpaired:
        return _compare_unpaired(runs, options)
    if len(runs) < 2:
        raise ConfigError(f"compare: expected two runs or more, got {len(runs)}. List them: python -m harness report")
    primary = options.metric or runs[0].result.primary_metric
    best_first = leaderboard.ordered(runs, primary)
    aligned = Aligned(best_first, leaderboard.stats_config(best_first[0].result))
    names = [options.metric] if options.metric else _shared_metrics(best_first)
    main = registry.stored_metric(best_first[0], primary)
    found = ComparisonReport(
        aligned,
        main=aligned.compare(main),
        metrics=aligned.compare_metrics([registry.stored_metric(best_first[0], name) for name in names]),
        parts=aligned.compare_parts(main),
        recipes=compare_recipes(aligned, main),
    )
    if options.json:
        print(json.dumps(_as_json(best_first, found), indent=2))
    else:
        print_comparison(found)
    return 0


def _compare_unpaired(runs: Sequence[StoredRun], options: argparse.Namespace) -> int:
    """Compare two runs on different examples, which shows less than pairs would."""
    names = [options.metric] if options.metric else _shared_metrics(runs) or [runs[0].result.primary_metric]
    found = compare_runs(runs, names, registry.stored_metric, leaderboard.stats_config(runs[0].result))
    if options.json:
        ids = [run.result.run_id for run in found.runs]
        pairs = [
            {"metric": each.metric, "first": ids[0], "second": ids[1], **_numbers(each.comparison, each.p_adjusted)}
            for each in found.findings
        ]
        print(json.dumps({"unpaired": True, "runs": ids, "remarks": found.remarks, "pairs": pairs}, indent=2))
    else:
        print_unpaired(found)
    return 0


def _shared_metrics(runs: Sequence[StoredRun]) -> list[str]:
    signatures = [{m.name: m.signature for m in run.result.metrics} for run in runs]
    return [name for name, signature in signatures[0].items() if all(s.get(name) == signature for s in signatures)]


def _as_json(runs: Sequence[StoredRun], found: ComparisonReport) -> dict[str, object]:
    ids = [run.result.run_id for run in runs]
    return {
        "runs": [
            {"run_id": run_id, "tie_group": group, "rank": list(rank)}
            for run_id, group, rank in zip(ids, found.main.groups, found.main.ranks, strict=True)
        ],
        "left_out": found.aligned.left_out,
        "pairs": [
            {
                "metric": each.metric,
                "first": ids[pair.first],
                "second": ids[pair.second],
                **_numbers(pair.comparison, pair.p_adjusted),
            }
            for each in found.metrics
            for pair in each.pairs
        ],
        "slices": [
            {"slice": key, "value": value, "first": ids[0], "second": ids[1], **_numbers(each, None)}
            for (key, value), each in found.parts.items()
        ],
        "training_seeds": [
            {"first": pair.first.name, "second": pair.second.name, **_numbers(pair.comparison, pair.p_adjusted)}
            for pair in found.recipes
        ],
    }


def _numbers(comparison: Comparison, p_adjusted: float | None) -> dict[str, object]:
    return {**dataclasses.asdict(comparison), "effect": comparison.effect, "p_adjusted": p_adjusted}
