"""The process that trains: it takes job ids, one a line, and leaves an outcome beside each job's record.

A process of its own, because training can run out of memory or be cancelled at any moment, and neither may cost the
server an answer. It ends with the server, whichever way that ends: its standard input closes. The next one goes on
from the last checkpoint.
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
from harness.finetune.schedule import plan
from harness.server.jobs import JOB, OUTCOME, Events, Failure, Job, Outcome
from harness.server.training_files import read_pairs
from harness.stages import finetune as tuning
from harness.store.digest import digest
from harness.store.stages import Store, write_atomic
from harness.types import CurvePoint, TrainingPair

DONE = "done"


def main(folder: Path) -> None:
    """Work on the jobs that standard input names until it closes."""
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(names,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    while True:
        name = names.get()
        outcome = _outcome(folder, name)
        write_atomic(folder / "jobs" / name / "outcome.json", OUTCOME.dump_json(outcome, indent=2))
        print(DONE, name, file=answers, flush=True)


def _listen(names: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        names.put(line.strip())
    os._exit(0)


def _outcome(folder: Path, name: str) -> Outcome:
    try:
        return _train(folder, JOB.validate_json((folder / "jobs" / name / "record.json").read_bytes()))
    except HarnessError as error:
        wrong_file = isinstance(error, DataError)
        param = "training_file" if wrong_file else None
        return Outcome(failure=Failure("invalid_training_file" if wrong_file else "training_failed", str(error), param))
    except Exception as error:  # whatever it is, the job says so and the next one has its turn
        traceback.print_exc()
        return Outcome(failure=Failure("server_error", f"{type(error).__name__}: {error}"))


def _train(folder: Path, job: Job) -> Outcome:
    train = read_pairs(folder / "files" / job.training_file / "content", "training_file")
    held_out: list[TrainingPair] = []
    if job.validation_file:
        held_out = read_pairs(folder / "files" / job.validation_file / "content", "validation_file")
    events = Events(folder / "jobs" / job.id)
    told = {event.data["step"] for event in events.read() if event.data}
    steps = plan(job.training, len(train)).steps

    def watch(point: CurvePoint) -> None:
        if point.step not in told:  # what was told before a kill is not told again
            told.add(point.step)
            events.add(_sentence(point, steps), data=_metrics(point, steps))

    tuner = registry.finetuner(job.training, job.base)
    if not isinstance(tuner, LocalFineTuner):
        raise HarnessError(f"{job.base_name}: expected a model that is trained here, got backend {job.base.backend}.")
    tuner.watch = watch
    inputs = {"base": tuner.base, "config": job.training, "train": digest(train), "validation": digest(held_out)}
    wanted = tuning.Tuning(tuner, (), tuple(train), tuple(held_out), inputs)
    store = Store(folder)
    record = tuning.tune(wanted, store)[1]
    for point in record.curve:
        watch(point)  # one that was done before, by a job that asked for the same, has told nothing yet
    return Outcome(record, tuner.tuned(store.folder("finetune", inputs)))


def _sentence(point: CurvePoint, steps: int) -> str:
    losses = [("training", point.train_loss), ("validation", point.validation_loss)]
    told = ", ".join(f"{name} loss={loss:.4f}" for name, loss in losses if loss is not None)
    return f"Step {point.step}/{steps}: {told}"


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
