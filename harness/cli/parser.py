"""What the command line accepts: one argparse parser a command, and nothing heavy imported.

Options that several commands take, each worded once; nothing heavy is imported.

What `gate` and `baseline` accept on the command line; nothing heavy is imported.

What `python -m harness serve` accepts; imports nothing heavy.
"""

from __future__ import annotations

import argparse
from typing import Any

from harness.paths import BASELINES

_SERVE_EXAMPLES = """examples:
  python -m harness serve                                  SmolLM2 at http://127.0.0.1:8000/v1
  python -m harness serve --model smollm2 --model my/model --port 9000
  HARNESS_SERVE_API_KEY=... python -m harness serve --host 0.0.0.0

a client, in another terminal, with OpenAI's own package (to be pasted as it is):

export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=local
cat > train.jsonl <<'END'
{"messages": [{"role": "user", "content": "Ping?"}, {"role": "assistant", "content": "Pong."}]}
{"messages": [{"role": "user", "content": "Ping, please?"}, {"role": "assistant", "content": "Pong."}]}
END
python - <<'END'
import time
from openai import OpenAI
client = OpenAI()
def ask(model):
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Ping?"}], max_tokens=20)
    print(model, "says", answer.choices[0].message.content)
ask("smollm2")
file = client.files.create(file=open("train.jsonl", "rb"), purpose="fine-tune")
job = client.fine_tuning.jobs.create(model="smollm2", training_file=file.id, suffix="pong")
while job.status in ("queued", "running"):
    time.sleep(2)
    job = client.fine_tuning.jobs.retrieve(job.id)
ask(job.fine_tuned_model)
END

It serves /v1/models, files, fine_tuning/jobs, completions, chat/completions, embeddings and batches, and refuses
what it does not support. Files, jobs and models are kept in STORE/server; a job that was running goes on when the
server is started again."""


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    command = commands.add_parser(
        "serve",
        help="an OpenAI-compatible server over local models, fine-tuning included",
        description="Serve local models, fine-tuning included, to clients that are written for OpenAI's API.",
        epilog=_SERVE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="choice of conf/model/ or path, served under its last part; repeat for more (default: smollm2)",
    )
    command.add_argument("--host", default="127.0.0.1", help="any but loopback needs a key (default: %(default)s)")
    command.add_argument("--port", type=int, default=8000, help="0 takes any that is free (default: %(default)s)")
    command.add_argument("--finetune", default="lora", help="choice of conf/finetune/ for jobs (default: lora)")
    command.add_argument("--models-in-memory", type=int, default=1, metavar="N", help="(default: %(default)s)")
    add_store(command)


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
        "--baseline",
        default=BASELINES,
        metavar="DIR",
        help="folder of baselines, or one of them (default: %(default)s)",
    )
    command.add_argument("--name", default="", help="which baseline, where a task has several")


def add_store(command: argparse.ArgumentParser) -> None:
    """Add `--store`, which `harness.store.stages.store_root` reads."""
    command.add_argument("--store", help="where runs are kept (default: $HARNESS_STORE or .harness)")


def add_json(command: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="print as JSON on stdout")


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
