"""What the jobs of one invocation share: how many there are, how far they are, and what each came to.

A launcher may run jobs in other processes or on other machines, and Hydra's own end-of-sweep callback is not called
when a job fails. So every job leaves a small file, and the environment, which launchers pass on, says where.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from harness.store.stages import write_atomic

_FOLDER, _JOBS = "HARNESS_SWEEP_FOLDER", "HARNESS_SWEEP_JOBS"

REUSED_SECONDS = 10.0
"""A job that is over sooner found its work done, and says nothing about how long others take."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one job came to: its runs, or the error that ended it, and how its results are to be shown."""

    overrides: tuple[str, ...]
    seconds: float
    runs: tuple[str, ...] = ()
    plans: tuple[Mapping[str, Any], ...] = ()
    """Of a dry run, which has no runs."""
    shown: Mapping[str, Any] | None = None
    error: str = ""
    exit_code: int = 0


def begin(store: Path) -> Path:
    """Name the folder of this invocation's outcomes; nothing is made before the first outcome."""
    folder = store.absolute() / "sweeps" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    os.environ[_FOLDER] = str(folder)
    os.environ.pop(_JOBS, None)
    return folder


def record(job: int, outcome: Outcome) -> None:
    """Leave the outcome of one job."""
    write_atomic(Path(os.environ[_FOLDER]) / f"job-{job:05d}.json", json.dumps(asdict(outcome), indent=2))


def outcomes(folder: Path) -> list[Outcome]:
    """Return the outcomes that are there, in the order of the jobs."""
    return [Outcome(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("job-*.json"))]


def announce(job: int, overrides: tuple[str, ...]) -> None:
    """Say which job of a sweep begins, and about how long the rest will take."""
    total = int(os.environ.get(_JOBS, "1"))
    if total < 2:
        return
    worked = [o.seconds for o in outcomes(Path(os.environ[_FOLDER])) if o.seconds > REUSED_SECONDS]
    left = sum(worked) / len(worked) * (total - job) if worked else None
    rest = f", about {left / 60:.0f} min left" if left else ""
    print(f"\nrun {job + 1} of {total}{rest}: {' '.join(overrides)}", file=sys.stderr, flush=True)


class CountJobs(Callback):
    """Counts the jobs of a sweep before the first begins; Hydra tells them to nobody."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Keep the number of jobs in the environment: the product of the choices of every swept key."""
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
