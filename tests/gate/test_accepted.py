"""No baseline is lost in silence, and a candidate is told which baseline is that of its data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.errors import StoreError
from harness.gate.accepted import losses, summaries_below, summary_of
from harness.gate.baseline import accept, load
from harness.gate.candidate import GateRequest, gate_run
from harness.store.runs import StoredRun
from tests.support.fakes import write_corpus
from tests.support.replays import examples, replayed

N = 12


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[StoredRun, StoredRun]:
    """Two runs of one task, of files that have the same name in different folders, in one store."""
    made = []
    for folder, mark in (("a", ""), ("b", "Other: ")):
        (tmp_path / folder).mkdir()
        data = write_corpus(tmp_path / folder / "data.jsonl", N + 5)
        rows = [json.loads(line) for line in data.read_text().splitlines()]
        lines = [json.dumps({**row, "completion": mark + row["completion"]}) for row in rows]
        data.write_text("".join(f"{line}\n" for line in lines))
        made.append(replayed(tmp_path / folder, f"of_{folder}", [e.reference for e in examples(data.parent, N)]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_STORE", "store")
    return made[0], made[1]


def test_a_baseline_of_other_data_is_replaced_only_on_request(
    runs: tuple[StoredRun, StoredRun], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (str(run.folder) for run in runs)
    assert main(["baseline", "accept", first]) == 0
    kept = Path("benchmarks/things/baseline.json").read_bytes()
    assert main(["baseline", "accept", second]) == 5
    refusal = capsys.readouterr().err
    for run in runs:
        assert run.result.dataset.source in refusal
        assert run.result.dataset.fingerprint in refusal
    assert f"baseline accept {runs[1].result.run_id} --replace" in refusal
    assert "--name NAME" in refusal
    assert Path("benchmarks/things/baseline.json").read_bytes() == kept
    assert main(["baseline", "accept", second, "--replace"]) == 0
    shown = capsys.readouterr().out
    assert f"in place of {runs[0].result.run_id}, which was of" in shown
    assert load(Path("benchmarks/things")).result.run_id == runs[1].result.run_id


def test_a_run_on_the_same_data_replaces_it_and_says_what_goes(
    runs: tuple[StoredRun, StoredRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = replayed(tmp_path / "a", "newer", ["Thing"] * N)
    assert main(["baseline", "accept", str(runs[0].folder)]) == 0
    assert main(["baseline", "accept", str(again.folder)]) == 0
    assert f"accepted {again.result.run_id} in place of {runs[0].result.run_id};" in capsys.readouterr().out
    summary = summary_of(Path("benchmarks/things"))
    assert summary is not None
    fewer = type(again.result)(
        **{
            **{name: getattr(again.result, name) for name in again.result.__slots__},
            "metrics": again.result.metrics[1:],
            "primary_metric": "exact_match",
        }
    )
    assert losses(summary, fewer) == [
        "not scored any more, so no longer gated: rougeL",
        "gated by default: exact_match, until now rougeL",
    ]


@pytest.mark.parametrize("name", ["README.md", "examples.jsonl"])
def test_files_that_are_no_baseline_are_not_overwritten(
    runs: tuple[StoredRun, StoredRun], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "benchmarks" / "things"
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(StoreError, match=f"got {name} without a baseline.json"):
        accept(runs[0], folder)
    assert (folder / name).read_text() == "mine"
    accept(runs[0], folder, replace_other=True)


def test_a_record_that_cannot_be_read_is_not_replaced_unasked(
    runs: tuple[StoredRun, StoredRun], tmp_path: Path
) -> None:
    folder = accept(runs[0], tmp_path / "kept")
    for content in ("{", "[]", "{}", '{"run": {"dataset": 3}}'):
        (folder / "baseline.json").write_text(content)
        with pytest.raises(StoreError, match="a record that cannot be read"):
            accept(runs[0], folder)


def test_a_folder_that_cannot_be_written_is_an_error_with_a_fix(
    runs: tuple[StoredRun, StoredRun], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        accept(runs[0], tmp_path / "file" / "things")


def test_the_baseline_of_the_candidates_data_is_named(runs: tuple[StoredRun, StoredRun], tmp_path: Path) -> None:
    root = tmp_path / "benchmarks"
    accept(runs[0], root / "things")
    accept(runs[1], root / "things" / "b")
    accept(runs[1], root / "elsewhere")
    assert [summary.folder.name for summary in summaries_below(root)] == ["elsewhere", "things", "b"]
    with pytest.raises(StoreError, match=r"12 changed.*These examples are those of the baseline in .*things/b"):
        gate_run(runs[1], load(root / "things"), GateRequest())
    fingerprint = runs[1].result.dataset.fingerprint
    with pytest.raises(StoreError, match=r"elsewhere is one of the same examples, of the task 'things'"):
        load(root / "renamed", fingerprint)
    with pytest.raises(StoreError, match=r"things/b is one of the same examples: gate against it"):
        load(root / "things" / "c", fingerprint)
    accept(runs[0], root / "several" / "a")
    accept(runs[1], root / "several" / "b")
    with pytest.raises(StoreError, match=r"got several: a, b\. Choose one: --name b, which is of the same examples"):
        load(root / "several", fingerprint)
