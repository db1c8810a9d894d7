"""`sync`: what would be pushed, the command that pushes it, jobs logged one by one, and nothing without a login."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from harness import pipeline
from harness.__main__ import main
from harness.cli.sync import OfflineRun, SyncedJob, find_jobs, log_jobs, offline_runs, push, sync_command
from harness.errors import HarnessError
from tests.support.fakes import config


def offline(store: Path, stamp: str, name: str, synced: bool = False) -> Path:
    """An offline run as W&B leaves it."""
    folder = store / "wandb" / f"offline-run-{stamp}-{name}"
    folder.mkdir(parents=True)
    (folder / f"run-{name}.wandb").touch()
    if synced:
        (folder / f"run-{name}.wandb.synced").touch()
    return folder


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "OPENAI_API_KEY", "HARNESS_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    offline(folder, "20260101_000001", "a-1")
    offline(folder, "20260101_000002", "b-2", synced=True)
    offline(folder, "20260101_000003", "a-1")
    offline(folder, "20260101_000004", "leaderboard-3")
    return folder


def ids(runs: Sequence[OfflineRun]) -> list[str]:
    return [run.id for run in runs]


def test_the_latest_of_each_run_waits_until_it_is_pushed(store: Path) -> None:
    waiting = offline_runs(store)
    assert ids(waiting) == ["a-1", "leaderboard-3"]
    assert waiting[0].folder.name == "offline-run-20260101_000003-a-1"
    assert offline_runs(store / "nothing") == []


def test_a_run_that_was_pushed_and_logged_again_waits_again(store: Path) -> None:
    offline(store, "20260101_000005", "b-2")
    assert ids(offline_runs(store)) == ["a-1", "leaderboard-3", "b-2"]


@pytest.mark.parametrize(
    ("where", "options"),
    [((None, None), []), (("p", None), ["--project", "p"]), (("p", "e"), ["--project", "p", "--entity", "e"])],
)
def test_the_command_is_that_of_wandb(store: Path, where: tuple[Any, Any], options: list[str]) -> None:
    runs = offline_runs(store)
    command = sync_command(runs, *where)
    assert command == [sys.executable, "-m", "wandb", "sync", *options, *(str(run.folder) for run in runs)]


def test_wandb_knows_the_options_and_the_folders(store: Path) -> None:
    command = sync_command(offline_runs(store), "p", "e")
    shown = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=True, cwd=store)
    assert "Would sync 2 run(s)" in shown.stdout + shown.stderr


def test_all_runs_are_pushed_once_in_one_command(store: Path) -> None:
    commands: list[Sequence[str]] = []

    def call(command: Sequence[str]) -> int:
        commands.append(command)
        for run in offline_runs(store):
            (run.folder / f"run-{run.id}.wandb.synced").touch()
        return 0

    push(offline_runs(store), None, None, call)
    push(offline_runs(store), None, None, call)
    assert len(commands) == 1


@pytest.mark.parametrize("code", [0, 1])
def test_runs_that_were_not_pushed_are_named_whatever_the_exit_code(store: Path, code: int) -> None:
    with pytest.raises(HarnessError, match=r"2 of 2 runs are not pushed: a-1, leaderboard-3\. They are kept"):
        push(offline_runs(store), None, None, lambda _: code)


def test_a_dry_run_lists_and_sends_nothing(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync", "--all", "--dry-run", "--json", "--store", str(store)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["done"], [run["id"] for run in shown["runs"]]) == ("would push", ["a-1", "leaderboard-3"])


def test_runs_are_chosen_by_id_or_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = pipeline.run(config(tmp_path, "mine"), "command")
    folder = offline(tmp_path / "store", "20260101_000001", run.result.run_id)
    offline(tmp_path / "store", "20260101_000002", "other")
    for name in (run.result.run_id[:6], "mine", str(run.folder)):
        assert main(["sync", name, "--dry-run", "--store", str(tmp_path / "store")]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == [f"  {folder}"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--all"], 2, "sync needs a W&B login: `wandb login`, or WANDB_API_KEY. Nothing was sent or changed."),
        (["--openai", "--n", "2"], 2, "sync needs a W&B login"),
        (["--openai", "--dry-run"], 2, "sync --openai needs a key: set OPENAI_API_KEY"),
        ([], 2, "expected --all, a RUN or --openai, got none of them. "),
        (["zzz", "--dry-run"], 5, "Unknown run 'zzz'"),
        (["--all", "--n", "2"], 2, "sync --n: expected 1 or more, with --openai and without job ids"),
        (["--openai", "--n", "0"], 2, "sync --n: expected 1 or more"),
    ],
)
def test_a_wrong_command_is_refused_and_changes_nothing(
    arguments: list[str], code: int, message: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(store.rglob("*"))
    assert main(["sync", *arguments, "--store", str(store)]) == code
    assert message in capsys.readouterr().err
    assert sorted(store.rglob("*")) == before


def service(n: int = 25, page: int = 10) -> OpenAI:
    """A client of a service with `n` jobs, the latest first, in pages; every third has failed."""

    def job(i: int) -> dict[str, Any]:
        done = i % 3 > 0
        return {
            "id": f"ftjob-{i}",
            "object": "fine_tuning.job",
            "created_at": 1_700_000_000 + i,
            "finished_at": 1_700_000_900 + i,
            "status": "succeeded" if done else "failed",
            "model": "gpt-4.1-mini-2025-04-14",
            "fine_tuned_model": f"ft:gpt-4.1-mini-2025-04-14:org::{i}" if done else None,
            "organization_id": "org",
            "result_files": [f"file-{i}"],
            "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 2.0},
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
            "seed": 1,
            "trained_tokens": 1234,
            "training_file": "file-t",
        }

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path.endswith("/content"):
            return httpx2.Response(200, content=b"step,train_loss,train_accuracy\n1,2.5,0.25\n2,1.5,0.5\n")
        if path.endswith("/jobs"):
            after = request.url.params.get("after")
            start = int(after.split("-")[1]) - 1 if after else n
            data = [job(i) for i in range(start, max(0, start - page), -1)]
            return httpx2.Response(200, json={"object": "list", "data": data, "has_more": start > page})
        i = int(path.rsplit("-", 1)[1])
        if i > n:
            return httpx2.Response(404, json={"error": {"message": f"no job {i}", "code": "not_found"}})
        return httpx2.Response(200, json=job(i))

    return OpenAI(api_key="sk-test", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


@pytest.mark.parametrize(
    ("ids", "n", "expected"),
    [
        ([], None, [f"ftjob-{i}" for i in range(25, 0, -1)]),
        ([], 3, ["ftjob-25", "ftjob-24", "ftjob-23"]),
        ([], 12, [f"ftjob-{i}" for i in range(25, 13, -1)]),
        (["ftjob-7", "ftjob-2"], None, ["ftjob-7", "ftjob-2"]),
    ],
)
def test_jobs_are_found_across_pages_latest_first(ids: list[str], n: int | None, expected: list[str]) -> None:
    assert [job.id for job in find_jobs(service(), ids, n)] == expected


def test_a_job_that_is_not_there_is_an_error() -> None:
    with pytest.raises(HarnessError, match="no job 99"):
        list(find_jobs(service(), ["ftjob-99"], None))


def test_a_job_that_is_refused_is_named() -> None:
    def refuse(**_: Any) -> None:
        raise ValueError("no such project")

    with pytest.raises(HarnessError, match="ftjob-1 was not logged: ValueError: no such project"):
        log_jobs(service(), [SyncedJob("ftjob-1", "m", "succeeded")], {}, refuse)


def test_wandb_logs_a_job_of_this_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real logger, without a server: what it asks of one before and after is answered here."""
    from wandb.integration.openai.fine_tuning import WandbLogger

    class NoServer:
        def run(self, path: str) -> None:
            raise ValueError(path)

    class Offline(WandbLogger):
        _logged_in = True
        _wandb_api: Any = NoServer()

    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    jobs = list(find_jobs(service(), ["ftjob-2", "ftjob-1"], None))
    sync: Callable[..., Any] = Offline.sync
    where = {"project": "p", "entity": None, "dir": str(tmp_path)}
    log_jobs(service(), jobs, where, partial(sync, mode="offline", log_datasets=False))
    assert [run.id for run in offline_runs(tmp_path)] == ["ftjob-1", "ftjob-2"]
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--summary", "--json"]
    folder = offline_runs(tmp_path)[0].folder
    shown = json.loads(subprocess.run([*command, str(folder)], capture_output=True, check=True).stdout)
    assert (shown["summary"]["train_loss"], shown["config"]["trained_tokens"]) == (1.5, 1234)


def test_finished_jobs_are_logged_one_by_one_oldest_first() -> None:
    calls: list[dict[str, Any]] = []
    client = service()
    jobs = [
        SyncedJob("ftjob-3", "m", "failed"),
        SyncedJob("ftjob-2", "m", "succeeded"),
        SyncedJob("ftjob-1", "m", "succeeded"),
    ]
    where = {"project": "p", "entity": "e", "dir": "d"}
    log_jobs(client, jobs, where, lambda **arguments: calls.append(arguments))
    assert [call["fine_tune_job_id"] for call in calls] == ["ftjob-1", "ftjob-2"]
    assert all(call["openai_client"] is client and call["wait_for_job_success"] is False for call in calls)
    assert all(where.items() <= call.items() for call in calls)
