"""The jobs of a sweep: their number, their progress, and one result file per job.

A launcher may run jobs in other processes or on other machines, and Hydra does not call its end-of-sweep callback if
a job fails. So every job writes a small file into a folder that it finds in the environment, which launchers pass on.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from harness.credentials import redacted
from harness.store.files import write_atomic

_FOLDER, _JOBS = "HARNESS_SWEEP_FOLDER", "HARNESS_SWEEP_JOBS"

REUSED_SECONDS = 10.0
"""A job that takes less time reused its work, and is left out of the estimate of the remaining time."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of one job: its runs, or the error that ended it, and the settings of its report."""

    overrides: tuple[str, ...]
    seconds: float
    runs: tuple[str, ...] = ()
    plans: tuple[Mapping[str, Any], ...] = ()
    """The plans of a dry run, which has no runs."""
    prompts: tuple[Mapping[str, Any], ...] = ()
    """The prompts that `--show-prompts` asks for; there are no runs then."""
    shown: Mapping[str, Any] | None = None
    name: str = ""
    """The name of the run."""
    report_named: bool = False
    """Whether the name of the report was chosen, rather than taken from the run."""
    error: str = ""
    exit_code: int = 0


def begin(store: Path) -> Path:
    """Choose the folder of this invocation's job results; it is created with the first result."""
    folder = store.absolute() / "sweeps" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    os.environ[_FOLDER] = str(folder)
    os.environ.pop(_JOBS, None)
    return folder


def record(job: int, result: JobResult) -> None:
    """Write the result of one job, whose overrides may hold a secret that was refused."""
    values = {**asdict(result), "overrides": redacted(result.overrides)}
    write_atomic(Path(os.environ[_FOLDER]) / f"job-{job:05d}.json", json.dumps(values, indent=2))


def job_results(folder: Path) -> list[JobResult]:
    """Return the results written so far, in the order of the jobs."""
    return [JobResult(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("job-*.json"))]


def report_name(results: Sequence[JobResult], shown: JobResult) -> tuple[str, bool]:
    """Return the name of the report of these jobs, and whether it was chosen; `shown` is a job with settings for it.

    A sweep has a name of its own, of its config or of the keys that are swept. One run of a sweep, such as its
    reproduce line starts, is named by the run and not by the sweep.
    """
    chosen: str = (shown.shown or {})["report"]["name"]
    group = next((word.partition("=")[2] for word in shown.overrides if word.lstrip("+").startswith("sweep=")), "")
    if len(results) == 1:
        of_sweep = bool(group) and not any(word.lstrip("+").startswith("report.name=") for word in shown.overrides)
        return (shown.name, False) if of_sweep else (chosen, shown.report_named)
    names = {result.shown["report"]["name"] for result in results if result.shown}
    if shown.report_named and len(names) == 1:
        return chosen, True
    return group or "-".join(["sweep", *_swept(results)]), False


def _swept(results: Sequence[JobResult]) -> list[str]:
    """Return the last part of every key whose value differs between the jobs."""
    values: dict[str, set[str]] = {}
    for result in results:
        for word in result.overrides:
            key, _, value = word.partition("=")
            values.setdefault(key.lstrip("+"), set()).add(value)
    return [key.rpartition(".")[2] for key, different in values.items() if len(different) > 1]


def announce(job: int, overrides: tuple[str, ...]) -> None:
    """Print which job of a sweep starts, and an estimate of the remaining time."""
    total = int(os.environ.get(_JOBS, "1"))
    if total < 2:
        return
    durations = [r.seconds for r in job_results(Path(os.environ[_FOLDER])) if r.seconds > REUSED_SECONDS]
    remaining = sum(durations) / len(durations) * (total - job) if durations else None
    rest = f", about {remaining / 60:.0f} min left" if remaining else ""
    print(f"\nrun {job + 1} of {total}{rest}: {' '.join(overrides)}", file=sys.stderr, flush=True)


class CountJobs(Callback):
    """Counts the jobs of a sweep before the first one starts, which Hydra does not report."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Put the number of jobs into the environment: the product of the numbers of choices of all swept keys."""
        parameters = {str(key): str(value) for key, value in (config.hydra.sweeper.params or {}).items()}
        lines = [f"{key}={value}" for key, value in parameters.items()]
        swept: dict[str, int] = {}
        for override in OverridesParser.create().parse_overrides([*lines, *config.hydra.overrides.task]):
            choices = list(override.sweep_string_iterator()) if override.is_sweep_override() else []
            swept[override.get_key_element()] = len(choices) or 1
        total = 1
        for choices_of_key in swept.values():
            total *= choices_of_key
        os.environ[_JOBS] = str(total)
