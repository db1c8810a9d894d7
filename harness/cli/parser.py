"""The arguments of every command, in the order of `python -m harness --help`, and the options that commands share.

All parsers are built for each call, so that help and refusals are immediate: nothing heavy is imported here.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.cli import help_texts
from harness.paths import BASELINES

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_RUN = "id, start of an id, name or folder of a stored run"


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of the whole command line."""
    top = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m harness",
        description="Which language model to ship, how sure that is, and whether it got worse.",
        epilog=help_texts.TOP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_run(commands)
    add_report(commands)
    add_compare(commands)
    add_judge(commands)
    add_gate(commands)
    add_baseline(commands)
    add_sync(commands)
    add_serve(commands)
    add_doctor(commands)
    return top


class _Version(argparse.Action):
    """Prints the version, which is looked up on use: importlib.metadata is half of the start-up time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import harness

        print(f"finetune-harness {harness.__version__}")
        parser.exit()


def add_run(commands: Commands) -> None:
    """Add the parser of `run`."""
    command = _command(
        commands,
        "run",
        "fine-tune or reuse a model, generate, score, report",
        "Fine-tune a model or reuse it as it is, complete the validation prompts, score the completions, report.",
        help_texts.RUN,
    )
    command.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra overrides and options")
    command.add_argument("--dry-run", action="store_true", help="print what would be done and what is already stored")
    command.add_argument(
        "--show-prompts",
        type=int,
        metavar="N",
        help="print N prompts as the model gets them, with token counts, and do nothing",
    )
    command.add_argument("--json", action="store_true", help="print the leaderboard as JSON on stdout")


def add_report(commands: Commands) -> None:
    """Add the parser of `report`."""
    command = _command(
        commands,
        "report",
        "rebuild the leaderboard and its report from stored runs",
        "Rebuild the leaderboard and its report (markdown and HTML) from stored runs.",
        help_texts.REPORT,
    )
    command.add_argument("runs", nargs="*", metavar="RUN", help=f"{_RUN} (default: all)")
    command.add_argument("--metric", help="sort and compare by this metric (default: the task's primary metric)")
    command.add_argument("--out", default="reports", help="folder for reports (default: %(default)s)")
    command.add_argument("--name", help="report folder in OUT/<task>/ (default: report)")
    command.add_argument("--samples", type=int, default=10, help="completions shown (default: %(default)s)")
    command.add_argument(
        "--title",
        action="append",
        default=[],
        metavar="T",
        dest="titles",
        help="an example to show in full, by id or prompt; repeat for more (default: people, else the first)",
    )
    command.add_argument("--no-references", action="store_true", help="omit reference texts, to commit the report")
    command.add_argument("--incumbent", default="", metavar="RUN", help="name or id of the run in use: keep it or not?")
    command.add_argument(
        "--useful-difference",
        type=float,
        default=0.0,
        metavar="D",
        help="smallest difference of the primary metric that matters (default: %(default)s)",
    )
    add_store(command)
    add_json(command)


def add_compare(commands: Commands) -> None:
    """Add the parser of `compare`."""
    command = _command(
        commands,
        "compare",
        "paired differences between stored runs",
        "Compare stored runs by paired tests on the examples that they share.",
        help_texts.COMPARE,
    )
    command.add_argument("runs", nargs="*", metavar="RUN", help=f"{_RUN} (default: all)")
    command.add_argument("--metric", help="compare on this metric only (default: all metrics that the runs share)")
    command.add_argument(
        "--unpaired", action="store_true", help="for two runs on different examples; detects only larger differences"
    )
    add_store(command)
    add_json(command)


def add_judge(commands: Commands) -> None:
    """Add the parser of `judge`."""
    command = _command(
        commands,
        "judge",
        "ask a model which of two stored runs is better",
        "Ask a model which of two runs' completions is better, and measure how reliable its judgement is.",
        help_texts.JUDGE,
    )
    command.add_argument("runs", nargs=2, metavar="RUN", help=_RUN)
    command.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="model=CHOICE and other Hydra overrides")
    command.add_argument("--n", type=int, help="judge only the first N shared examples (default: all)")
    add_store(command)
    add_config_dir(command)
    add_json(command)


def add_gate(commands: Commands) -> None:
    """Add the parser of `gate`."""
    command = _command(
        commands,
        "gate",
        "check whether a run is worse than the accepted baseline",
        "Check whether a stored run, or the run of a config, is worse than the accepted baseline.",
        help_texts.GATE,
    )
    command.add_argument("candidate", nargs="+", metavar="RUN", help="a stored run, or key=value overrides of a config")
    _add_baseline_folder(command)
    command.add_argument(
        "--metric", action="append", default=[], help="gate this metric; repeat for more (default: the primary one)"
    )
    command.add_argument(
        "--margin",
        action="append",
        default=[],
        metavar="[METRIC=]X",
        help="largest tolerable loss of the score, in the metric's units (default: 0.02 for scores from 0 to 1)",
    )
    command.add_argument(
        "--slice", action="append", default=[], metavar="KEY[=VALUE]", help="gate every slice of KEY, or one, as well"
    )
    command.add_argument("--no-failures", action="store_true", help="do not check failed and truncated completions")
    command.add_argument(
        "--underpowered",
        choices=("fail", "warn"),
        default="fail",
        help="the result if the data cannot decide (default: %(default)s)",
    )
    command.add_argument("--sequential", action="store_true", help="read in chunks, stop when the decision is certain")
    command.add_argument("--max-examples", type=int, metavar="N", help="sequential: read at most N examples")
    command.add_argument("--max-seconds", type=float, metavar="S", help="sequential: start no chunk after S seconds")
    command.add_argument("--max-cost", type=float, metavar="USD", help="sequential: start no chunk beyond this cost")
    add_store(command)
    add_config_dir(command)
    add_json(command)


def add_baseline(commands: Commands) -> None:
    """Add the parser of `baseline`, with its three actions."""
    command = _command(
        commands,
        "baseline",
        "accept a run as the one that later runs are gated against",
        "Accept a run as a task's baseline, show what is accepted, or list what a run changes.",
        help_texts.BASELINE,
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    accept, show, diff = (_command(actions, *texts) for texts in help_texts.BASELINE_ACTIONS)
    accept.add_argument("run", metavar="RUN", help=_RUN)
    accept.add_argument("--allow-errors", action="store_true", help="exclude failed examples from all comparisons")
    accept.add_argument("--replace", action="store_true", help="replace even the baseline of other data")
    show.add_argument("task", nargs="?", help="only the baseline of this task")
    diff.add_argument("run", metavar="RUN", help=_RUN)
    for action in (accept, show, diff):
        _add_baseline_folder(action)
    for action in (accept, diff):
        add_store(action)
    for action in (show, diff):
        add_json(action)


def add_sync(commands: Commands) -> None:
    """Add the parser of `sync`."""
    command = _command(
        commands,
        "sync",
        "push offline runs and OpenAI fine-tuning jobs to W&B",
        "Push the offline W&B runs of the store, and log existing OpenAI fine-tuning jobs in W&B.",
        help_texts.SYNC,
    )
    command.add_argument("runs", nargs="*", metavar="RUN", help=_RUN)
    command.add_argument("--all", action="store_true", help="push every run and leaderboard that is not pushed yet")
    command.add_argument("--openai", nargs="*", metavar="JOB_ID", help="log these fine-tuning jobs; without an id, all")
    command.add_argument("--n", type=int, help="only the latest N fine-tuning jobs")
    command.add_argument("--project", help="W&B project (default: the one that each run was logged for)")
    command.add_argument("--entity", help="W&B user or team (default: that of the login)")
    add_store(command)
    command.add_argument("--dry-run", action="store_true", help="print what would be pushed, and send nothing")
    add_json(command)


def add_serve(commands: Commands) -> None:
    """Add the parser of `serve`."""
    command = _command(
        commands,
        "serve",
        "an OpenAI-compatible server over local models, fine-tuning included",
        "Serve local models, fine-tuning included, to clients that are written for OpenAI's API.",
        help_texts.SERVE,
    )
    command.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="choice of conf/model/ or path, served under its last part; repeat for more (default: smollm2)",
    )
    command.add_argument(
        "--host", default="127.0.0.1", help="any but a loopback address needs a key (default: %(default)s)"
    )
    command.add_argument("--port", type=int, default=8000, help="0 takes any free port (default: %(default)s)")
    command.add_argument("--finetune", default="lora", help="choice of conf/finetune/ for jobs (default: lora)")
    command.add_argument(
        "--models-in-memory", type=int, default=1, metavar="N", help="models kept loaded (default: %(default)s)"
    )
    add_store(command)
    add_config_dir(command)


def add_doctor(commands: Commands) -> None:
    """Add the parser of `doctor`."""
    command = _command(
        commands,
        "doctor",
        "versions, devices, extras, models, credentials",
        "List the installed packages, extras, devices, models and credentials, and how to install what is missing.",
        help_texts.DOCTOR,
    )
    add_json(command)


def _command(commands: Commands, name: str, summary: str, description: str, epilog: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_baseline_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--baseline",
        default=BASELINES,
        metavar="DIR",
        help="folder of baselines, or of one baseline (default: %(default)s)",
    )
    command.add_argument("--name", default="", help="which baseline, if a task has several")


def add_store(command: argparse.ArgumentParser) -> None:
    """Add `--store`, which `harness.store.stages.store_root` reads."""
    command.add_argument("--store", help="folder of stored runs (default: $HARNESS_STORE or .harness)")


def add_config_dir(command: argparse.ArgumentParser) -> None:
    """Add `--config-dir`, which `harness.config.compose.search_path` reads."""
    command.add_argument(
        "--config-dir", metavar="DIR", help="folder with your own config groups, such as DIR/model/mine.yaml"
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="print as JSON on stdout")
