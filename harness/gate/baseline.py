"""Baselines on disk: an accepted run is written to a folder that is committed, and read back with every check.

    benchmarks/<task>/           or benchmarks/<task>/<name>/ if a task has several
      baseline.json              a `BaselineRecord`: the record of the run, and the digest of the examples
      examples.jsonl             one `BaselineExample` per line; examples.jsonl.gz if it is large
      README.md                  a summary for reviewers

References are not stored: whoever runs the gate has the data, and its fingerprint shows whether it is the same. A
baseline that is missing, damaged or edited by hand raises a StoreError that says how to fix it; it never passes.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from harness.config.decides import affecting, with_own_seeds
from harness.errors import ConfigError, StoreError
from harness.gate.accepted import ACCEPT, TITLE, require_replaceable, several, summaries_below
from harness.reports.formatting import decimals, table, with_interval
from harness.store.digest import digest_lines
from harness.store.files import write_atomic
from harness.store.runs import StoredRun
from harness.tasks.audit import fingerprint
from harness.types import FinishReason, FloatArray, RunResult
from harness.wording import counted, sized, visible

SCHEMA_VERSION = 1
LARGE = 512 * 1024
"""Bytes of examples from which they are compressed; fewer are kept as text, which git shows line by line."""
REPLACE = f"{ACCEPT} --replace"
KEEP_BOTH = "Keep both with --name NAME, or replace it with --replace."


@dataclass(frozen=True, slots=True)
class BaselineRecord:
    """The content of `baseline.json`; `run` is a `RunResult` without slices, stages and notices."""

    schema_version: int
    accepted: str
    """When, in ISO 8601."""
    examples: str
    """The name of the file in the same folder that holds the examples."""
    digest: str
    """The digest of the lines of that file."""
    run: RunResult


@dataclass(frozen=True, slots=True)
class BaselineExample:
    """One example of a baseline: the prompt, the completion of the accepted model, and the statistics by metric."""

    id: str
    prompt: str
    digest: str
    """The fingerprint of the example, its reference included."""
    completion: str | None
    finish_reason: FinishReason
    stats: Mapping[str, tuple[float | None, ...]]
    slices: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline read back from its folder."""

    folder: Path
    record: BaselineRecord
    examples: tuple[BaselineExample, ...]

    @property
    def result(self) -> RunResult:
        """The record of the accepted run."""
        return self.record.run

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which examples the accepted model failed on, shape (n,): nothing can be compared there."""
        return np.array([example.error is not None for example in self.examples], bool)

    def stats(self, metric: str) -> FloatArray:
        """Return the statistics of a metric, shape (n, k), nan for failures; StoreError if there are none."""
        try:
            rows = [example.stats[metric] for example in self.examples]
        except KeyError as error:
            valid = ", ".join(m.name for m in self.result.metrics)
            raise StoreError(
                f"{self.folder}: the baseline was not scored with {metric}, only with: {valid}. Gate one of these, "
                f"or accept a run that was scored with {metric}: {ACCEPT}"
            ) from error
        return np.array([[np.nan if v is None else v for v in row] for row in rows], np.float64)


def folder_for(root: Path, task: str, name: str = "") -> Path:
    """Return the folder of a task's baseline, or of the one called `name` if a task has several."""
    for part in (task, name):
        if part and (Path(part).name != part or part in {".", ".."}):
            raise ConfigError(f"baseline: expected a plain name as the task and as --name, got the path {part!r}.")
    return root / task / name if name else root / task


def find_folder(root: Path, task: str, name: str = "") -> Path:
    """Return the folder of a task's baseline below `root`, or `root` if it is itself a baseline."""
    return root if not name and (root / "baseline.json").exists() else folder_for(root, task, name)


def accept(
    run: StoredRun, folder: Path, allow_errors: bool = False, replace_other: bool = False, fix: str = KEEP_BOTH
) -> Path:
    """Write a run to `folder` as its baseline and return the folder; ConfigError if any examples failed.

    StoreError, which ends with `fix`, where the folder holds the baseline of other data, unless `replace_other`.
    """
    usage = run.result.usage
    if usage.errors and not allow_errors:
        raise ConfigError(
            f"run {run.result.run_id}: {usage.errors} of {counted(usage.n, 'example')} failed. Run it again to retry "
            "them, or exclude them from all comparisons with --allow-errors."
        )
    if not replace_other:
        require_replaceable(folder, run.result, fix)
    lines = _example_lines(run)
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
    name, other = ("examples.jsonl", "examples.jsonl.gz")[:: 1 if len(text) <= LARGE else -1]
    accepted = datetime.now(UTC).isoformat(timespec="seconds")
    record = BaselineRecord(SCHEMA_VERSION, accepted, name, digest_lines(lines), _trimmed(run.result))
    try:
        write_atomic(folder / name, gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
        write_atomic(folder / "README.md", "\n".join(_readme(run.result)) + "\n")
        write_atomic(folder / "baseline.json", _RECORD.dump_json(record, indent=2) + b"\n")
        (folder / other).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: the baseline cannot be written ({error}). Choose another folder.") from error
    return folder


def load(folder: Path, fingerprint: str = "") -> Baseline:
    """Read a baseline; StoreError if it is missing, damaged, edited by hand or of another schema version.

    `fingerprint` is that of the candidate's examples, where it is known: the message names the baseline that has them.
    """
    path = folder / "baseline.json"
    if not path.exists():
        raise StoreError(_missing(folder, fingerprint))
    try:
        values = json.loads(path.read_text("utf-8"))
        version = values.get("schema_version")
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{path}: expected schema_version {SCHEMA_VERSION}, got {version}. Accept a run: {REPLACE}"
            )
        record = _RECORD.validate_python(values)
        lines = _read_lines(folder / record.examples)
        examples = tuple(_EXAMPLE.validate_python(json.loads(line)) for line in lines)
    except (OSError, EOFError, ValueError, AttributeError, ValidationError) as error:
        file = getattr(error, "filename", None) or path
        raise StoreError(
            f"{file}: the baseline cannot be read ({str(error).splitlines()[0]}). "
            f"Restore the folder from git, or accept a run again: {REPLACE}"
        ) from error
    if digest_lines(lines) != record.digest:
        raise StoreError(
            f"{folder / record.examples}: changed after it was accepted: its digest differs from the one in "
            f"baseline.json. Restore the folder from git, or accept a run again: {REPLACE}"
        )
    return Baseline(folder, record, examples)


def _missing(folder: Path, fingerprint: str) -> str:
    if named := [summary for summary in summaries_below(folder) if summary.folder.parent == folder]:
        return several(folder, named, fingerprint)
    alike = [s for s in summaries_below(folder.parent) if fingerprint and s.fingerprint == fingerprint]
    if alike and (alike[0].folder == folder.parent or alike[0].task == folder.parent.name):  # this is its --name
        return (
            f"{folder}: there is no baseline. {alike[0].folder} is one of the same examples: gate against it, or "
            f"accept a run: {ACCEPT} --name {folder.name}"
        )
    if alike:
        return (
            f"{folder}: there is no baseline. {alike[0].folder} is one of the same examples, of the task "
            f"{alike[0].task!r}: run the candidate with task.name={alike[0].task}, or accept a run: {ACCEPT}"
        )
    return f"{folder}: there is no baseline. Accept a run and commit the folder: {ACCEPT}"


def _trimmed(result: RunResult) -> RunResult:
    config = affecting(result.config, labels=True)
    metrics: Sequence[Any] = [replace(metric, slices={}) for metric in result.metrics]
    dataset = replace(result.dataset, notices=())
    return replace(result, config=config, metrics=tuple(metrics), dataset=dataset, stages=())


def _example_lines(run: StoredRun) -> list[str]:
    """Return one `BaselineExample` per line, without empty fields; the same run always gives the same lines."""
    stats = run.stats().metrics
    lines = []
    for i, (example, completion) in enumerate((p.example, p.completion) for p in run.predictions()):
        row = {
            "id": example.id,
            "prompt": example.prompt,
            "slices": dict(example.slices),
            "digest": fingerprint([example]),
            "completion": completion.text,
            "finish_reason": completion.finish_reason.value,
            "error": completion.error,
            "stats": {name: [_compact(v) for v in values[i]] for name, values in stats.items()},
        }
        filled = {k: v for k, v in row.items() if v not in (None, {}) or k == "completion"}
        lines.append(json.dumps(filled, ensure_ascii=False))
    return lines


def _compact(value: float) -> float | int | None:
    """Return the shortest JSON value that is read back as the same number; nan is null."""
    number = float(value)
    if math.isnan(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _read_lines(path: Path) -> list[str]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "surrogatepass")
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")  # git may have changed the line endings


def _readme(result: RunResult) -> Iterator[str]:
    """Yield the lines of the README.md: what was accepted, its scores, and how to gate against it or replace it."""
    usage, data, model = result.usage, result.dataset, result.model
    yield f"{TITLE}{_code(result.task)}\n"
    command = f"python -m harness baseline accept {result.run_id}"
    yield f"Written by {_code(command)}; accept another run to replace it.\n"
    yield f"- model: {_code(result.name)}, {_code(model.backend)} {_code(model.base)}"
    parts = (("revision", model.revision), ("weights", model.weights), ("adapter", model.adapter))
    yield from (f"  - {name} {_code(value)}" for name, value in parts if value)
    examples = sized(data.n_validation, data.n_samples)
    yield f"- data: {examples} of {_code(data.name)}, {_code(data.source)} ({_code(data.licence)})"
    sample_seed = with_own_seeds(result.config)["task"].get("sample_seed", 0)
    yield f"  - fingerprint {_code(data.fingerprint)}, sample seed {sample_seed}"
    yield f"- completions: {usage.errors} failed, {usage.truncated} truncated"
    yield f"- command of the run: {_code(result.command)}\n"
    rows = [
        (
            f"{_code(metric.name)}{'' if metric.name != result.primary_metric else ' (primary)'}",
            with_interval(metric.score, decimals([metric])),
            _code(metric.signature),
        )
        for metric in result.metrics
    ]
    confidence = float(result.config["stats"]["confidence"])
    yield from table(("metric", f"score, {confidence:.0%} interval", "signature"), rows)
    yield "\nGate a run against it: `python -m harness gate RUN`, or `@pytest.mark.regression` (see the README)."
    yield "This folder contains no reference texts."


def _code(text: str) -> str:
    """Return text as inline code, readable in a git diff and on the page; `|` is escaped for tables."""
    shown = visible(text).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else "–"


_RECORD = TypeAdapter(BaselineRecord)
_EXAMPLE = TypeAdapter(BaselineExample)
