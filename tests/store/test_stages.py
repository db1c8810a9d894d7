"""Products are stored whole, once, and never under another key."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.files import write_atomic
from harness.store.stages import Store
from harness.types import Completion, FinishReason, SamplingParams


def completion(text: str | None, error: str | None = None) -> Completion:
    reason = FinishReason.ERROR if error else FinishReason.STOP
    return Completion("", text, reason, error, prompt_tokens=3, completion_tokens=2, seconds=0.5)


@pytest.mark.parametrize("text", ["plain", "two\nlines", "\x00\x1b[31m", "日本語 😀", "", '{"key": 1}'])
def test_a_completion_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    log = Store(tmp_path).completions({})
    log.append("k", completion(text))
    assert log.read() == {"k": completion(text)}


def test_failed_completions_are_kept_for_the_record_but_tried_again(tmp_path: Path) -> None:
    log = Store(tmp_path).completions({})
    log.append("k", completion(None, "timed out"))
    assert log.read() == {}
    assert "timed out" in log.path.read_text()


def test_a_line_truncated_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    log = Store(tmp_path).completions({})
    log.append("a", completion("first"))
    log.append("b", completion("second"))
    log.path.write_bytes(log.path.read_bytes()[:-9])
    assert list(log.read()) == ["a"]
    log.append("c", completion("third"))
    assert list(log.read()) == ["a", "c"]


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    log = Store(tmp_path).completions({})
    log.append("a", completion("first"))
    log.path.write_bytes(b"garbage\n" + log.path.read_bytes())
    with pytest.raises(StoreError, match=r"completions\.jsonl:1: .*Delete the line"):
        log.read()


def test_only_missing_values_are_computed_and_those_before_a_kill_are_kept(tmp_path: Path) -> None:
    log = Store(tmp_path).completions({})
    log.append("a", completion("stored"))
    requested: list[list[str]] = []
    killed = True

    def compute(missing: list[str]) -> Generator[tuple[str, Completion]]:
        requested.append(missing)
        for key in missing:
            if killed and key == "c":
                raise KeyboardInterrupt
            yield key, completion(key)

    with pytest.raises(KeyboardInterrupt):
        log.fill(["a", "b", "c"], compute)
    killed = False
    values, computed = log.fill(["a", "b", "c"], compute)
    assert requested == [["b", "c"], ["c"]]
    assert (sorted(values), list(computed)) == (["a", "b", "c"], ["c"])
    assert log.fill(["a"], compute) == (log.read(), {})
    assert len(requested) == 2


def test_a_stage_is_built_once_and_explains_itself(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "product").write_text("x")

    first, was_there = store.build("scores", {"a": SamplingParams()}, make)
    again, is_there = store.build("scores", {"a": SamplingParams()}, make)
    other, _ = store.build("scores", {"a": SamplingParams(max_tokens=1)}, make)
    assert (was_there, is_there, len(calls)) == (False, True, 2)
    assert first == again != other
    assert '"max_tokens":64' in (first / "inputs.json").read_text()


def test_a_stage_that_failed_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.build("scores", {"a": 1}, fail)
    assert not store.folder("scores", {"a": 1}).exists()
    folder, was_there = store.build("scores", {"a": 1}, lambda f: None)
    assert not was_there
    assert not (folder / "half").exists()


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("harness.store.stages.os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
