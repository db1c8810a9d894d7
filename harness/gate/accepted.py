"""Which baselines a folder holds, and what accepting a run would replace: decided without reading their examples.

Two data files of one name, such as `a/val.jsonl` and `b/val.jsonl`, are one task by name. So a baseline is told apart
by the fingerprint of its examples: a run of other examples replaces none unless that is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.types import RunResult
from harness.wording import at_most, sized

ACCEPT = "python -m harness baseline accept RUN"
FILES = ("README.md", "examples.jsonl", "examples.jsonl.gz")
"""What accepting a run writes beside `baseline.json`."""
TITLE = "# Baseline of "
"""How the README.md of a baseline starts; any other one is somebody's own."""
_UNREADABLE = "a record that cannot be read"


@dataclass(frozen=True, slots=True)
class BaselineSummary:
    """What the record of a baseline says of its run and data; empty where it cannot be read."""

    folder: Path
    task: str = ""
    run_id: str = ""
    source: str = ""
    n: int = 0
    fingerprint: str = ""
    primary_metric: str = ""
    metrics: tuple[str, ...] = ()
    n_samples: int = 1

    @property
    def data(self) -> str:
        """The data in words, as far as they tell two datasets apart."""
        return _data(sized(self.n, self.n_samples), self.source, self.fingerprint) if self.fingerprint else _UNREADABLE


def summary_of(folder: Path) -> BaselineSummary | None:
    """Return what the baseline in a folder is of, or None if there is none."""
    path = folder / "baseline.json"
    if not path.exists():
        return None
    try:
        run: dict[str, Any] = json.loads(path.read_text("utf-8"))["run"]
        data = run["dataset"]
        return BaselineSummary(
            folder,
            str(run["task"]),
            str(run["run_id"]),
            str(data["source"]),
            int(data["n_validation"]),
            str(data["fingerprint"]),
            str(run["primary_metric"]),
            tuple(str(metric["name"]) for metric in run["metrics"]),
            int(data.get("n_samples", 1)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return BaselineSummary(folder)


def summaries_below(root: Path) -> list[BaselineSummary]:
    """Return the baselines in a folder, in its folders and in theirs, in the order of their paths."""
    paths = [path for depth in ("", "*/", "*/*/") for path in root.glob(f"{depth}baseline.json")]
    summaries = (summary_of(folder) for folder in sorted(path.parent for path in paths))
    return [summary for summary in summaries if summary]


def require_replaceable(folder: Path, result: RunResult, fix: str) -> None:
    """Raise a StoreError if writing this run's baseline to `folder` would replace anything but one of its own data.

    `fix` says how to replace it all the same, or how to keep both.
    """
    summary = summary_of(folder)
    data = result.dataset
    if summary is None:
        if foreign := _foreign_files(folder):
            raise StoreError(
                f"{folder}: expected a baseline or nothing, got {' and '.join(foreign)} without a baseline.json, which "
                f"accepting {result.run_id} would overwrite. {fix}"
            )
    elif summary.fingerprint != data.fingerprint:
        new = _data(sized(data.n_validation, data.n_samples), data.source, data.fingerprint)
        old = summary.data + (f" (run {summary.run_id})" if summary.run_id else "")
        raise StoreError(
            f"{folder}: expected a baseline of the same data, got {old}, and run {result.run_id} is of {new}. {fix}"
        )


def losses(summary: BaselineSummary, result: RunResult) -> list[str]:
    """Return what gates of the replaced baseline had and those of this run's will not have, in words."""
    gone = [name for name in summary.metrics if result.metric(name) is None]
    lines = [f"not scored any more, so no longer gated: {', '.join(gone)}"] if gone else []
    if summary.primary_metric and summary.primary_metric != result.primary_metric:
        lines.append(f"gated by default: {result.primary_metric}, until now {summary.primary_metric}")
    return lines


def same_data_elsewhere(folder: Path, fingerprint: str) -> str:
    """Return a sentence that names the baselines beside `folder` that are of the data with this fingerprint, or none.

    Beside it are all baselines below the folder that holds those of its task.
    """
    beside = [*summaries_below(folder), *summaries_below(folder.parent)]
    names = [str(s.folder) for s in beside if fingerprint and s.fingerprint == fingerprint and s.folder != folder]
    listed = " and ".join(at_most(list(dict.fromkeys(names)), 3))
    return f" These examples are those of the baseline in {listed}: gate against it with --baseline." if names else ""


def several(folder: Path, summaries: Sequence[BaselineSummary], fingerprint: str = "") -> str:
    """Return the message for a task with several named baselines, of which none was chosen."""
    alike = [s for s in summaries if fingerprint and s.fingerprint == fingerprint]
    chosen = (alike or summaries)[0].folder.relative_to(folder)
    listed = ", ".join(str(s.folder.relative_to(folder)) for s in summaries)
    reason = ", which is of the same examples" if alike else ""
    return f"{folder}: expected one baseline, got several: {listed}. Choose one: --name {chosen}{reason}"


def _foreign_files(folder: Path) -> list[str]:
    """Return the files that a baseline would overwrite although they are not a baseline's."""
    readme = folder / "README.md"
    if readme.is_file() and readme.read_text("utf-8", errors="replace").startswith(TITLE):
        return []
    return [name for name in FILES if (folder / name).exists()]


def _data(size: str, source: str, fingerprint: str) -> str:
    return f"{size} of {source}, fingerprint {fingerprint}"
