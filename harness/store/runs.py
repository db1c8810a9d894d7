"""Run records on disk: saved atomically, validated when they are read, found by id, name or path.

results.json        a `RunResult`; its JSON schema is `results_schema()`
predictions.jsonl   one `Prediction` per line
stats.npz           each metric's sufficient statistics, and `example_ids`; rows in the order of
                    predictions.jsonl, nan for failed completions
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from harness.errors import ConfigError, StoreError, unknown
from harness.store.files import write_atomic
from harness.types import FloatArray, Prediction, RunResult

SCHEMA_VERSION = 2
"""The version that is written. Version 1 is still read: `harness.types` has its names as aliases."""

T = TypeVar("T")

_RUN_AGAIN = "Run it again: only missing results are computed."


@dataclass(frozen=True, slots=True)
class RunStats:
    """The ids of a run's examples, and each metric's statistics, shape (n examples, k), in their order."""

    example_ids: tuple[str, ...]
    metrics: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run read back from its folder; predictions and statistics are read on demand."""

    folder: Path
    result: RunResult

    def predictions(self) -> tuple[Prediction, ...]:
        """Return the run's examples, completions and scores, in order."""
        path, lines = self._lines()
        return tuple(_parse(_prediction_adapter(), line, f"{path}:{i}") for i, line in enumerate(lines, 1))

    def predictions_at(self, rows: Sequence[int]) -> dict[int, Prediction]:
        """Return the predictions in these rows, counted from 0, without the cost of reading the others."""
        path, lines = self._lines()
        return {row: _parse(_prediction_adapter(), lines[row], f"{path}:{row + 1}") for row in rows}

    def stats(self) -> RunStats:
        """Return each metric's statistics with the ids of their rows."""
        path = self.folder / "stats.npz"
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
                return RunStats(tuple(arrays.pop("example_ids").tolist()), arrays)
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"{path}: cannot be read ({error}). {_RUN_AGAIN}") from error

    def _lines(self) -> tuple[Path, list[str]]:
        path = self.folder / "predictions.jsonl"
        return path, _read(path).removesuffix("\n").split("\n")  # not splitlines: texts may hold U+2028


def save_run(
    folder: Path, result: RunResult, predictions: Sequence[Prediction], stats: Mapping[str, FloatArray]
) -> StoredRun:
    """Write a run, results.json last, so that a folder that has it is complete."""
    adapter = _prediction_adapter()
    lines = b"".join(adapter.dump_json(p) + b"\n" for p in predictions)
    write_atomic(folder / "predictions.jsonl", lines)
    archive = io.BytesIO()
    ids = np.array([p.example.id for p in predictions], np.str_)
    np.savez_compressed(archive, allow_pickle=False, example_ids=ids, **stats)
    write_atomic(folder / "stats.npz", archive.getvalue())
    return save_record(folder, result)


def save_record(folder: Path, result: RunResult) -> StoredRun:
    """Write the record of a run whose other files are written."""
    write_atomic(folder / "results.json", _result_adapter().dump_json(result, indent=2) + b"\n")
    return StoredRun(folder, result)


def load_run(folder: Path) -> StoredRun:
    """Read a run's record; StoreError when it is missing, damaged or of another schema version."""
    path = folder / "results.json"
    text = _read(path)
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError) as error:
        raise StoreError(f"{path}: expected a JSON object ({error}). Run it again.") from error
    if version not in range(1, SCHEMA_VERSION + 1):
        raise StoreError(f"{path}: expected schema_version 1 to {SCHEMA_VERSION}, got {version}. Run it again.")
    return StoredRun(folder, _parse(_result_adapter(), text, str(path)))


def find_runs(runs: Path, selectors: Sequence[str]) -> list[StoredRun]:
    """Return the runs that match the selectors (a folder, an id, the start of an id, or a name), or all for none."""
    folders = sorted(p.parent for p in runs.glob("*/results.json"))
    if not selectors:
        return [load_run(folder) for folder in folders]
    by_folder: dict[Path, StoredRun] = {}
    for selector in selectors:
        matches = _matches(selector, folders)
        if not matches:
            ids = [folder.name for folder in folders]
            raise StoreError(f"{unknown('run', selector, ids)} Runs are kept in {runs}.")
        by_folder.update({run.folder: run for run in matches})
    return list(by_folder.values())


def require_runs(runs: Path, selectors: Sequence[str]) -> list[StoredRun]:
    """Return the runs of `find_runs`; StoreError where there is none at all."""
    matches = find_runs(runs, selectors)
    if not matches:
        raise StoreError(f"there are no runs in {runs}. Make one: python -m harness run")
    return matches


def find_run(runs: Path, selector: str) -> StoredRun:
    """Return the one run that matches a selector; ConfigError when several do."""
    matches = find_runs(runs, [selector])
    if len(matches) > 1:
        ids = ", ".join(run.result.run_id for run in matches)
        raise ConfigError(f"{selector!r} matches {len(matches)} runs: {ids}. Give the id of one of them.")
    return matches[0]


def results_schema() -> dict[str, Any]:
    """Return the JSON schema of results.json."""
    return _result_adapter().json_schema()


def result_json(result: RunResult) -> dict[str, Any]:
    """Return a run's record as plain JSON values."""
    values: dict[str, Any] = _result_adapter().dump_python(result, mode="json")
    return values


def prediction_json(prediction: Prediction, references: bool = True) -> str:
    """Return a line of predictions.jsonl; without `references`, nothing that quotes one is in it."""
    if not references:
        example = dataclasses.replace(prediction.example, reference="")
        completion = dataclasses.replace(prediction.completion, likelihoods={})
        prediction = dataclasses.replace(prediction, example=example, completion=completion, prompt="")
    return _prediction_adapter().dump_json(prediction).decode()


def _matches(selector: str, folders: Sequence[Path]) -> list[StoredRun]:
    path = Path(selector)
    if (path / "results.json").exists():
        return [load_run(path.resolve())]
    by_id = [load_run(folder) for folder in folders if folder.name.startswith(selector)]
    return by_id or [run for run in map(load_run, folders) if run.result.name == selector]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}). {_RUN_AGAIN}") from error


def _parse(adapter: TypeAdapter[T], text: str, where: str) -> T:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{where}: {key}: {first['msg']}. {_RUN_AGAIN}") from error


@cache
def _result_adapter() -> TypeAdapter[RunResult]:
    return TypeAdapter(RunResult)


@cache
def _prediction_adapter() -> TypeAdapter[Prediction]:
    return TypeAdapter(Prediction)
