"""The command line: parses the arguments and imports the module of one command.

Exit codes: 0 done · 1 failed · 2 a setting or argument is wrong · 3 data · 4 model or missing package ·
5 stored run · 6 fine-tune · 7 gate: worse than the baseline · 8 gate: not enough data to decide ·
130 interrupted (run again to continue).
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence

from harness.cli.parser import parser

COMMANDS = {
    "run": "harness.cli.run",
    "report": "harness.cli.report",
    "compare": "harness.cli.compare",
    "judge": "harness.cli.judge",
    "gate": "harness.cli.gate",
    "baseline": "harness.cli.baseline",
    "sync": "harness.cli.sync",
    "serve": "harness.cli.serve",
    "doctor": "harness.cli.doctor",
}
"""The module of each command, imported on use; its `main` takes the parsed options and returns the exit code."""

OVERRIDES = {"judge": "overrides", "gate": "candidate"}
"""Where a command that takes Hydra overrides keeps them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append("")  # your own classes in the current folder, as with python -m
    top = parser()
    options, rest = top.parse_known_args(arguments)
    if options.command in OVERRIDES:  # argparse does not take positional words after an option
        overrides: list[str] = getattr(options, OVERRIDES[options.command])
        overrides += [word for word in rest if "=" in word and not word.startswith("-")]
        rest = [word for word in rest if word not in overrides]
    if rest and options.command != "run":
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    options.words = arguments[1:]
    try:
        return _dispatch(options)
    except KeyboardInterrupt:
        again = shlex.join(["python", "-m", "harness", *arguments])
        print(f"\ninterrupted. Finished work is stored; continue with:\n  {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


def _dispatch(options: argparse.Namespace) -> int:
    from harness.errors import HarnessError

    try:
        command: Callable[[argparse.Namespace], int] = importlib.import_module(COMMANDS[options.command]).main
        return command(options)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
