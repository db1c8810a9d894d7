"""What `gate` and `baseline` accept on the command line; nothing heavy is imported."""

from __future__ import annotations

import argparse
from typing import Any

from harness.cli.parser_options import add_json, add_store

ROOT = "benchmarks"
"""Where baselines are kept, a folder a task."""

_GATE_EXAMPLES = """A check passes when its interval is above -margin, fails when it is below, and is underpowered
otherwise. Failed completions count as the worst ones, and surely more failed or truncated ones than before fail
the gate.

examples:
  python -m harness gate RUN                               the baseline's primary metric, margin 0.02
  python -m harness gate RUN --metric rougeL --metric bleu --margin rougeL=0.02 --margin bleu=1 --slice topic
  python -m harness gate task=jsonl task.path=data.jsonl model=local model.path=my/model     run it, then gate it
  python -m harness gate model=smollm2 --max-seconds 300   in chunks, ending as soon as the verdict is certain

exit codes: 0 not worse, 7 worse, 8 not enough data to say (0 with --underpowered warn), 5 no baseline that matches"""

_BASELINE_EXAMPLES = """examples:
  python -m harness baseline accept RUN                    write benchmarks/<task>/; commit it
  python -m harness baseline accept RUN --name small       benchmarks/<task>/small/, for tasks with several
  python -m harness baseline show                          what is accepted
  python -m harness baseline diff RUN                      what changed: model, data, signatures, scores, examples"""


def add_gate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of `gate`."""
    command = commands.add_parser(
        "gate",
        help="whether a run is worse than the accepted baseline",
        description="Say whether a stored run, or the run of a config, is worse than the accepted baseline.",
        epilog=_GATE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("candidate", nargs="+", metavar="RUN", help="a stored run; or key=value overrides of a config")
    _add_place(command)
    command.add_argument("--metric", action="append", default=[], help="gate this metric (default: the primary one)")
    command.add_argument(
        "--margin",
        action="append",
        default=[],
        metavar="[METRIC=]X",
        help="how much worse the mean may be, in the metric's units (default: 0.02 where values differ by 1 at most)",
    )
    command.add_argument("--slice", action="append", default=[], metavar="KEY[=VALUE]", help="gate slices on their own")
    command.add_argument("--no-failures", action="store_true", help="no check of failed and truncated completions")
    command.add_argument(
        "--underpowered", choices=("fail", "warn"), default="fail", help="when the data cannot say (default: fail)"
    )
    command.add_argument("--sequential", action="store_true", help="read in chunks, end when the verdict is certain")
    command.add_argument("--max-examples", type=int, metavar="N", help="sequential: read at most N examples")
    command.add_argument("--max-seconds", type=float, metavar="S", help="sequential: start no chunk after S seconds")
    command.add_argument("--max-cost", type=float, metavar="USD", help="sequential: start no chunk after that cost")
    add_store(command)
    add_json(command)


def add_baseline(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of `baseline`."""
    command = commands.add_parser(
        "baseline",
        help="accept a run as the one that later runs are gated against",
        description="Accept a run as a task's baseline, show what is accepted, or say what a run changes.",
        epilog=_BASELINE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    accept: Any = actions.add_parser("accept", help="write a run to its baseline folder, to be committed")
    accept.add_argument("run", metavar="RUN", help="id, start of an id, name or folder")
    accept.add_argument("--allow-errors", action="store_true", help="leave failed examples out of all comparisons")
    show = actions.add_parser("show", help="print baselines")
    show.add_argument("task", nargs="?", help="of this task only")
    diff = actions.add_parser("diff", help="what a run changes against its baseline")
    diff.add_argument("run", metavar="RUN", help="id, start of an id, name or folder")
    for each in (accept, show, diff):
        _add_place(each)
    for each in (accept, diff):
        add_store(each)
    for each in (show, diff):
        add_json(each)


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--baseline", default=ROOT, metavar="DIR", help="the folder of baselines, or one of them (default: %(default)s)"
    )
    command.add_argument("--name", default="", help="which baseline, where a task has several")
