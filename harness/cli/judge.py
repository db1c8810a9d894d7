"""`python -m harness judge`: compare two stored runs with a judge model; its config is `conf/judge.yaml`.

No other command calls a judge: it costs two questions per example, and with a hosted judge prompts leave the machine.
"""

from __future__ import annotations

import argparse
import json
import sys

from harness import registry
from harness.analysis.comparisons import Aligned, shared_metrics
from harness.analysis.leaderboard import stats_config
from harness.config import compose
from harness.errors import ConfigError
from harness.judge import pairwise
from harness.judge.record import judgement_json, save
from harness.judge.results import Verdicts
from harness.reports.terminal.judgement import print_judgement
from harness.store.runs import find_runs
from harness.store.stages import Store, store_root


def main(options: argparse.Namespace) -> int:
    """Judge two runs, save and print the judgement, and return the exit code."""
    if options.n is not None and options.n < 1:
        raise ConfigError(f"--n: expected 1 or more, got {options.n}")
    config = compose.judge_config([*compose.search_path(options.config_dir), *options.overrides])
    store = Store(store_root(options.store))
    runs = find_runs(store.runs, options.runs)
    if len(runs) != 2:
        ids = ", ".join(run.result.run_id for run in runs)
        raise ConfigError(f"judge: expected two runs, got {len(runs)} ({ids}). List them: python -m harness report")
    aligned = Aligned(runs, stats_config(runs[0].result))
    pairs = pairwise.pairs(aligned, options.n)
    metrics = [registry.stored_metric(runs[0], name) for name in shared_metrics(runs)]
    model = registry.model(config.model)
    judged, stage = pairwise.ask(model, pairs, config, store)
    print(f"judge: {stage.n_computed} answers made, {stage.n_cached} reused, {stage.seconds:.1f} s", file=sys.stderr)
    judgement = Verdicts(aligned, pairs, judged).judgement(metrics, model.identity, config)
    path = save(judgement, store)
    if options.json:
        print(json.dumps({**judgement_json(judgement), "wrote": [str(path)]}, indent=2))
    else:
        print_judgement(judgement)
        print("wrote:", path, sep="\n  ")
    return 0
