"""`report` and `compare`: leaderboards from stored runs alone, without Hydra and without torch."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from harness import leaderboard
from harness.config import ReportConfig
from harness.errors import StoreError
from harness.records import StoredRun, find_runs
from harness.sinks.markdown import MarkdownSink
from harness.sinks.terminal import TerminalSink


def main(options: argparse.Namespace) -> int:
    """Run `report` or `compare` and return the exit code."""
    store = Path(options.store or os.environ.get("HARNESS_STORE", ".harness"))
    runs = find_runs(store / "runs", options.runs)
    if not runs:
        raise StoreError(f"there are no runs in {store / 'runs'}. Make one: python -m harness run")
    return report(runs, options) if options.command == "report" else compare(runs, options)


def report(runs: Sequence[StoredRun], options: argparse.Namespace) -> int:
    """Write one report a task."""
    config = ReportConfig(options.out, options.name, not options.no_references, options.samples)
    boards = leaderboard.by_task(runs, options.metric)
    paths = []
    for board in boards:
        if not options.json:
            TerminalSink().write(board)
        paths += MarkdownSink(config).write(board)
    if options.json:
        print(json.dumps([leaderboard.as_json(board) for board in boards], indent=2))
    else:
        print("\n".join(paths))
    return 0
