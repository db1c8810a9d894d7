"""`python -m harness judge`: two stored runs compared by a judge model, which Hydra composes from `conf/judge.yaml`.

Nothing else calls it: a judge costs two questions an example, and where it is a service, prompts leave the machine.
"""

from __future__ import annotations

import argparse
import json
import sys

from harness import registry
from harness.analysis.comparisons import Aligned
from harness.analysis.leaderboard import stats_config
from harness.config import compose
from harness.errors import ConfigError
from harness.judge import pairwise
from harness.judge.record import judgement_json, save
from harness.judge.results import Verdicts
from harness.protocols import Metric
from harness.reports.terminal.judgement import print_judgement
from harness.store.runs import StoredRun, find_runs
from harness.store.stages import Store, store_root


def main(options: argparse.Namespace) -> int:
    """Judge two runs, write the record and show it; return the exit code."""
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
    model = registry.model(config.model)
    judged, stage = pairwise.ask(model, pairs, config, store)
    print(f"judge: {stage.n_computed} answers made, {stage.n_cached} reused, {stage.seconds:.1f} s", file=sys.stderr)
    found = Verdicts(aligned, pairs, judged).judgement(_metrics(runs), model.identity, config)
    path = save(found, store)
    if options.json:
        print(json.dumps({**judgement_json(found), "wrote": [str(path)]}, indent=2))
    else:
        print_judgement(found)
        print("wrote:", path, sep="\n  ")
    return 0


def _metrics(runs: list[StoredRun]) -> list[Metric]:
    """Return the metrics that both runs were scored with alike."""
    theirs = {(m.name, m.signature) for m in runs[1].result.metrics}
    both = [m.name for m in runs[0].result.metrics if (m.name, m.signature) in theirs]
    return [registry.stored_metric(runs[0], name) for name in both]
