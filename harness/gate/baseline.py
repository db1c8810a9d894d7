"""A baseline on disk: saved from a run, read back checked, never half believed.

    benchmarks/<task>/           or benchmarks/<task>/<name>/ where a task has several
      baseline.json              an `Accepted`: the run's record, and the digest of the examples
      examples.jsonl             an `AcceptedExample` a line; .gz where it is large
      README.md                  the same for people

No reference text is in it: whoever runs the gate has the data, and the fingerprint says whether it is the same.
What is missing, damaged or changed by hand is a StoreError that says what to do; nothing passes by default.

The page that a reviewer reads beside a baseline: what was accepted, how good it is, how to gate and replace it.

The examples of a run as the lines of a baseline: short, the same for the same run, and without references.
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

from harness.errors import ConfigError, StoreError
from harness.reports.formatting import decimals, table, visible, with_interval
from harness.store.digest import digest_lines
from harness.store.runs import StoredRun
from harness.store.stages import write_atomic
from harness.tasks.audit import fingerprint
from harness.types import FinishReason, FloatArray, RunResult


def example_lines(run: StoredRun) -> list[str]:
    """Return an `AcceptedExample` a line (see `harness.gate.baseline`), empty fields left out."""
    stats, predictions = run.stats().metrics, run.predictions()
    lines = []
    for i, (example, completion) in enumerate((p.example, p.completion) for p in predictions):
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
        kept = {k: v for k, v in row.items() if v not in (None, {}) or k == "completion"}
        lines.append(json.dumps(kept, ensure_ascii=False))
    return lines


def _compact(value: float) -> float | int | None:
    """Return what JSON writes shortest and reads back as the same number; nan is null."""
    number = float(value)
    if math.isnan(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def card(result: RunResult) -> str:
    """Return the markdown of a baseline's README.md."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: RunResult) -> Iterator[str]:
    usage, data, model = result.usage, result.dataset, result.model
    yield f"# Baseline of {_code(result.task)}\n"
    command = f"python -m harness baseline accept {result.run_id}"
    yield f"Written by {_code(command)}; accept another run to change it.\n"
    yield f"- model: {_code(result.name)}, {_code(model.backend)} {_code(model.base)}"
    parts = (("revision", model.revision), ("weights", model.weights), ("adapter", model.adapter))
    yield from (f"  - {name} {_code(value)}" for name, value in parts if value)
    yield f"- data: {usage.n} examples of {_code(data.name)}, {_code(data.source)} ({_code(data.licence)})"
    yield f"  - fingerprint {_code(data.fingerprint)}, seed {result.config.get('seed', 0)}"
    yield f"- completions: {usage.errors} failed, {usage.truncated} truncated"
    yield f"- made by: {_code(result.command)}\n"
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
    yield "Reference texts are no part of this folder."


def _code(text: str) -> str:
    """Return text as code, which is as readable in git's diff as on the page; a table takes `|` only escaped."""
    shown = visible(text).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else "–"


SCHEMA_VERSION = 1
LARGE = 512 * 1024
"""Bytes of examples from which they are compressed; less is kept as text, which git shows line by line."""
MACHINE = ("store", "dry_run", "tracking", "report", "baselines", "pricing")
"""Settings that say where a run was made and shown, and nothing about its scores."""
ACCEPT = "python -m harness baseline accept RUN"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The content of `baseline.json`; `run` is a `RunResult` without slices, stages and notices."""

    schema_version: int
    accepted: str
    examples: str
    """The file beside it that holds the examples."""
    digest: str
    """Of the lines of that file."""
    run: RunResult


@dataclass(frozen=True, slots=True)
class AcceptedExample:
    """One example of a baseline: what was asked, what the accepted model said, and each metric's statistics."""

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
    accepted: Accepted
    examples: tuple[AcceptedExample, ...]

    @property
    def result(self) -> RunResult:
        """The record of the accepted run."""
        return self.accepted.run

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which examples the accepted model failed on, shape (n,): nothing can be compared there."""
        return np.array([each.error is not None for each in self.examples], bool)

    def stats(self, metric: str) -> FloatArray:
        """Return a metric's statistics, shape (n, k), nan for failures; StoreError when it has none."""
        try:
            rows = [each.stats[metric] for each in self.examples]
        except KeyError as error:
            held = ", ".join(m.name for m in self.result.metrics)
            raise StoreError(
                f"{self.folder}: {metric} is no metric of this baseline, which has: {held}. Gate one of them, "
                f"or accept a run that was scored with it: {ACCEPT}"
            ) from error
        return np.array([[np.nan if v is None else v for v in row] for row in rows], np.float64)


def place(root: Path, task: str, name: str = "") -> Path:
    """Return the folder of a task's baseline, or of the one called `name` where a task has several."""
    for part in (task, name):
        if part and (Path(part).name != part or part in {".", ".."}):
            raise ConfigError(f"a baseline's folder is named by its task and name: expected no path, got {part!r}.")
    return root / task / name if name else root / task


def find(root: Path, task: str, name: str = "") -> Path:
    """Return the folder of a task's baseline below `root`, or `root` where it is a baseline itself."""
    return root if not name and (root / "baseline.json").exists() else place(root, task, name)


def accept(run: StoredRun, folder: Path, allow_errors: bool = False) -> Path:
    """Write a run to `folder` as its baseline and return the folder; ConfigError when examples failed."""
    if run.result.usage.errors and not allow_errors:
        raise ConfigError(
            f"run {run.result.run_id}: {run.result.usage.errors} of {run.result.usage.n} examples failed. "
            "Run it again, which tries them again, or leave them out of all comparisons with --allow-errors."
        )
    lines = example_lines(run)
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
    name, other = ("examples.jsonl", "examples.jsonl.gz")[:: 1 if len(text) <= LARGE else -1]
    accepted = Accepted(
        SCHEMA_VERSION, datetime.now(UTC).isoformat(timespec="seconds"), name, digest_lines(lines), _trimmed(run.result)
    )
    write_atomic(folder / name, gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
    write_atomic(folder / "README.md", card(run.result))
    write_atomic(folder / "baseline.json", _ACCEPTED.dump_json(accepted, indent=2) + b"\n")
    (folder / other).unlink(missing_ok=True)
    return folder


def load(folder: Path) -> Baseline:
    """Read a baseline; StoreError when it is missing, damaged, changed by hand or of another schema version."""
    path = folder / "baseline.json"
    if not path.exists():
        raise StoreError(_missing(folder))
    try:
        values = json.loads(path.read_text("utf-8"))
        version = values.get("schema_version")
        if version != SCHEMA_VERSION:
            raise StoreError(f"{path}: expected schema_version {SCHEMA_VERSION}, got {version}. Accept a run: {ACCEPT}")
        accepted = _ACCEPTED.validate_python(values)
        lines = _examples(folder / accepted.examples)
        examples = tuple(_EXAMPLE.validate_python(json.loads(line)) for line in lines)
    except (OSError, EOFError, ValueError, AttributeError, ValidationError) as error:
        where = getattr(error, "filename", None) or path
        raise StoreError(
            f"{where}: the baseline cannot be read ({str(error).splitlines()[0]}). "
            f"Restore the folder from git, or accept a run again: {ACCEPT}"
        ) from error
    if digest_lines(lines) != accepted.digest:
        raise StoreError(
            f"{folder / accepted.examples}: was changed after it was accepted, its digest is not baseline.json's. "
            f"Restore the folder from git, or accept a run again: {ACCEPT}"
        )
    return Baseline(folder, accepted, examples)


def _missing(folder: Path) -> str:
    named = sorted(str(p.parent.relative_to(folder)) for p in folder.glob("*/baseline.json"))
    if named:
        return f"{folder}: holds several baselines: {', '.join(named)}. Say which: --name {named[0]}"
    return f"{folder}: there is no baseline. Accept a run once and commit the folder: {ACCEPT}"


def _examples(path: Path) -> list[str]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "surrogatepass")
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")  # git may have changed the line ends


def _trimmed(result: RunResult) -> RunResult:
    config: dict[str, Any] = {key: value for key, value in result.config.items() if key not in MACHINE}
    metrics: Sequence[Any] = [replace(metric, slices={}) for metric in result.metrics]
    dataset = replace(result.dataset, notices=())
    return replace(result, config=config, metrics=tuple(metrics), dataset=dataset, stages=())


_ACCEPTED = TypeAdapter(Accepted)
_EXAMPLE = TypeAdapter(AcceptedExample)
