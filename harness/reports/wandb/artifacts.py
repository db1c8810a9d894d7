"""W&B artifacts with lineage: dataset -> fine-tune -> completions -> scores -> leaderboard.

The metadata of each artifact hold its own digest and those of its inputs, so that the chain can be read offline.
`declare` also records it as W&B's own lineage if there is a server, which `use_artifact` needs. Weights are not among
the files: they stay in the store, under the key in the fine-tune's metadata.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from harness.analysis.leaderboard import Leaderboard, as_json
from harness.config import TrackingConfig
from harness.credentials import redacted
from harness.store.digest import digest
from harness.store.runs import StoredRun, prediction_json, result_json
from harness.types import RunResult


def declare(session: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Declare the inputs and outputs of a W&B run; offline, inputs are logged as if they were outputs."""
    for artifact in inputs:
        if session.offline:
            session.log_artifact(artifact)
        else:
            session.use_artifact(artifact)
    for artifact in outputs:
        session.log_artifact(artifact)


def dataset(run: StoredRun, tracking: TrackingConfig) -> Any:
    """Return the dataset artifact: the validation examples, or their fingerprint alone if predictions are not sent."""
    import wandb

    result = run.result
    record = {key: value for key, value in dataclasses.asdict(result.dataset).items() if key != "notices"}
    artifact = wandb.Artifact(_name("dataset", result.task), type="dataset", metadata=record)
    with artifact.new_file("dataset.json", encoding="utf-8") as stream:
        json.dump(record, stream, indent=2)
    if tracking.predictions:
        with artifact.new_file("validation.jsonl", encoding="utf-8") as stream:
            for row in run.predictions():
                example = {"id": row.example.id, "prompt": row.example.prompt, **row.example.slices}
                if tracking.references:
                    example["completion"] = row.example.reference
                stream.write(json.dumps(example) + "\n")
    return artifact


def products(run: StoredRun, tracking: TrackingConfig) -> Iterator[Any]:
    """Yield the artifacts of a run: its fine-tune, its completions and its scores."""
    import wandb

    result = run.result
    if result.finetune:
        key = _stages(result)["finetune"]
        tuned = wandb.Artifact(_name("finetune", key), type="finetune", metadata=_finetune(result))
        with tuned.new_file("finetune.json", encoding="utf-8") as stream:
            json.dump(result_json(result)["finetune"], stream, indent=2)
        yield tuned
    if tracking.predictions:
        completions = wandb.Artifact(
            _name("completions", result.run_id), type="completions", metadata=_completions(result)
        )
        if tracking.references:
            completions.add_file(str(run.folder / "predictions.jsonl"))
        else:
            with completions.new_file("predictions.jsonl", encoding="utf-8") as stream:
                stream.writelines(prediction_json(row, references=False) + "\n" for row in run.predictions())
        yield completions
    yield scores(run, tracking)


def scores(run: StoredRun, tracking: TrackingConfig) -> Any:
    """Return the artifact of a run's scores, with the statistics of each example if predictions are sent."""
    import wandb

    result = run.result
    metadata = {
        "run_id": result.run_id,
        "from": _completions(result),
        "signatures": {metric.name: metric.signature for metric in result.metrics},
    }
    artifact = wandb.Artifact(_name("scores", result.run_id), type="scores", metadata=metadata)
    with artifact.new_file("results.json", encoding="utf-8") as stream:
        json.dump(redacted(_record(result, tracking)), stream, indent=2)
    if tracking.predictions:
        artifact.add_file(str(run.folder / "stats.npz"))
    return artifact


def leaderboard(board: Leaderboard, tracking: TrackingConfig) -> Any:
    """Return the artifact of a leaderboard as JSON, with the runs that it was made from."""
    import wandb

    made_from = [{"run_id": e.run.result.run_id, "scores": digest(result_json(e.run.result))} for e in board.entries]
    metadata = {"primary_metric": board.primary, "verdict": board.verdict.text, "from": made_from}
    artifact = wandb.Artifact(_name("leaderboard", board.task), type="leaderboard", metadata=metadata)
    content = as_json(board)
    runs = [{**_record(e.run.result, tracking), "tie_group": e.group} for e in board.entries]
    with artifact.new_file("leaderboard.json", encoding="utf-8") as stream:
        json.dump(redacted({**content, "runs": runs}), stream, indent=2)
    return artifact


def _record(result: RunResult, tracking: TrackingConfig) -> dict[str, Any]:
    """Return a run's record; notices quote the data, so they are included only if predictions are sent."""
    if not tracking.predictions:
        bare = [dataclasses.replace(notice, where=()) for notice in result.dataset.notices]
        result = dataclasses.replace(result, dataset=dataclasses.replace(result.dataset, notices=tuple(bare)))
    return result_json(result)


def _finetune(result: RunResult) -> dict[str, Any]:
    stage = next(stage for stage in result.stages if stage.name == "finetune")
    tuned = result.finetune
    facts = {"method": tuned.method, "n_train": tuned.n_train, "best_step": tuned.best_step} if tuned else {}
    return {"key": stage.key, **facts, "from": dict(stage.inputs)}


def _completions(result: RunResult) -> dict[str, Any]:
    made_from = {"dataset": result.dataset.fingerprint, "model": digest(result.model)}
    if result.finetune:
        made_from["finetune"] = _stages(result)["finetune"]
    return {"run_id": result.run_id, "stages": _stages(result), "from": made_from}


def _stages(result: RunResult) -> dict[str, str]:
    return {stage.name: stage.key for stage in result.stages}


def _name(kind: str, rest: str) -> str:
    """Return a valid W&B artifact name: at most 128 ASCII letters, digits, dots, dashes and underscores."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", rest)
    if plain != rest or len(plain) > 100:
        plain = f"{plain[:80]}-{digest(rest)}"
    return f"{kind}-{plain}"
