"""Jobs whose training process dies, the limit of unfinished jobs, and the records that a restart reads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from harness.config import FineTuneMethod, LocalModelConfig, LoraConfig, TrainingConfig
from harness.errors import StoreError
from harness.server.app import application
from harness.server.jobs import JOB, Failure, FineTuningJob, JobEvent, JobEvents, JobStatus
from tests.support.serving import conversations, limits, settings, tiny, wait

JOBS = "/v1/fine_tuning/jobs"


def test_a_job_whose_process_dies_is_tried_again_and_then_fails(tmp_path: Path) -> None:
    app = application(settings(tmp_path, {"tiny": tiny(tmp_path)}))
    app.state.server.trainer.process.command = (sys.executable, "-c", "raise SystemExit(9)")
    with TestClient(app, base_url="http://localhost") as web:
        form = {"file": ("a.jsonl", conversations())}
        file = web.post("/v1/files", data={"purpose": "fine-tune"}, files=form).json()["id"]
        job = web.post(JOBS, json={"model": "tiny", "training_file": file}).json()["id"]
        failed = wait(lambda: now if (now := web.get(f"{JOBS}/{job}").json())["status"] == "failed" else None)
        messages = [event["message"] for event in web.get(f"{JOBS}/{job}/events").json()["data"]]
    assert failed["error"]["message"] == "The training process died 3 times."
    assert sum("trying again" in message for message in messages) == 2


def test_the_number_of_unfinished_jobs_is_limited(tmp_path: Path) -> None:
    app = application(settings(tmp_path, {"tiny": tiny(tmp_path)}, limits=limits(jobs=2)))
    web = TestClient(app, base_url="http://localhost")  # no context: its threads do not start, and no job ends
    form = {"file": ("a.jsonl", conversations())}
    file = web.post("/v1/files", data={"purpose": "fine-tune"}, files=form).json()["id"]
    answers = [web.post(JOBS, json={"model": "tiny", "training_file": file}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "30"
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"
    assert web.get(JOBS, params={"limit": 1}).json()["has_more"] is True
    assert web.post(f"{JOBS}/{answers[0].json()['id']}/cancel").json()["status"] == "cancelled"
    assert web.post(JOBS, json={"model": "tiny", "training_file": file}).status_code == 200


@pytest.mark.parametrize(
    "training",
    [
        LoraConfig(FineTuneMethod.lora, n_epochs=2, rank=3),
        TrainingConfig(FineTuneMethod.full, learning_rate_multiplier=2.0),
    ],
)
def test_a_record_is_read_as_it_was_written(training: TrainingConfig) -> None:
    base = LocalModelConfig(backend="local", name="tiny", path="/models/tiny", layers=[0, 1])
    job = FineTuningJob(
        f"ftjob-{'0' * 24}", 1.5, "tiny", base, training, "file", metadata={"a": "b"}, status=JobStatus.FAILED
    )
    job = JOB.validate_json(JOB.dump_json(job))
    assert type(job.training) is type(training)
    assert job.training == training
    assert job.base == base
    assert job.failure is None


def test_a_damaged_record_is_reported_with_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "server" / "jobs" / f"ftjob-{'0' * 24}"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    with pytest.raises(StoreError, match=r"record\.json: cannot be read"):
        application(settings(tmp_path))


def test_events_are_whole_after_a_kill(tmp_path: Path) -> None:
    events = JobEvents(tmp_path)
    events.add("one")
    with (tmp_path / "events.jsonl").open("a") as log:
        log.write('{"key":"ftevent-cut')
    events.add("two", data={"step": 1, "train_loss": None})
    stored = events.read()
    assert [(event.message, event.type) for event in stored] == [("one", "message"), ("two", "metrics")]
    assert isinstance(stored[0], JobEvent)
    assert stored[1].data == {"step": 1, "train_loss": None}
    assert Failure("code", "message").param is None
