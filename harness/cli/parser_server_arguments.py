"""What `python -m harness serve` accepts; imports nothing heavy."""

from __future__ import annotations

import argparse

from harness.cli.parser_options import add_store

_EXAMPLES = """examples:
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
        epilog=_EXAMPLES,
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
