"""The user's cache folder, and what is kept in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store import memo


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HARNESS_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/finetune-harness"),
        ({"HOME": "/home/me"}, "/home/me/.cache/finetune-harness"),
    ],
)
def test_cache_dir(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name in ("HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert memo.cache_dir() == Path(expected)


def test_a_value_is_kept_by_its_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    assert memo.recall(["a", 1]) is None
    memo.remember(["a", 1], {"text": "é \ud83d", "n": [1, None]})
    assert memo.recall(["a", 1]) == {"text": "é \ud83d", "n": [1, None]}
    assert memo.recall(["a", 2]) is None
    [file] = (tmp_path / "memo").iterdir()
    file.write_text('{"cut')
    assert memo.recall(["a", 1]) is None


def test_large_values_and_folders_that_cannot_be_written_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    memo.remember("large", "x" * memo.MOST_BYTES)
    assert memo.recall("large") is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file"))
    memo.remember("small", 1)
    assert memo.recall("small") is None
