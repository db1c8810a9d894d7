"""A server that is killed while a job trains: after a restart the job continues, and its result is the same."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from harness.config import FineTuneMethod, LoraConfig
from harness.finetune.local import LocalFineTuner
from harness.server.training_files import read_pairs, step_metrics
from tests.support.serving import conversations, ended, tiny, wait

LONG: Any = {
    "type": "supervised",
    "supervised": {"hyperparameters": {"n_epochs": 25, "batch_size": 1, "learning_rate_multiplier": 20}},
}


@contextmanager
def server(folder: Path, model: Path, how: signal.Signals) -> Iterator[tuple[OpenAI, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "harness", "serve", "--model", str(model), "--port", "0", "--store", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            address = re.search(r"http://\S+/v1", process.stderr.readline())
            assert address
            yield OpenAI(base_url=address[0].rstrip(","), api_key="local", max_retries=0), process
        finally:
            process.send_signal(how)
            process.wait(timeout=120)


@pytest.mark.slow
def test_a_job_survives_the_server(tmp_path: Path, tiny_model: Path) -> None:
    with server(tmp_path, tiny_model, signal.SIGKILL) as (client, _):
        file = client.files.create(file=("a.jsonl", conversations()), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model=tiny_model.name, training_file=file.id, method=LONG, seed=5)
        wait(lambda: any(event.type == "metrics" for event in client.fine_tuning.jobs.list_events(job.id)))
        assert client.fine_tuning.jobs.retrieve(job.id).status == "running"
    assert list(tmp_path.glob("server/stages/finetune/.*.part/checkpoint.safetensors"))
    with server(tmp_path, tiny_model, signal.SIGINT) as (client, process):
        done = wait(lambda: ended(client, job.id))
        assert done.status == "succeeded"
        events = list(client.fine_tuning.jobs.list_events(job.id))
        assert [event.message for event in events].count("Fine-tuning job continues") == 1
        steps: list[Any] = [event.data for event in events if event.type == "metrics"]
        assert [step["step"] for step in steps] == list(range(300, 0, -30))
        content = client.files.content(done.result_files[0]).read()
        assert client.models.retrieve(done.fine_tuned_model or "").id == done.fine_tuned_model
    assert process.returncode == 0
    (tmp_path / "train.jsonl").write_bytes(conversations())
    config = LoraConfig(
        FineTuneMethod.lora, n_epochs=25, batch_size=1, seed=5, learning_rate_multiplier=20.0, n_evaluations=10
    )
    pairs = read_pairs(tmp_path / "train.jsonl", "train")
    (tmp_path / "fit").mkdir()
    whole = LocalFineTuner(config, tiny(tiny_model)).fit(pairs, [], tmp_path / "fit")
    assert base64.b64decode(content) == base64.b64decode(step_metrics(whole))
