"""What the command line accepts: one argparse parser a command, and nothing heavy imported."""

from __future__ import annotations

import argparse

from harness.cli.parser_gate_arguments import add_baseline, add_gate
from harness.cli.parser_options import add_json, add_store
from harness.cli.parser_server_arguments import add_serve

_EXAMPLES = """examples:
  python -m harness run                                    reuse SmolLM2 on Wikipedia first sentences
  python -m harness run task=jsonl task.path=data.jsonl model=local model.path=my/model
  python -m harness run model=replay model.path=completions.jsonl
  python -m harness run model=openai model.id=ft:... --dry-run        tokens and cost, nothing is sent
  python -m harness run -m prompt=chat,plain,few_shot      one leaderboard over three runs
  python -m harness report                                 leaderboard over all stored runs
  python -m harness compare RUN RUN                        paired differences with intervals
  python -m harness judge RUN RUN model=local model.path=org/chat-model
  python -m harness baseline accept RUN                    what later runs are gated against; commit it
  python -m harness gate RUN                               is it worse than the baseline?
  python -m harness serve --model smollm2                  an OpenAI-compatible server, fine-tuning included
  python -m harness doctor                                 what is installed, what is missing

exit codes: 0 done, 1 failed, 2 wrong setting, 3 data, 4 model or missing package, 5 stored run,
            6 fine-tune, 7 worse than the baseline, 8 not enough data for the gate, 130 interrupted (the same
            command continues)"""

_RUN_EXAMPLES = """Everything after `run` is for Hydra: key=value, group=choice, -m for a sweep, --cfg job to see all.

examples:
  python -m harness run --cfg job                          print the composed config
  python -m harness run task.n_validation=500 prompt=few_shot
  python -m harness run +sweep=grid --dry-run              what would be done, what is there already
  python -m harness run tracking=wandb_online              send results to W&B (after `wandb login`)

groups (conf/): task, model, finetune, prompt, generation, metrics, tracking; every key: harness/config/"""

_JUDGE_EXAMPLES = """Both completions of each example are shown in both orders, and the judge answers A, B or
tie. What follows the runs is for Hydra: model=CHOICE of conf/model/, and every key of conf/judge.yaml. Answers
are kept and not asked for again.

examples:
  python -m harness judge RUN RUN model=local model.path=org/chat-model --n 20
  python -m harness judge RUN RUN model=smollm2 --json

A judge that contradicts itself when the answers change places is no judge: read its flip rate first."""


_SYNC_EXAMPLES = """examples:
  python -m harness sync --all --dry-run                   what lies offline
  python -m harness sync --all --project my-project        push every offline run and leaderboard
  python -m harness sync RUN --entity my-team              push one
  python -m harness sync --openai --n 5                    log the latest five OpenAI fine-tuning jobs, with their files
  python -m harness sync --openai ftjob-abc ftjob-def      log these

Needs a W&B login, and for --openai OPENAI_API_KEY (and OPENAI_BASE_URL for another provider)."""


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of the whole command line."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m harness",
        description="Which language model to ship, how sure that is, and whether it got worse.",
        epilog=_EXAMPLES,
        formatter_class=raw,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="fine-tune or reuse a model, generate, score, report",
        description="Fine-tune or reuse a model, complete the validation prompts, score them, report.",
        epilog=_RUN_EXAMPLES,
        formatter_class=raw,
    )
    run.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra overrides and options")
    run.add_argument("--dry-run", action="store_true", help="print what would be done and what is there already")
    run.add_argument("--json", action="store_true", help="print the leaderboard as JSON on stdout")
    report = commands.add_parser("report", help="rebuild the leaderboard and its report from stored runs")
    _add_runs(report, "*")
    report.add_argument("--out", default="reports", help="folder for reports (default: %(default)s)")
    report.add_argument("--name", default="report", help="report folder under OUT/<task>/ (default: %(default)s)")
    report.add_argument("--samples", type=int, default=10, help="completions shown (default: %(default)s)")
    titled = "an example to show in full, by id or prompt; may be repeated (default: people, else the first)"
    report.add_argument("--title", action="append", default=[], metavar="T", dest="titles", help=titled)
    report.add_argument("--no-references", action="store_true", help="leave reference texts out, to commit the report")
    _add_aim(report)
    compare = commands.add_parser("compare", help="paired differences between stored runs")
    _add_runs(compare, "+")
    compare.add_argument("--unpaired", action="store_true", help="for two runs on different examples: shows less")
    _add_judge(commands)
    add_gate(commands)
    add_baseline(commands)
    _add_sync(commands)
    add_serve(commands)
    doctor = commands.add_parser("doctor", help="versions, devices, extras, models, credentials")
    add_json(doctor)
    return top


def _add_runs(command: argparse.ArgumentParser, count: str) -> None:
    command.add_argument("runs", nargs=count, metavar="RUN", help="id, start of an id, name or folder; default: all")
    add_store(command)
    command.add_argument("--metric", help="sort by this metric instead of the task's primary one")
    add_json(command)


def _add_aim(command: argparse.ArgumentParser) -> None:
    command.add_argument("--incumbent", default="", metavar="RUN", help="name or id of the run in use: keep it or not")
    least = "smallest difference of the primary metric that matters (default: %(default)s)"
    command.add_argument("--useful-difference", type=float, default=0.0, metavar="D", help=least)


def _add_judge(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "judge",
        help="ask a model which of two stored runs is better",
        description="Ask a model which of two runs' completions is better, and how far the model can be believed.",
        epilog=_JUDGE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("runs", nargs=2, metavar="RUN", help="id, start of an id, name or folder")
    command.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="model=CHOICE and other Hydra overrides")
    command.add_argument("--n", type=int, help="judge only the first N shared examples (default: all)")
    add_store(command)
    add_json(command)


def _add_sync(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "sync",
        help="push offline runs and OpenAI fine-tuning jobs to W&B",
        description="Push offline W&B runs of the store, and log existing OpenAI fine-tuning jobs in W&B.",
        epilog=_SYNC_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("runs", nargs="*", metavar="RUN", help="id, start of an id, name or folder")
    command.add_argument("--all", action="store_true", help="every run and leaderboard that is not pushed")
    command.add_argument("--openai", nargs="*", metavar="JOB_ID", help="fine-tuning jobs; without an id all of them")
    command.add_argument("--n", type=int, help="only the latest N fine-tuning jobs")
    command.add_argument("--project", help="W&B project (default: the one that each run was logged for)")
    command.add_argument("--entity", help="W&B user or team (default: that of the login)")
    add_store(command)
    command.add_argument("--dry-run", action="store_true", help="print what would be pushed and send nothing")
    add_json(command)
