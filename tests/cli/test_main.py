"""The command line as a user sees it: fast help, clear errors, exit codes, resume after a kill."""

from __future__ import annotations

import json
import os
import re
import shlex
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
        (["run", "+promt=1"], 2, "Unknown setting 'promt'. Did you mean 'prompt'?"),
        (["run", "seed=1"], 2, "task.sample_seed (which examples are scored, shown as shots and trained on)"),
        (["run", *ECHO, "seed=0,1", "-m"], 2, "generation.seed (the sampling of completions)"),
        (["gate", "seed=1"], 2, "stats.seed (the bootstrap and permutation tests)"),
        (["run", "stats.seed=abc"], 2, "could not be converted to Integer"),
        (["run", *ECHO, "metrics.names=[rouge1]"], 2, "task.primary_metric"),
        (["run", *ECHO, "metrics.names=[rougeL,rouge11]"], 2, "Did you mean 'rouge1'?"),
        (["run", *ECHO, "task.path=nowhere.jsonl"], 3, "nowhere.jsonl: expected a file of JSON"),
        (["run", "model=replay", *ECHO[1:]], 2, "model.path has no value"),
        (["report"], 5, "there are no runs in store/runs. Make one: python -m harness run"),
        (["report", "nothing"], 5, "Unknown run 'nothing'"),
        (["compare", "one"], 5, "Unknown run 'one'"),
        (["run", *ECHO, "store=data.jsonl"], 5, "store: data.jsonl cannot be written"),
        (["run", *ECHO, "report.dir=data.jsonl"], 2, "report.dir: data.jsonl"),
        (["run", *ECHO, "report.name=../up"], 2, "report.name: expected the name of a folder, got '../up'"),
        (["run", *ECHO, "report.samples=-1"], 2, "report.samples: expected 0 or more, got -1"),
        (["run", *ECHO, "report.incumbent=nobody"], 5, "Unknown run 'nobody'"),
        (["run", *ECHO, "report.incumbent=nobody", "--dry-run"], 5, "Unknown run 'nobody'"),
        (["run", *ECHO, "report.dir=data.jsonl", "--dry-run"], 2, "report.dir: data.jsonl"),
    ],
)
def test_a_wrong_command_says_what_is_right(harness: Terminal, arguments: list[str], code: int, message: str) -> None:
    out, err = harness(*arguments, code=code)
    assert message in err
    assert out == ""


def test_a_run_prints_json_and_nothing_else_on_stdout(harness: Terminal, folder: Path) -> None:
    [board] = json.loads(harness("run", *ECHO, "--json")[0])
    assert board["task"] == "data"
    assert board["runs"][0]["usage"]["n"] == 12
    assert all((folder / path).exists() for path in board["wrote"])
    assert board["runs"][0]["command"].startswith("python -m harness run model=echo task=jsonl")


def test_a_sweep_is_one_leaderboard_and_one_bad_job_costs_its_own_row(harness: Terminal, folder: Path) -> None:
    jobs = "task.n_validation=12,13,500"
    _, err = harness("run", "-m", *ECHO, jobs, "name=echo-${task.n_validation}", code=3)
    assert "task.n_validation=500" in err
    assert "expected 0 to 30 examples" in err
    assert len(list((folder / "store" / "runs").iterdir())) == 2
    assert len(list((folder / "reports" / "data").glob("*/leaderboard.md"))) == 2


def test_report_and_compare_read_stored_runs(harness: Terminal, folder: Path) -> None:
    harness("run", "-m", *ECHO, "prompt=chat,plain")
    assert "echo-chat" in harness("report", "--no-references", "--name", "all")[0]
    assert (folder / "reports" / "data" / "all" / "leaderboard.md").exists()
    assert "Holm-adjusted" in harness("compare", "echo-chat", "echo-plain")[0]
    pairs = json.loads(harness("compare", "echo-chat", "echo-plain", "--metric", "rougeL", "--json")[0])
    assert pairs["pairs"][0]["difference"] is not None
    assert [row["value"] for row in pairs["slices"]] == ["maths", "people", "places"]
    harness("compare", "echo-chat", code=2)


def test_runs_of_one_name_are_told_apart_wherever_they_are_named(harness: Terminal, folder: Path) -> None:
    harness("run", "-m", *ECHO, "generation.max_tokens=3,4")
    ids = sorted(path.name for path in (folder / "store" / "runs").iterdir())
    shown = harness("compare", "echo-chat")[0]
    assert re.search(rf"({ids[0]} minus {ids[1]}|{ids[1]} minus {ids[0]}) on every metric", shown)
    board = harness("report")[0]
    assert all(run_id in board.partition("wrote:")[0] for run_id in ids)
    report = (folder / "reports" / "data" / "report" / "leaderboard.md").read_text()
    assert not re.search(r"^\| echo-chat \|", report, re.MULTILINE)


def test_examples_of_one_id_that_differ_are_not_compared(harness: Terminal, folder: Path) -> None:
    text = (folder / "data.jsonl").read_text()
    everything = ["task.n_validation=null", "task.validation_pool=30", "model=echo", "metrics=fast", "tracking=none"]
    for name, old, new in (
        ("a", "", ""),
        ("b", "Thing 3 is", "Thing 3 was"),
        ("c", "Thing 4 of all", "Thing 4 of some"),
    ):
        (folder / f"{name}.jsonl").write_text(text.replace(old, new))
        overrides = ["task=jsonl", f"task.path={name}.jsonl", "task.name=data", f"name=of-{name}"]
        harness("run", *overrides, *everything)
    for name, what in (("b", "reference"), ("c", "prompt")):
        error = harness("compare", "of-a", f"of-{name}", code=5)[1]
        assert f"1 of 30 shared examples have another {what}, such as 'e" in error
        assert "--unpaired" in error
    unpaired = json.loads(harness("compare", "of-a", "of-b", "--unpaired", "--json")[0])
    assert any(remark.startswith("29 examples in both runs") for remark in unpaired["remarks"])


def test_a_run_without_a_single_completion_does_not_exit_0(harness: Terminal) -> None:
    out, err = harness("run", *ECHO, "model.error_rate=1", code=4)
    assert "12 of 12 completions failed" in out
    assert "all 12 completions failed, the first with: chosen to fail by model.error_rate" in err
    out, err = harness("run", "-m", *ECHO, "model.error_rate=0,1", "name=e${model.error_rate}", code=4)
    assert "e1.0-" in err
    assert "e0.0-" not in err
    harness("run", *ECHO, "model.error_rate=0.5")


@pytest.mark.parametrize(
    ("words", "folder_name"),
    [
        (["prompt=chat,plain"], "sweep-prompt"),
        (["prompt=chat,plain", "generation.max_tokens=3,4"], "sweep-prompt-max_tokens"),
        (["prompt=chat,plain", "report.name=mine"], "mine"),
        (["prompt=chat,plain", "report.name=mine-${prompt.name}"], "sweep-prompt"),
        (["prompt=plain"], "echo-plain"),
    ],
)
def test_a_sweep_has_a_folder_of_its_own(harness: Terminal, folder: Path, words: list[str], folder_name: str) -> None:
    harness("run", *ECHO)
    alone = (folder / "reports" / "data" / "echo-chat" / "leaderboard.md").read_bytes()
    for _ in range(2):
        harness("run", "-m", *ECHO, *words)
    assert sorted(p.name for p in (folder / "reports" / "data").iterdir()) == sorted({"echo-chat", folder_name})
    assert (folder / "reports" / "data" / "echo-chat" / "leaderboard.md").read_bytes() == alone


def test_the_reproduce_line_of_one_run_does_not_overwrite_the_sweeps_report(harness: Terminal, folder: Path) -> None:
    (folder / "own" / "sweep").mkdir(parents=True)
    swept = "hydra: {mode: MULTIRUN, sweeper: {params: {prompt: 'chat,plain'}}}"
    (folder / "own" / "sweep" / "mine.yaml").write_text(f"# @package _global_\nreport: {{name: study}}\n{swept}\n")
    harness("run", "--config-dir", "own", "+sweep=mine", *ECHO)
    report = folder / "reports" / "data" / "study" / "leaderboard.md"
    before = report.read_bytes()
    commands = re.findall(r"reproduce: `python -m harness (.*)`", report.read_text())
    assert len(commands) == 2
    for command in commands:
        harness(*command.split(" ", 1)[0:1], "--config-dir", "own", *shlex.split(command)[1:])
    assert report.read_bytes() == before
    names = {path.name for path in (folder / "reports" / "data").iterdir()}
    assert names == {"study", "echo-chat", "echo-plain"}


def test_two_runs_of_one_name_have_two_reports(harness: Terminal, folder: Path) -> None:
    harness("run", *ECHO)
    out, err = harness("run", *ECHO, "generation.max_tokens=3")
    assert "reports/data/echo-chat-2/leaderboard.md" in out
    assert "reports/data/echo-chat is of other runs (echo-chat-" in err
    assert "reports/data/echo-chat-2/leaderboard.md" in harness("run", *ECHO, "generation.max_tokens=3")[0]
    assert "reports/data/echo-chat/leaderboard.md" in harness("run", *ECHO)[0]


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
