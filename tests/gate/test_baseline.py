"""A baseline reads back as the run that was accepted; one that is missing, damaged or edited is refused."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigError, StoreError
from harness.gate import baseline as baseline_module
from harness.gate.baseline import accept, find_folder, folder_for, load
from harness.gate.diff import changes
from harness.gate.pairing import Paired, output_of, require_comparable
from harness.registry import stored_metric
from harness.store.runs import StoredRun
from harness.types import Example
from tests.support.replays import examples, replayed

N = 12


def half_right(folder: Path) -> list[str]:
    return [e.reference if i % 2 else e.prompt for i, e in enumerate(examples(folder, N))]


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    return replayed(tmp_path, "first", half_right(tmp_path))


@pytest.fixture
def folder(run: StoredRun, tmp_path: Path) -> Path:
    return accept(run, folder_for(tmp_path / "benchmarks", run.result.task))


def test_it_reads_back_bit_for_bit(run: StoredRun, folder: Path) -> None:
    baseline, stats = load(folder), run.stats()
    assert [e.id for e in baseline.examples] == list(stats.example_ids)
    for name, values in stats.metrics.items():
        assert np.array_equal(baseline.stats(name), values)
    assert baseline.result.model == run.result.model
    assert baseline.result.config["stats"] == run.result.config["stats"]
    assert [e.completion for e in baseline.examples] == [p.completion.text for p in run.predictions()]


def test_it_contains_no_reference_and_no_path_of_this_machine(run: StoredRun, folder: Path) -> None:
    text = "".join(path.read_text("utf-8") for path in folder.iterdir())
    completions = {p.completion.text for p in run.predictions()}
    references = [p.example.reference for p in run.predictions() if p.example.reference not in completions]
    assert references
    assert not [reference for reference in references if reference in text]
    assert "store" not in load(folder).result.config


def test_the_same_run_gives_the_same_files(run: StoredRun, folder: Path, tmp_path: Path) -> None:
    again = accept(run, tmp_path / "again")
    for name in ("examples.jsonl", "README.md"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    [first, second] = [json.loads((f / "baseline.json").read_text()) for f in (folder, again)]
    assert {**first, "accepted": ""} == {**second, "accepted": ""}


def test_many_examples_are_compressed_and_no_other_copy_remains(
    run: StoredRun, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = (folder / "examples.jsonl").read_bytes()
    monkeypatch.setattr(baseline_module, "LARGE", 100)
    accept(run, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "baseline.json", "examples.jsonl.gz"]
    packed = (folder / "examples.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == plain
    assert packed[4:8] == b"\0\0\0\0"
    assert len(load(folder).examples) == N


def test_changed_line_endings_are_accepted(folder: Path) -> None:
    path = folder / "examples.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(load(folder).examples) == N


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "baseline.json").unlink(), "there is no baseline. Accept a run and commit"),
        (lambda folder: (folder / "baseline.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "baseline.json").write_text("[]"), "cannot be read"),
        (edit("baseline.json", '"schema_version": 1', '"schema_version": 9'), "expected schema_version 1, got 9"),
        (edit("baseline.json", '"run_id"', '"other"'), "cannot be read"),
        (lambda folder: (folder / "examples.jsonl").unlink(), "examples.jsonl: the baseline cannot be read"),
        (lambda folder: (folder / "examples.jsonl").write_text("<<<<<<< HEAD\n"), "cannot be read"),
        (edit("examples.jsonl", '"rougeL": [1, 1]', '"rougeL": [0, 1]'), "changed after it was accepted"),
        (lambda folder: (folder / "examples.jsonl").write_bytes(b"\xff\xfe"), "cannot be read"),
    ],
)
def test_damage_is_an_error_with_a_fix(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(StoreError, match=message) as caught:
        load(folder)
    assert "baseline accept RUN" in str(caught.value)


def test_damaged_compression_is_an_error(run: StoredRun, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline_module, "LARGE", 100)
    accept(run, folder)
    path = folder / "examples.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="cannot be read"):
        load(folder)


def test_a_run_with_failures_is_accepted_only_on_request(tmp_path: Path) -> None:
    completions = [e.prompt for e in examples(tmp_path, N)]
    run = replayed(tmp_path, "failing", [None, *completions[1:]])
    with pytest.raises(ConfigError, match="1 of 12 examples failed"):
        accept(run, tmp_path / "b")
    baseline = load(accept(run, tmp_path / "b", allow_errors=True))
    assert baseline.failed.sum() == 1
    assert math.isnan(baseline.stats("rougeL")[baseline.failed].sum())


def test_one_of_several_baselines_of_a_task_is_chosen_by_name(run: StoredRun, tmp_path: Path) -> None:
    root = tmp_path / "several"
    for name in ("large", "small"):
        accept(run, folder_for(root, run.result.task, name))
    with pytest.raises(StoreError, match=r"got several: large, small\. Choose one: --name large"):
        load(find_folder(root, run.result.task))
    assert load(find_folder(root, run.result.task, "small")).result.run_id == run.result.run_id
    assert find_folder(root / run.result.task / "small", run.result.task) == root / run.result.task / "small"
    with pytest.raises(ConfigError, match="expected a plain name"):
        folder_for(root, "../elsewhere")


def test_other_tasks_data_and_signatures_are_refused(run: StoredRun, folder: Path) -> None:
    baseline = load(folder)
    same = [p.example for p in run.predictions()]
    signatures = {m.name: m.signature for m in run.result.metrics}
    require_comparable(baseline, run.result.task, same[::-1], signatures)
    other = replace(same[0], reference="Another.")
    table: list[tuple[tuple[str, list[Example], dict[str, str | None]], str]] = [
        (("cooking", same, {**signatures}), "expected a candidate of the baseline's task 'things', got task 'cooking'"),
        (("things", same[1:], {**signatures}), "1 missing, such as"),
        (("things", [other, *same[1:]], {**signatures}), "1 changed, such as"),
        (("things", same, {"rougeL": "rougeL|stem:none"}), "rougeL is not comparable between these runs"),
        (("things", same, {"rougeL": None}), "candidate: not scored"),
        (("things", same, {"chrf": "chrF2"}), "was not scored with chrf, only with: rougeL"),
    ]
    for (task, rows, candidate), message in table:
        with pytest.raises(StoreError, match=message):
            require_comparable(baseline, task, rows, candidate)


def test_pairs_follow_the_candidates_order(run: StoredRun, folder: Path, tmp_path: Path) -> None:
    metric = stored_metric(run, "rougeL")
    output = output_of(run, [metric])
    order = np.random.default_rng(0).permutation(N)[:7]
    some = replace(
        output,
        examples=tuple(output.examples[i] for i in order),
        completions=tuple(output.completions[i] for i in order),
        stats={"rougeL": output.stats["rougeL"][order]},
    )
    paired = Paired(load(folder), some)
    assert np.array_equal(*paired.stats("rougeL"))
    assert paired.same.all()
    assert [e.id for e in paired.accepted] == [e.id for e in some.examples]


def test_a_diff_lists_what_changed(folder: Path, tmp_path: Path) -> None:
    second = replayed(tmp_path, "second", ["Thing", *half_right(tmp_path)[1:-1], "Nothing."])
    diff = changes(load(folder), second)
    what = {change.what for change in diff.settings}
    assert {"name", "model.weights"} <= what
    assert not {w for w in what if w.startswith(("data", "signature"))}
    scores = {score.metric: score for score in diff.scores}
    rouge = scores["rougeL"]
    assert rouge.difference == pytest.approx((rouge.after or 0) - (rouge.before or 0))
    assert rouge.difference is not None
    assert (rouge.low or 0) < rouge.difference < (rouge.high or 0)
    assert [example.completion_after for example in diff.examples] == ["Nothing.", "Thing"]
    assert diff.examples[0].after - diff.examples[0].before == -1.0


def test_a_diff_over_other_data_compares_nothing(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = replayed(elsewhere, "other", [e.prompt for e in examples(elsewhere, 9)])
    diff = changes(load(folder), other)
    assert diff.same_completions is None
    assert all(score.difference is None and "differ from the baseline's" in score.note for score in diff.scores)
    assert "data.fingerprint" in {change.what for change in diff.settings}
