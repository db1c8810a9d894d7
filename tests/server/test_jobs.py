"""Fine-tuning through OpenAI's own client: a job trains, reports its progress, and its model answers."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest

from harness.config import FineTuneMethod, LoraConfig
from harness.finetune.local import LocalFineTuner
from harness.models.local import LocalModel
from harness.server.training_files import read_pairs
from harness.types import Message, Prompt, SamplingParams
from tests.support.serving import QUESTION, Served, conversations, ended, tiny, wait

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

SUPERVISED: Any = {
    "type": "supervised",
    "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": "auto"}},
}


@pytest.fixture(scope="module")
def job(served: Served) -> FineTuningJob:
    """A finished job."""
    client = served.client()
    files = [
        client.files.create(file=(name, conversations()), purpose="fine-tune").id for name in ("a.jsonl", "b.jsonl")
    ]
    created = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=files[0],
        validation_file=files[1],
        method=SUPERVISED,
        seed=3,
        suffix="things",
        metadata={"key": "one"},
    )
    assert created.status in ("queued", "running")
    return wait(lambda: ended(client, created.id))


def test_a_job_succeeds(job: FineTuningJob) -> None:
    assert (job.status, job.error, job.seed) == ("succeeded", None, 3)
    assert job.fine_tuned_model == f"ft:tiny:harness:things:{job.id.removeprefix('ftjob-')[:8]}"
    assert job.method is not None
    assert job.method.supervised is not None
    assert job.hyperparameters.n_epochs == 2
    assert job.hyperparameters.batch_size == 4
    assert job.trained_tokens
    assert job.finished_at
    assert job.finished_at >= job.created_at


def test_its_curve_is_that_of_the_local_fine_tuner(
    served: Served, job: FineTuningJob, tiny_model: Path, tmp_path: Path
) -> None:
    content = served.client().files.content(job.result_files[0]).read()
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(content).decode())))
    (tmp_path / "train.jsonl").write_bytes(conversations())
    pairs = read_pairs(tmp_path / "train.jsonl", "train")
    config = LoraConfig(
        FineTuneMethod.lora, n_epochs=2, batch_size=4, seed=3, learning_rate_multiplier=20.0, n_evaluations=10
    )
    fit = tmp_path / "fit"
    fit.mkdir()
    curve = LocalFineTuner(config, tiny(tiny_model)).fit(pairs, pairs, fit).curve
    assert [int(row["step"]) for row in rows] == [point.step for point in curve] == [1, 2, 3, 4, 5, 6]
    assert [float(row["train_loss"]) for row in rows] == pytest.approx([point.train_loss for point in curve])
    assert [float(row["valid_loss"]) for row in rows] == pytest.approx([point.validation_loss for point in curve])
    accuracies = [float(row["valid_mean_token_accuracy"]) for row in rows]
    assert accuracies == pytest.approx([point.token_accuracy for point in curve])


def test_its_events_come_newest_first_and_in_pages(client: OpenAI, job: FineTuningJob) -> None:
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))
    messages = [event.message for event in events]
    assert messages[0] == "The job has successfully completed"
    assert messages[-1] == f"Created fine-tuning job: {job.id}"
    steps: list[Any] = [event.data for event in events if event.type == "metrics"]
    assert [step["step"] for step in steps] == [6, 5, 4, 3, 2, 1]
    assert all(step["total_steps"] == 6 and step["train_loss"] > 0 and step["valid_loss"] > 0 for step in steps)
    assert len({event.id for event in events}) == len(events)


def test_the_weights_that_were_kept_are_its_checkpoint(client: OpenAI, job: FineTuningJob) -> None:
    [checkpoint] = client.fine_tuning.jobs.checkpoints.list(job.id)
    steps: list[Any] = [e.data for e in client.fine_tuning.jobs.list_events(job.id) if e.type == "metrics"]
    best = min(steps, key=lambda step: step["valid_loss"])
    assert checkpoint.step_number == best["step"]
    assert checkpoint.metrics.full_valid_loss == pytest.approx(best["valid_loss"])
    assert checkpoint.fine_tuned_model_checkpoint == job.fine_tuned_model


def test_its_model_answers_as_the_adapter_does(served: Served, job: FineTuningJob, tiny_model: Path) -> None:
    client, name = served.client(), job.fine_tuned_model or ""
    assert name in [model.id for model in client.models.list()]
    answer = client.chat.completions.create(model=name, messages=QUESTION, max_tokens=12, temperature=0)  # type: ignore[arg-type]
    [adapter] = (served.settings.folder / "stages" / "finetune").glob("*/adapter_config.json")
    config = tiny(tiny_model)
    config.adapter = str(adapter.parent)
    prompt = Prompt("0", messages=(Message("user", QUESTION[0]["content"]),))
    [expected] = LocalModel(config).generate([prompt], SamplingParams(max_tokens=12))
    assert answer.choices[0].message.content == expected.text
    base = client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=12, temperature=0)  # type: ignore[arg-type]
    assert base.choices[0].message.content != expected.text
    assert base.system_fingerprint != answer.system_fingerprint


def test_jobs_are_listed_by_metadata(client: OpenAI, job: FineTuningJob) -> None:
    assert [listed.id for listed in client.fine_tuning.jobs.list(metadata={"key": "one"})] == [job.id]
    assert list(client.fine_tuning.jobs.list(metadata={"key": "two"})) == []
    with pytest.raises(openai.BadRequestError, match="already succeeded"):
        client.fine_tuning.jobs.cancel(job.id)


def test_a_job_with_the_same_data_and_settings_is_not_trained_again(served: Served, job: FineTuningJob) -> None:
    client = served.client()
    again = client.fine_tuning.jobs.create(
        model="tiny", training_file=job.training_file, validation_file=job.validation_file, method=SUPERVISED, seed=3
    )
    done = wait(lambda: ended(client, again.id))
    assert done.status == "succeeded"
    assert len(list((served.settings.folder / "stages" / "finetune").glob("*/adapter_config.json"))) == 1
    assert [e.type for e in client.fine_tuning.jobs.list_events(again.id)].count("metrics") == 6
    name = done.fine_tuned_model or ""
    assert client.models.delete(name).deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(name)
    assert client.models.retrieve(job.fine_tuned_model or "").id == job.fine_tuned_model  # whose weights are the same
    assert list((served.settings.folder / "stages" / "finetune").glob("*/adapter_config.json"))
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("tiny")


def test_a_file_that_cannot_be_trained_on_fails_the_job(client: OpenAI) -> None:
    lines = conversations(2) + b'{"messages": [{"role": "user", "content": "And?"}]}\n'
    file = client.files.create(file=("bad.jsonl", lines), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "line 3" in job.error.message
    assert client.fine_tuning.jobs.retrieve(job.id) == job


def test_an_example_that_is_longer_than_the_model_takes_fails_the_job_and_not_the_next(client: OpenAI) -> None:
    long = conversations(1).replace(b"What is", b"What is " + b"and " * 150)
    file = client.files.create(file=("long.jsonl", long), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
    done = wait(lambda: ended(client, job.id))
    assert done.status == "failed"
    assert done.error is not None
    assert "'line 1'" in done.error.message
    assert "takes 128" in done.error.message
    assert done.fine_tuned_model is None


def test_a_cancelled_job_ends_and_the_next_starts(client: OpenAI) -> None:
    file = client.files.create(file=("a.jsonl", conversations()), purpose="fine-tune")
    slow: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 50, "batch_size": 1}}}
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id, method=slow, seed=1)
    queued = client.fine_tuning.jobs.create(model="tiny", training_file=file.id, hyperparameters={"n_epochs": 1})
    with pytest.raises(openai.ConflictError, match="needed by a job"):
        client.files.delete(file.id)
    wait(lambda: any(event.type == "metrics" for event in client.fine_tuning.jobs.list_events(job.id)))
    assert client.fine_tuning.jobs.retrieve(queued.id).status == "queued"
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert wait(lambda: ended(client, queued.id)).status == "succeeded"
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    assert client.files.delete(file.id).deleted


def test_jobs_need_no_validation_file_and_take_prompts_and_completions(tmp_path: Path, served: Served) -> None:
    client = served.client()
    lines = b"".join(b'{"prompt": "Thing %d ->", "completion": " it is %d"}\n' % (i, i) for i in range(12))
    file = client.files.create(file=("plain.jsonl", lines), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id, hyperparameters={"n_epochs": 1})
    done = wait(lambda: ended(client, job.id))
    assert done.status == "succeeded"
    content = base64.b64decode(client.files.content(done.result_files[0]).read()).decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [row["valid_loss"] for row in rows] == [""] * len(rows)
    answer = client.completions.create(model=done.fine_tuned_model or "", prompt="Thing 3 ->", max_tokens=5)
    assert answer.choices[0].finish_reason in ("stop", "length")
