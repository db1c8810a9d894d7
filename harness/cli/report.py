"""`python -m harness report`: leaderboards and their reports from stored runs, without Hydra and without torch."""

from __future__ import annotations

import argparse
import json

from harness import registry
from harness.analysis import leaderboard
from harness.analysis.verdict import Aim, with_incumbent
from harness.config import ReportConfig
from harness.reports.folders import placed
from harness.reports.html.page import PageSink
from harness.reports.markdown.report import MarkdownSink
from harness.reports.terminal.leaderboard import TerminalSink
from harness.store.runs import require_runs
from harness.store.stages import store_root

DEFAULT_NAME = "report"


def main(options: argparse.Namespace) -> int:
    """Show a leaderboard for each task and set of examples, and write its report; return the exit code."""
    folder = store_root(options.store) / "runs"
    runs = with_incumbent(require_runs(folder, options.runs), folder, options.incumbent)
    config = ReportConfig(
        options.out,
        DEFAULT_NAME if options.name is None else options.name,
        not options.no_references,
        options.samples,
        titles=options.titles,
        incumbent=options.incumbent,
        useful_difference=options.useful_difference,
    )
    boards = leaderboard.by_task(runs, registry.stored_metric, options.metric, Aim.of(config))
    paths: list[str] = []
    for board, here in zip(boards, placed(boards, config, named=options.name is not None), strict=True):
        paths += [path for sink in (MarkdownSink(here), PageSink(here)) for path in sink.write(board)]
        if not options.json:
            TerminalSink().write(board)
    if options.json:
        print(json.dumps([leaderboard.as_json(board) for board in boards], indent=2))
    else:
        print("wrote:", *paths, sep="\n  ")
    return 0
