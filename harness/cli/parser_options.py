"""Options that several commands take, each worded once; nothing heavy is imported."""

from __future__ import annotations

import argparse


def add_store(command: argparse.ArgumentParser) -> None:
    """Add `--store`, which `harness.store.stages.store_root` reads."""
    command.add_argument("--store", help="where runs are kept (default: $HARNESS_STORE or .harness)")


def add_json(command: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="print as JSON on stdout")
