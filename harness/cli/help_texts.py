"""What `--help` teaches below the options of each command: how it works, examples, exit codes."""

TOP = """examples:
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

RUN = """Everything after `run` is passed to Hydra: key=value, group=choice, -m for a sweep, --cfg job
to print the config.

examples:
  python -m harness run --cfg job                          print the composed config
  python -m harness run task.n_validation=500 prompt=few_shot
  python -m harness run --show-prompts 2                   what the model gets, rendered, with token counts
  python -m harness run +sweep=grid --dry-run              what would be done, what is already stored
  python -m harness run tracking=wandb_online              send results to W&B (after `wandb login`)

groups (conf/): task, model, finetune, prompt, generation, metrics, tracking; all keys: harness/config/"""

REPORT = """Each task, and each set of examples of a task, has a leaderboard and a report of its own. Nothing
is generated or scored again.

examples:
  python -m harness report                                 all stored runs
  python -m harness report RUN RUN --name before-after     these two, in reports/<task>/before-after/
  python -m harness report --incumbent RUN --useful-difference 0.02     replace the model in use, or keep it?
  python -m harness report --title "Isaac Asimov" --no-references       choose the example, omit references"""

COMPARE = """Runs are compared pairwise on the examples that all of them completed: difference, interval, p-value
adjusted by Holm over all pairs, tie groups and plausible ranks. The best two are also compared on every metric
and in every slice, and runs of one recipe with several seeds as replicates.

examples:
  python -m harness compare                                all stored runs of one task
  python -m harness compare RUN RUN                        every metric that both runs share
  python -m harness compare RUN RUN RUN --metric rougeL    one metric, three pairs
  python -m harness compare RUN RUN --unpaired             different examples of one task: wider intervals
  python -m harness compare RUN RUN --json"""

JUDGE = """Both completions of each example are shown in both orders, and the judge answers A, B or tie. What
follows the runs is passed to Hydra: model=CHOICE of conf/model/, and every key of conf/judge.yaml. Answers are
stored and not requested again.

examples:
  python -m harness judge RUN RUN model=local model.path=org/chat-model --n 20
  python -m harness judge RUN RUN model=smollm2 --json

A judge that contradicts itself when the completions change places is unreliable: check its flip rate first."""

GATE = """A check passes if its interval lies above -margin, fails if it lies below, and is underpowered if it
contains -margin. Failed completions get the worst score, and significantly more failed or truncated completions
than in the baseline fail the gate. Equal scores of other texts have an interval too, and a baseline that could not
get worse shows nothing (docs/gate.md).

examples:
  python -m harness gate RUN                               the baseline's primary metric, margin 0.02
  python -m harness gate RUN --metric rougeL --metric bleu --margin rougeL=0.02 --margin bleu=1 --slice topic
  python -m harness gate task=jsonl task.path=data.jsonl model=local model.path=my/model     run it, then gate it
  python -m harness gate model=smollm2 --max-seconds 300   in chunks, until the decision is certain

exit codes: 0 not worse, 7 worse, 8 not enough data to decide (0 with --underpowered warn),
            5 no baseline, or one that is not comparable"""

BASELINE = """examples:
  python -m harness baseline accept RUN                    write benchmarks/<task>/; commit it
  python -m harness baseline accept RUN --name small       benchmarks/<task>/small/, for a task with several
  python -m harness baseline accept RUN --replace          even where the baseline is of other data
  python -m harness baseline show                          list what is accepted
  python -m harness baseline diff RUN                      what changed: model, data, signatures, scores, examples"""

SYNC = """examples:
  python -m harness sync --all --dry-run                   list the offline runs
  python -m harness sync --all --project my-project        push every offline run and leaderboard
  python -m harness sync RUN --entity my-team              push one run
  python -m harness sync --openai --n 5                    log the latest 5 OpenAI fine-tuning jobs and their files
  python -m harness sync --openai ftjob-abc ftjob-def      log these jobs

Needs a W&B login, and for --openai OPENAI_API_KEY (and OPENAI_BASE_URL for another provider)."""

SERVE = """examples:
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

DOCTOR = """Nothing outside this machine is contacted, and the values of credentials are not read out.

examples:
  python -m harness doctor                                 what is installed, and how to install what is missing
  python -m harness doctor --json

exit codes: 0 done, 1 a required package is missing"""

BASELINE_ACTIONS = (
    (
        "accept",
        "write a run to its baseline folder",
        "Write a run to the baseline folder of its task, which is then committed.",
        "The baseline of other data is not replaced, unless with --replace.\n\n"
        "examples:\n  python -m harness baseline accept RUN --name small\n"
        "  python -m harness baseline accept RUN --replace",
    ),
    (
        "show",
        "print baselines",
        "Print the accepted baselines: run, model, data, scores and signatures.",
        "examples:\n  python -m harness baseline show\n  python -m harness baseline show TASK --json",
    ),
    (
        "diff",
        "list what a run changes against its baseline",
        "List what a run changes: model, data, settings, signatures, scores, and the examples that changed most.",
        "example:\n  python -m harness baseline diff RUN",
    ),
)
"""The name, summary, description and epilog of each action of `baseline`."""
