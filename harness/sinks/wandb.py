"""Weights & Biases: one W&B run for each of ours, and one for the leaderboard where there are several.

Offline by default. Lineage is carried by digests in config and artifact metadata, because `use_artifact` needs a
server. The bytes of artifacts are kept beside the offline run, so that `wandb sync` finds them later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.config import TrackingConfig, TrackingMode
from harness.digest import digest
from harness.leaderboard import Leaderboard
from harness.records import StoredRun
from harness.store import write_atomic
from harness.types import MetricResult

MAX_ROWS = 200_000
"""W&B cuts longer tables without an error."""


class WandbSink:
    """Writes runs and leaderboard to W&B, each once a mode."""

    def __init__(self, config: TrackingConfig, store: Path) -> None:
        self.config, self.store = config, store

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Log what is not logged yet; return the folders of offline runs or the addresses of online ones."""
        if self.config.mode is TrackingMode.disabled:
            return []
        places = [self._run(entry.run, leaderboard) for entry in leaderboard.entries]
        if len(leaderboard.entries) > 1:
            places.append(self._leaderboard(leaderboard))
        return list(dict.fromkeys(places))

    def _run(self, run: StoredRun, board: Leaderboard) -> str:
        marker = run.folder / f"wandb-{self.config.mode}.json"
        if marker.exists():
            return str(json.loads(marker.read_text(encoding="utf-8"))["place"])
        result = run.result
        with self._session(result.run_id, result.name, "evaluate", dict(result.config)) as session:
            session.summary.update(_summary(result.metrics))
            session.summary.update({"errors": result.usage.errors, "truncated": result.usage.truncated})
            _curve(session, run)
            session.log({"predictions": _predictions(run), "leaderboard": _table(board, [run])})
            for artifact in _artifacts(run):
                session.log_artifact(artifact)
            place = _place(session)
        write_atomic(marker, json.dumps({"place": place}))
        return place

    def _leaderboard(self, board: Leaderboard) -> str:
        runs = [entry.run for entry in board.entries]
        ids = [run.result.run_id for run in runs]
        config = {"task": board.task, "primary_metric": board.primary, "runs": ids}
        with self._session(f"leaderboard-{digest(ids)}", "leaderboard", "leaderboard", config) as session:
            session.summary["verdict"] = board.verdict.text
            session.log({"leaderboard": _table(board, runs)})
            return _place(session)

    @contextmanager
    def _session(self, run_id: str, name: str, job_type: str, config: dict[str, Any]) -> Iterator[Any]:
        self.store.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_DATA_DIR", str(self.store / "wandb-data"))
        import wandb

        settings = wandb.Settings(silent=True, console="off", table_raise_on_max_row_limit_exceeded=True)
        session = wandb.init(
            project=self.config.project,
            entity=self.config.entity,
            group=self.config.group,
            id=run_id,
            name=name,
            job_type=job_type,
            config=config,
            dir=str(self.store),
            mode=self.config.mode.value,
            settings=settings,
            reinit="finish_previous",
        )
        try:
            yield session
        except BaseException:
            session.finish(exit_code=1)
            raise
        session.finish()


def _summary(metrics: Sequence[MetricResult]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for metric in metrics:
        found[metric.name] = metric.score.value
        found[f"{metric.name}_low"] = metric.score.low
        found[f"{metric.name}_high"] = metric.score.high
    return found


def _curve(session: Any, run: StoredRun) -> None:
    if run.result.finetune is None:
        return
    for point in run.result.finetune.curve:
        row = {key: value for key in point.__slots__ if (value := getattr(point, key)) is not None}
        session.log({f"finetune/{key}": value for key, value in row.items() if key != "step"}, step=point.step)


def _predictions(run: StoredRun) -> Any:
    import wandb

    names = [m.name for m in run.result.metrics]
    columns: list[str | int] = ["id", "prompt", "reference", "completion", "finish_reason", "error", "slices", *names]
    table = wandb.Table(columns=columns)
    for row in run.predictions()[:MAX_ROWS]:
        example, completion = row.example, row.completion
        table.add_data(
            example.id,
            example.prompt,
            example.reference,
            completion.text,
            str(completion.finish_reason),
            completion.error,
            json.dumps(dict(example.slices), ensure_ascii=False),
            *(row.scores.get(name) for name in names),
        )
    return table


def _table(board: Leaderboard, runs: Sequence[StoredRun]) -> Any:
    import wandb

    groups = {entry.run.folder: entry.group for entry in board.entries}
    columns: list[str | int] = ["run", "run_id", "tie_group", "n", "errors", "truncated"]
    columns += [column for name in board.metrics for column in (name, f"{name}_low", f"{name}_high")]
    table = wandb.Table(columns=columns)
    for run in runs:
        result, usage = run.result, run.result.usage
        values = _summary(result.metrics)
        fixed = [result.name, result.run_id, groups[run.folder], usage.n, usage.errors, usage.truncated]
        table.add_data(*fixed, *(values.get(str(column)) for column in columns[len(fixed) :]))
    return table


def _artifacts(run: StoredRun) -> Iterator[Any]:
    import wandb

    result = run.result
    dataset = wandb.Artifact(
        f"dataset-{result.task}", type="dataset", metadata={"fingerprint": result.dataset.fingerprint}
    )
    with dataset.new_file("validation.jsonl", encoding="utf-8") as stream:
        for row in run.predictions():
            line = {"id": row.example.id, "prompt": row.example.prompt, "completion": row.example.reference}
            stream.write(json.dumps({**line, **row.example.slices}, ensure_ascii=False) + "\n")
    yield dataset
    lineage = {
        "run_id": result.run_id,
        "dataset": result.dataset.fingerprint,
        "model": digest(result.model),
        "stages": {stage.name: stage.key for stage in result.stages},
        "signatures": {m.name: m.signature for m in result.metrics},
    }
    predictions = wandb.Artifact(f"predictions-{result.run_id}", type="predictions", metadata=lineage)
    for name in ("predictions.jsonl", "results.json", "stats.npz"):
        predictions.add_file(str(run.folder / name))
    yield predictions


def _place(session: Any) -> str:
    return str(Path(session.dir).parent) if session.offline else str(session.url)
