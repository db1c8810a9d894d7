"""`python -m harness sync`: push offline runs, and log OpenAI fine-tuning jobs, to Weights & Biases.

Runs are pushed with W&B's own `wandb sync`, and jobs are logged with its `WandbLogger.sync`, the successor of
`openai wandb sync`. It is called for one finished job at a time, because by itself it takes the oldest job of the first
page for the latest, stops at the first job that is logged already, and logs what follows an unfinished job into that
job's run. Without a login nothing is sent or changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import TrackingConfig
from harness.credentials import has_openai_key, has_wandb_login
from harness.errors import ConfigError, HarnessError, StoreError, require, unknown
from harness.reports.wandb.tables import session_id
from harness.store.runs import find_runs
from harness.store.stages import store_root
from harness.wording import at_most, counted

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

Call = Callable[[Sequence[str]], int]
"""Runs a command and returns its exit code."""


@dataclass(frozen=True, slots=True)
class OfflineRun:
    """A W&B run that is only on this machine."""

    id: str
    folder: Path

    @property
    def synced(self) -> bool:
        """Whether W&B's marker says that all of it is on the server."""
        return (self.folder / f"run-{self.id}.wandb.synced").exists()


@dataclass(frozen=True, slots=True)
class SyncedJob:
    """A fine-tuning job at OpenAI, or at a provider with its API."""

    id: str
    model: str
    status: str

    @property
    def finished(self) -> bool:
        """Whether it has results to show."""
        return self.status == "succeeded"


def main(options: argparse.Namespace) -> int:
    """Push what the options select, or list it, and return the exit code."""
    store = store_root(options.store)
    waiting = offline_runs(store)
    if not (options.runs or options.all or options.openai is not None):
        raise ConfigError(
            f"sync: expected --all, a RUN or --openai, got none of them. {store / 'wandb'} contains "
            f"{counted(len(waiting), 'offline run')}; list them: python -m harness sync --all --dry-run"
        )
    chosen = waiting if options.all else list(_selected(options.runs, waiting, store))
    if options.n is not None and (options.n < 1 or options.openai != []):
        raise ConfigError(f"sync --n: expected 1 or more, with --openai and without job ids, got {options.n}")
    if not options.dry_run:
        require("wandb", "wandb")
    if not options.dry_run and not has_wandb_login():
        raise ConfigError("sync needs a W&B login: `wandb login`, or WANDB_API_KEY. Nothing was sent or changed.")
    client = _client() if options.openai is not None else None
    jobs = list(find_jobs(client, options.openai, options.n)) if client else []
    if options.dry_run:
        _show("would push", chosen, jobs, options.json)
        return 0
    push(chosen, options.project, options.entity)
    if client:
        where = {"project": options.project or TrackingConfig().project, "entity": options.entity, "dir": str(store)}
        store.mkdir(parents=True, exist_ok=True)
        log_jobs(client, jobs, where)
    _show("pushed", chosen, jobs, options.json)
    return 0


def offline_runs(store: Path) -> list[OfflineRun]:
    """Return the offline W&B runs of a store that are not pushed, the latest of each id, oldest first."""
    latest: dict[str, OfflineRun] = {}
    for file in sorted((store / "wandb").glob("offline-run-*/run-*.wandb")):
        run = OfflineRun(file.name.removeprefix("run-").removesuffix(".wandb"), file.parent)
        latest.pop(run.id, None)
        latest[run.id] = run
    return [run for run in latest.values() if not run.synced]


def sync_command(runs: Sequence[OfflineRun], project: str | None, entity: str | None) -> list[str]:
    """Return the `wandb sync` command line that pushes these runs."""
    where = [*(["--project", project] if project else []), *(["--entity", entity] if entity else [])]
    return [sys.executable, "-m", "wandb", "sync", *where, *(str(run.folder.absolute()) for run in runs)]


def push(runs: Sequence[OfflineRun], project: str | None, entity: str | None, call: Call | None = None) -> None:
    """Push offline runs; HarnessError names those that failed, which the exit code of `wandb sync` does not show."""
    if not runs:
        return
    code = (call or _call)(sync_command(runs, project, entity))
    unsynced = [run.id for run in runs if not run.synced]
    if code or unsynced:
        names = ", ".join(at_most(unsynced, 5)) or "none"
        raise HarnessError(
            f"wandb sync exited with {code}, and {len(unsynced)} of {len(runs)} runs are not pushed: {names}. "
            "They are kept. To push them, repeat the command."
        )


def find_jobs(client: OpenAI, ids: Sequence[str], n: int | None) -> Iterator[SyncedJob]:
    """Yield the jobs with these ids, or the latest `n` of all, or all of them; latest first."""
    import openai

    try:
        jobs: Iterable[FineTuningJob] = (
            map(client.fine_tuning.jobs.retrieve, ids) if ids else islice(client.fine_tuning.jobs.list(), n)
        )
        for job in jobs:
            yield SyncedJob(job.id, job.fine_tuned_model or job.model, job.status)
    except openai.OpenAIError as error:
        raise HarnessError(f"the fine-tuning jobs cannot be read: {error}") from error


def log_jobs(
    client: OpenAI, jobs: Sequence[SyncedJob], where: Mapping[str, Any], log: Callable[..., Any] | None = None
) -> None:
    """Log every finished job to W&B, with its files, oldest first; jobs that are logged already are not changed.

    `where` holds the project, the entity and the folder of W&B's files, as for `wandb.init`. HarnessError names the job
    that W&B or the service refused.
    """
    log = log or _wandb_logger()
    for job in (job for job in reversed(jobs) if job.finished):
        try:
            log(fine_tune_job_id=job.id, openai_client=client, wait_for_job_success=False, **where)
        except Exception as error:  # W&B's, the service's, or bare ones of the logger
            raise HarnessError(
                f"{job.id} was not logged: {type(error).__name__}: {error}. Repeat the command: jobs "
                "that are already logged are not logged again."
            ) from error


def _selected(names: Sequence[str], waiting: Sequence[OfflineRun], store: Path) -> Iterator[OfflineRun]:
    """Yield the offline runs that the names select: by the start of a W&B id, or as `report` finds runs."""
    for name in dict.fromkeys(names):
        matches = [run for run in waiting if run.id.startswith(name)]
        if not matches:
            ids = {session_id(run.result.run_id) for run in find_runs(store / "runs", [name])}
            matches = [run for run in waiting if run.id in ids]
        if not matches:
            raise StoreError(
                f"{unknown('offline run', name, [run.id for run in waiting])} It is pushed already, or was not "
                "logged: run its command again with tracking=wandb_offline."
            )
        yield from matches


def _client() -> OpenAI:
    if not has_openai_key():
        raise ConfigError("sync --openai needs a key: set OPENAI_API_KEY. Nothing was sent or changed.")
    from openai import OpenAI

    return OpenAI()


def _wandb_logger() -> Callable[..., Any]:
    from wandb.integration.openai.fine_tuning import WandbLogger

    logger: Callable[..., Any] = WandbLogger.sync
    return logger


def _call(command: Sequence[str]) -> int:
    logs = {"WANDB_DIR": str(Path(command[-1]).parents[1])}  # beside the runs instead of the current folder
    environment = {**logs, **{key: value for key, value in os.environ.items() if key != "WANDB_MODE"}}
    return subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode


def _show(done: str, runs: Sequence[OfflineRun], jobs: Sequence[SyncedJob], as_json: bool) -> None:
    if as_json:
        rows = [{"id": run.id, "folder": str(run.folder)} for run in runs]
        print(json.dumps({"done": done, "runs": rows, "jobs": [asdict(job) for job in jobs]}, indent=2))
        return
    n_finished = sum(job.finished for job in jobs)
    print(f"{done}: {counted(len(runs), 'offline run')}, {n_finished} of {len(jobs)} fine-tuning jobs")
    for run in runs:
        print(f"  {run.folder}")
    for job in jobs:
        print(f"  {job.id}  {job.model}" + ("" if job.finished else f"  skipped: {job.status}"))
