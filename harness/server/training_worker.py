"""The training process: it reads job ids, one per line, and writes an outcome beside each job's record.

It is a process of its own because training can run out of memory or be cancelled at any moment, and neither may
disturb the server's answers. It ends when its standard input closes, so with the server, however that ends. The next
one continues from the last checkpoint.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from pathlib import Path

from harness import registry
from harness.errors import DataError, HarnessError
from harness.finetune.local import LocalFineTuner
from harness.finetune.schedule import finetune_inputs, training_schedule
from harness.server.jobs import JOB, OUTCOME, Failure, FineTuningJob, JobEvents, TrainingOutcome
from harness.server.training_files import read_pairs
from harness.stages.finetune import PlannedFineTune, train_or_load
from harness.store.files import write_atomic
from harness.store.stages import Store
from harness.types import CurvePoint, TrainingPair

DONE = "done"


def main(folder: Path) -> None:
    """Train the jobs whose ids come on standard input, until it closes."""
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(names,), daemon=True).start()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not a reply
    while True:
        name = names.get()
        outcome = _outcome(folder, name)
        write_atomic(folder / "jobs" / name / "outcome.json", OUTCOME.dump_json(outcome, indent=2))
        print(DONE, name, file=replies, flush=True)


def _listen(names: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        names.put(line.strip())
    os._exit(0)


def _outcome(folder: Path, name: str) -> TrainingOutcome:
    try:
        return _train(folder, JOB.validate_json((folder / "jobs" / name / "record.json").read_bytes()))
    except HarnessError as error:
        failure = Failure("training_failed", str(error))
        if isinstance(error, DataError):
            failure = Failure("invalid_training_file", str(error), "training_file")
        return TrainingOutcome(failure=failure)
    except Exception as error:  # whatever it is, this job fails with it and the next one starts
        traceback.print_exc()
        return TrainingOutcome(failure=Failure("server_error", f"{type(error).__name__}: {error}"))


def _train(folder: Path, job: FineTuningJob) -> TrainingOutcome:
    train = read_pairs(folder / "files" / job.training_file / "content", "training_file")
    held_out: list[TrainingPair] = []
    if job.validation_file:
        held_out = read_pairs(folder / "files" / job.validation_file / "content", "validation_file")
    events = JobEvents(folder / "jobs" / job.id)
    reported = {event.data["step"] for event in events.read() if event.data}
    steps = training_schedule(job.training, len(train)).steps

    def watch(point: CurvePoint) -> None:
        if point.step not in reported:  # by a process that was killed
            reported.add(point.step)
            events.add(_sentence(point, steps), data=_metrics(point, steps))

    tuner = registry.finetuner(job.training, job.base)
    if not isinstance(tuner, LocalFineTuner):
        raise HarnessError(f"{job.base_name}: expected a model that is trained here, got backend {job.base.backend}.")
    tuner.watch = watch
    store, inputs = Store(folder), finetune_inputs(tuner.base, job.training, train, held_out)
    _, record, _ = train_or_load(PlannedFineTune(tuner, tuple(train), tuple(held_out), inputs), store)
    for point in record.curve:
        watch(point)  # a fine-tune that an equal job stored was not watched
    return TrainingOutcome(record, tuner.model_config(store.folder("finetune", inputs)))


def _sentence(point: CurvePoint, steps: int) -> str:
    losses = [("training", point.train_loss), ("validation", point.validation_loss)]
    text = ", ".join(f"{name} loss={loss:.4f}" for name, loss in losses if loss is not None)
    return f"Step {point.step}/{steps}: {text}"


def _metrics(point: CurvePoint, steps: int) -> dict[str, float | None]:
    return {
        "step": point.step,
        "total_steps": steps,
        "train_loss": point.train_loss,
        "valid_loss": point.validation_loss,
        "valid_mean_token_accuracy": point.token_accuracy,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
