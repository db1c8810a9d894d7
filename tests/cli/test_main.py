"""The command line as a user sees it: fast help, clear errors, exit codes, resume after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.cli import doctor
from tests.support.fakes import write_corpus

ECHO = ["model=echo", "task=jsonl", "task.path=data.jsonl", "task.n_validation=12", "metrics=fast", "tracking=none"]


class Terminal:
    """Runs commands in this process, in a folder, and returns what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        self._capsys.readouterr()
        try:
            exit_code = main(arguments)
        except SystemExit as stop:  # argparse
            exit_code = int(stop.code or 0)
        shown = self._capsys.readouterr()
        assert exit_code == code, shown.err
        return shown.out, shown.err


@pytest.fixture
def harness(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HARNESS_STORE", "store")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", sys.argv)
    return Terminal(capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "data.jsonl")
    return tmp_path


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "harness", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    heavy = {"hydra", "omegaconf", "torch", "numpy", "scipy", "transformers", "wandb", "evaluate", "rich", "pydantic"}
    assert "harness" in imported
    assert not imported & heavy
    assert "exit codes: 0 done" in done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "harness.pipeline",
        "harness.cli.report",
        "harness.cli.compare",
        "harness.registry",
        "harness.cli.run",
        "harness.judge",
        "harness.server.app",
    ],
)
def test_heavy_packages_are_imported_on_use(tmp_path: Path, module: str) -> None:
    heavy = (
        "{'torch', 'transformers', 'sentence_transformers', 'evaluate', 'wandb', 'openai', 'matplotlib', 'datasets'}"
    )
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["rnu"], 2, "invalid choice: 'rnu'"),
        (["report", "--jsn"], 2, "unrecognized arguments: --jsn"),
        (["run", "modle=echo"], 2, "Unknown setting or group 'modle'. Did you mean model"),
        (["run", "model=ecko"], 2, "Unknown model 'ecko'. Did you mean 'echo'?"),
        (["run", "generation.max_tokns=3"], 2, "Did you mean generation.max_tokens"),
        (["run", "+sed=1"], 2, "Unknown setting 'sed'. Did you mean 'seed'?"),
        (["run", "seed=abc"], 2, "could not be converted to Integer"),
        (["run", *ECHO, "metrics.names=[rouge1]"], 2, "task.primary_metric"),
        (["run", *ECHO, "metrics.names=[rougeL,rouge11]"], 2, "Did you mean 'rouge1'?"),
        (["run", *ECHO, "task.path=nowhere.jsonl"], 3, "nowhere.jsonl: expected a JSON lines file"),
        (["run", "model=replay", *ECHO[1:]], 2, "model.path has no value. Add model.path="),
        (["report"], 5, "there are no runs in store/runs. Make one: python -m harness run"),
        (["report", "nothing"], 5, "Unknown run 'nothing'"),
        (["compare", "one"], 5, "Unknown run 'one'"),
    ],
)
def test_a_wrong_command_says_what_is_right(harness: Terminal, arguments: list[str], code: int, message: str) -> None:
    out, err = harness(*arguments, code=code)
    assert message in err
    assert out == ""


def test_a_run_prints_json_and_nothing_else_on_stdout(harness: Terminal, folder: Path) -> None:
    [board] = json.loads(harness("run", *ECHO, "--json")[0])
    assert board["task"] == "jsonl"
    assert board["runs"][0]["usage"]["n"] == 12
    assert all((folder / path).exists() for path in board["wrote"])
    assert board["runs"][0]["command"].startswith("python -m harness run model=echo task=jsonl")


def test_a_sweep_is_one_leaderboard_and_one_bad_job_costs_its_own_row(harness: Terminal, folder: Path) -> None:
    jobs = "task.n_validation=12,13,500"
    _, err = harness("run", "-m", *ECHO, jobs, "name=echo-${task.n_validation}", code=3)
    assert "task.n_validation=500" in err
    assert "expected 0 to 30 examples" in err
    assert len(list((folder / "store" / "runs").iterdir())) == 2
    assert len(list((folder / "reports" / "jsonl").glob("*/leaderboard.md"))) == 2


def test_report_and_compare_read_stored_runs(harness: Terminal, folder: Path) -> None:
    harness("run", "-m", *ECHO, "prompt=chat,plain")
    assert "echo-chat" in harness("report", "--no-references", "--name", "all")[0]
    assert (folder / "reports" / "jsonl" / "all" / "leaderboard.md").exists()
    assert "Holm-adjusted" in harness("compare", "echo-chat", "echo-plain")[0]
    pairs = json.loads(harness("compare", "echo-chat", "echo-plain", "--metric", "rougeL", "--json")[0])
    assert pairs["pairs"][0]["difference"] is not None
    assert [row["value"] for row in pairs["slices"]] == ["maths", "people", "places"]
    harness("compare", "echo-chat", code=2)


def test_compare_takes_all_runs_and_several_of_one_name(harness: Terminal) -> None:
    assert "there are no runs in store/runs" in harness("compare", code=5)[1]
    harness("run", "-m", *ECHO, "generation.max_tokens=3,4")
    harness("run", *ECHO, "prompt=plain")
    by_name = json.loads(harness("compare", "echo-chat", "--metric", "rougeL", "--json")[0])
    assert len(by_name["runs"]) == 2
    assert len(by_name["pairs"]) == 1
    all_runs = json.loads(harness("compare", "--metric", "rougeL", "--json")[0])
    assert len(all_runs["runs"]) == len(all_runs["pairs"]) == 3


def test_a_narrow_terminal_truncates_no_number_of_a_comparison(
    harness: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness("run", "-m", *ECHO, "prompt=chat,plain")
    [first, second] = sorted(path.name for path in (folder / "store" / "runs").iterdir())
    wide = harness("compare", first, second)[0]
    monkeypatch.setenv("COLUMNS", "80")
    narrow = harness("compare", first, second)[0]
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    numbers = re.compile(r"[+-]?\d+\.\d+")
    assert len(numbers.findall(wide)) > 10
    assert numbers.findall(narrow) == numbers.findall(wide)
    assert any(re.search(rf"^{a} +{b} ", wide, re.MULTILINE) for a, b in ((first, second), (second, first)))
    assert re.search(r"^1 +2 ", narrow, re.MULTILINE)
    monkeypatch.delenv("COLUMNS")
    assert harness("compare", first, second)[0] == wide, "a pipe is as wide as is needed"


def test_the_run_in_use_is_kept_or_replaced(harness: Terminal, folder: Path) -> None:
    harness("run", *ECHO, "prompt=chat")
    shorter = ("prompt=plain", "generation.max_tokens=3", "report.incumbent=echo-chat")
    shown = " ".join(harness("run", *ECHO, *shorter)[0].split())
    assert "Ship echo-plain: it is significantly better than the incumbent echo-chat" in shown
    [board] = json.loads(harness("report", "--incumbent", "echo-plain", "--useful-difference", "0.1", "--json")[0])
    assert board["verdict"]["decision"] == "keep"
    assert board["runs"][board["incumbent"]]["name"] == board["runs"][board["verdict"]["run"]]["name"] == "echo-plain"
    assert {"effects", "interactions", "validity", "agreement", "slices"} <= set(board)
    assert "Unknown run 'echo-plan'" in harness("report", "echo-chat", "--incumbent", "echo-plan", code=5)[1]
    assert "report.useful_difference: expected 0 or more" in harness("report", "--useful-difference", "-1", code=2)[1]


def test_config_can_be_printed_and_tried_without_doing_it(harness: Terminal, folder: Path) -> None:
    assert "n_validation: 12" in harness("run", *ECHO, "--cfg", "job")[0]
    assert "12 of 12" in harness("run", *ECHO, "--dry-run")[0]
    assert not list((folder / "store").glob("runs/*"))


def test_doctor_reports_what_is_installed(harness: Terminal) -> None:
    by_name = {row["name"]: row for row in json.loads(harness("doctor", "--json")[0])}
    assert by_name["hydra-core"]["ok"]
    assert by_name["local"]["ok"]
    assert "W&B login" in by_name
    shown = harness("doctor")[0]
    assert "system" in shown
    assert [row["mend"] for row in by_name.values() if not row["ok"] and row["mend"] not in shown] == []


def test_doctor_names_the_extra_that_is_missing(harness: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "ray", ("no_such_module",))
    assert "pip install 'finetune-harness[ray]'" in harness("doctor")[0]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_continues(folder: Path, how: signal.Signals) -> None:
    arguments = ["run", *ECHO, "model.seconds=0.2"]
    environment = {**os.environ, "HARNESS_STORE": "store"}
    command = [sys.executable, "-m", "harness", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    log = folder / "store" / "stages" / "completions"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and sum(p.read_bytes().count(b"\n") for p in log.glob("*/*.jsonl")) < 3:
        time.sleep(0.05)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "continue with:\n  python -m harness run model=echo" in errors
    n_stored = sum(p.read_bytes().count(b"\n") for p in log.glob("*/*.jsonl"))
    assert 3 <= n_stored < 12
    again = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert f"generate: {12 - n_stored} completions made, {n_stored} reused" in again.stderr
