"""An LLM judge with known preferences: what it prefers is found, and what it is worth is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from harness import judging, pipeline, schema
from harness.__main__ import main
from harness.comparisons import Aligned
from harness.config import JudgeConfig, ReplayModelConfig, StatsConfig
from harness.errors import StoreError
from harness.judgement import judgement_schema
from harness.judging import Choice, Outcome, Pair
from harness.records import StoredRun, save_run
from harness.types import Example
from tests import judges
from tests.fakes import config

WINS, LOSSES, SAME = 7, 2, 2
"""How often the first run's completion is the longer one; of 12 examples, one pair has equal lengths."""
EXTRA = ([" indeed"] * WINS + [""] * LOSSES + [" yes"], [""] * WINS + [" and so on"] * LOSSES + [" no!"])


def stored(folder: Path, name: str, endings: list[str]) -> StoredRun:
    """Return a run whose completion of each example is known."""
    settings = config(folder, name)
    source = folder / f"{name}.jsonl"
    settings.model = ReplayModelConfig("replay", name, path=str(source))
    ids = [p.example.id for p in pipeline.run(config(folder, "any"), "command").predictions()]
    endings = endings + [""] * SAME
    lines = [
        {"id": example_id, "completion": f"Thing {i} is it{endings[i]}"} for i, example_id in enumerate(ids, start=0)
    ]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return pipeline.run(settings, "command")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[StoredRun]:
    monkeypatch.setenv("HARNESS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "150")
    return [stored(tmp_path, name, endings) for name, endings in zip(("one", "two"), EXTRA, strict=True)]


def judge(capsys: pytest.CaptureFixture[str], name: str, *more: str) -> dict[str, object]:
    capsys.readouterr()
    arguments = ["judge", "one", "two", "--json", "model=echo", f"model.backend=tests.judges:{name}", *more]
    assert main(arguments) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found
