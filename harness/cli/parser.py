"""The arguments of every command, in the order of `python -m harness --help`, and the options that commands share.

All parsers are built for each call, so that help and refusals are immediate: nothing heavy is imported here.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.paths import BASELINES

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_RUN = "id, start of an id, name or folder of a stored run"
_EXAMPLES = """examples:
  python -m harness run                                    evaluate SmolLM2 on Wikipedia first sentences
  python -m harness run task=jsonl task.path=data.jsonl model=local model.path=my/model
  python -m harness run model=replay model.path=completions.jsonl
  python -m harness run model=openai model.id=ft:... --dry-run        tokens and cost; nothing is sent
  python -m harness run -m prompt=chat,plain,few_shot      a sweep: one leaderboard of three runs
  python -m harness report                                 leaderboard of all stored runs
  python -m harness compare RUN RUN                        paired differences with intervals
  python -m harness judge RUN RUN model=local model.path=org/chat-model
  python -m harness baseline accept RUN                    set the baseline of later gates; commit it
  python -m harness gate RUN                               is it worse than the baseline?
  python -m harness serve --model smollm2                  an OpenAI-compatible server with fine-tuning
  python -m harness doctor                                 what is installed, what is missing

exit codes: 0 done, 1 failed, 2 wrong setting, 3 data, 4 model or missing package, 5 stored run,
            6 fine-tune, 7 worse than the baseline, 8 not enough data for the gate, 130 interrupted (the same
            command continues)"""


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of the whole command line."""
    top = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m harness",
        description="Which language model to ship, how sure that is, and whether it got worse.",
        epilog=_EXAMPLES,
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


_RUN_EXAMPLES = """Everything after `run` is passed to Hydra: key=value, group=choice, -m for a sweep, --cfg job
to print the config.

examples:
  python -m harness run --cfg job                          print the composed config
  python -m harness run task.n_validation=500 prompt=few_shot
  python -m harness run +sweep=grid --dry-run              what would be done, what is already stored
  python -m harness run tracking=wandb_online              send results to W&B (after `wandb login`)

groups (conf/): task, model, finetune, prompt, generation, metrics, tracking; all keys: harness/config/"""


def add_run(commands: Commands) -> None:
    """Add the parser of `run`."""
    command = _command(
        commands,
        "run",
        "fine-tune or reuse a model, generate, score, report",
        "Fine-tune a model or reuse it as it is, complete the validation prompts, score the completions, report.",
        _RUN_EXAMPLES,
    )
    command.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra overrides and options")
    command.add_argument("--dry-run", action="store_true", help="print what would be done and what is already stored")
    command.add_argument("--json", action="store_true", help="print the leaderboard as JSON on stdout")


_REPORT_EXAMPLES = """Each task, and each set of examples of a task, has a leaderboard and a report of its own. Nothing is
generated or scored again.

examples:
  python -m harness report                                 all stored runs
  python -m harness report RUN RUN --name before-after     these two, in reports/<task>/before-after/
  python -m harness report --incumbent RUN --useful-difference 0.02     replace the model in use, or keep it?
  python -m harness report --title "Isaac Asimov" --no-references       choose the example, omit references"""


def add_report(commands: Commands) -> None:
    """Add the parser of `report`."""
    command = _command(
        commands,
        "report",
        "rebuild the leaderboard and its report from stored runs",
        "Rebuild the leaderboard and its report (markdown and HTML) from stored runs.",
        _REPORT_EXAMPLES,
    )
    command.add_argument("runs", nargs="*", metavar="RUN", help=f"{_RUN} (default: all)")
    command.add_argument("--metric", help="sort and compare by this metric (default: the task's primary metric)")
    command.add_argument("--out", default="reports", help="folder for reports (default: %(default)s)")
    command.add_argument("--name", default="report", help="report folder in OUT/<task>/ (default: %(default)s)")
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


_COMPARE_EXAMPLES = """Runs are compared pairwise on the examples that all of them completed: difference, interval, p-value adjusted
by Holm over all pairs, tie groups and plausible ranks. The best two are also compared on every metric and in
every slice, and runs of one recipe with several training seeds as replicates.

examples:
  python -m harness compare RUN RUN                        every metric that both runs share
  python -m harness compare RUN RUN RUN --metric rougeL    one metric, three pairs
  python -m harness compare RUN RUN --unpaired             different examples of one task: wider intervals
  python -m harness compare RUN RUN --json"""


def add_compare(commands: Commands) -> None:
    """Add the parser of `compare`."""
    command = _command(
        commands,
        "compare",
        "paired differences between stored runs",
        "Compare stored runs by paired tests on the examples that they share.",
        _COMPARE_EXAMPLES,
    )
    command.add_argument("runs", nargs="+", metavar="RUN", help=_RUN)
    command.add_argument("--metric", help="compare on this metric only (default: all metrics that the runs share)")
    command.add_argument(
        "--unpaired", action="store_true", help="for two runs on different examples; detects only larger differences"
    )
    add_store(command)
    add_json(command)


_JUDGE_EXAMPLES = """Both completions of each example are shown in both orders, and the judge answers A, B or tie. What
follows the runs is passed to Hydra: model=CHOICE of conf/model/, and every key of conf/judge.yaml. Answers are
stored and not requested again.

examples:
  python -m harness judge RUN RUN model=local model.path=org/chat-model --n 20
  python -m harness judge RUN RUN model=smollm2 --json

A judge that contradicts itself when the completions change places is unreliable: check its flip rate first."""


def add_judge(commands: Commands) -> None:
    """Add the parser of `judge`."""
    command = _command(
        commands,
        "judge",
        "ask a model which of two stored runs is better",
        "Ask a model which of two runs' completions is better, and measure how reliable its judgement is.",
        _JUDGE_EXAMPLES,
    )
    command.add_argument("runs", nargs=2, metavar="RUN", help=_RUN)
    command.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="model=CHOICE and other Hydra overrides")
    command.add_argument("--n", type=int, help="judge only the first N shared examples (default: all)")
    add_store(command)
    add_config_dir(command)
    add_json(command)


_GATE_EXAMPLES = """A check passes if its interval lies above -margin, fails if it lies below, and is underpowered if it contains
-margin. Failed completions get the worst score, and significantly more failed or truncated completions than in
the baseline fail the gate.

examples:
  python -m harness gate RUN                               the baseline's primary metric, margin 0.02
  python -m harness gate RUN --metric rougeL --metric bleu --margin rougeL=0.02 --margin bleu=1 --slice topic
  python -m harness gate task=jsonl task.path=data.jsonl model=local model.path=my/model     run it, then gate it
  python -m harness gate model=smollm2 --max-seconds 300   in chunks, until the decision is certain

exit codes: 0 not worse, 7 worse, 8 not enough data to decide (0 with --underpowered warn),
            5 no baseline, or one that is not comparable"""


def add_gate(commands: Commands) -> None:
    """Add the parser of `gate`."""
    command = _command(
        commands,
        "gate",
        "check whether a run is worse than the accepted baseline",
        "Check whether a stored run, or the run of a config, is worse than the accepted baseline.",
        _GATE_EXAMPLES,
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
        help="largest tolerable loss of the mean, in the metric's units (default: 0.02 if values differ by at most 1)",
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


_BASELINE_EXAMPLES = """examples:
  python -m harness baseline accept RUN                    write benchmarks/<task>/; commit it
  python -m harness baseline accept RUN --name small       benchmarks/<task>/small/, for a task with several
  python -m harness baseline show                          list what is accepted
  python -m harness baseline diff RUN                      what changed: model, data, signatures, scores, examples"""


def add_baseline(commands: Commands) -> None:
    """Add the parser of `baseline`, with its three actions."""
    command = _command(
        commands,
        "baseline",
        "accept a run as the one that later runs are gated against",
        "Accept a run as a task's baseline, show what is accepted, or list what a run changes.",
        _BASELINE_EXAMPLES,
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    accept = _command(
        actions,
        "accept",
        "write a run to its baseline folder",
        "Write a run to the baseline folder of its task, which is then committed.",
        "example:\n  python -m harness baseline accept RUN --name small",
    )
    accept.add_argument("run", metavar="RUN", help=_RUN)
    accept.add_argument("--allow-errors", action="store_true", help="exclude failed examples from all comparisons")
    show = _command(
        actions,
        "show",
        "print baselines",
        "Print the accepted baselines: run, model, data, scores and signatures.",
        "examples:\n  python -m harness baseline show\n  python -m harness baseline show TASK --json",
    )
    show.add_argument("task", nargs="?", help="only the baseline of this task")
    diff = _command(
        actions,
        "diff",
        "list what a run changes against its baseline",
        "List what a run changes: model, data, settings, signatures, scores, and the examples that changed most.",
        "example:\n  python -m harness baseline diff RUN",
    )
    diff.add_argument("run", metavar="RUN", help=_RUN)
    for action in (accept, show, diff):
        _add_baseline_folder(action)
    for action in (accept, diff):
        add_store(action)
    for action in (show, diff):
        add_json(action)


_SYNC_EXAMPLES = """examples:
  python -m harness sync --all --dry-run                   list the offline runs
  python -m harness sync --all --project my-project        push every offline run and leaderboard
  python -m harness sync RUN --entity my-team              push one run
  python -m harness sync --openai --n 5                    log the latest 5 OpenAI fine-tuning jobs and their files
  python -m harness sync --openai ftjob-abc ftjob-def      log these jobs

Needs a W&B login, and for --openai OPENAI_API_KEY (and OPENAI_BASE_URL for another provider)."""


def add_sync(commands: Commands) -> None:
    """Add the parser of `sync`."""
    command = _command(
        commands,
        "sync",
        "push offline runs and OpenAI fine-tuning jobs to W&B",
        "Push the offline W&B runs of the store, and log existing OpenAI fine-tuning jobs in W&B.",
        _SYNC_EXAMPLES,
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


_SERVE_EXAMPLES = """examples:
  python -m harness serve                                  SmolLM2 at http://127.0.0.1:8000/v1
  python -m harness serve --model smollm2 --model my/model --port 9000
  HARNESS_SERVE_API_KEY=... python -m harness serve --host 0.0.0.0

a client, in another terminal, with OpenAI's own package (paste it as it is):

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
what it does not support. Files, jobs and models are kept in STORE/server; a job that was running continues when the
server is started again."""


def add_serve(commands: Commands) -> None:
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


_DOCTOR_EXAMPLES = """Nothing outside this machine is contacted, and the values of credentials are not read out.

examples:
  python -m harness doctor                                 what is installed, and how to install what is missing
  python -m harness doctor --json

exit codes: 0 done, 1 a required package is missing"""


def add_doctor(commands: Commands) -> None:
    """Add the parser of `doctor`."""
    command = _command(
        commands,
        "doctor",
        "versions, devices, extras, models, credentials",
        "List the installed packages, extras, devices, models and credentials, and how to install what is missing.",
        _DOCTOR_EXAMPLES,
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
