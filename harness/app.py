"""`python -m harness run`: Hydra composes the config, the pipeline carries it through, the sinks show it.

Every job of a sweep leaves a small file with its run id or its error, so that one failed or killed job costs the
sweep only its own row; the leaderboard is made from those files when the sweep ends, however it ends.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness import pipeline, schema
from harness.config import ReportConfig, TrackingConfig
from harness.errors import HarnessError
from harness.records import StoredRun, load_run
from harness.store import write_atomic

_SHOWN = ("report", "tracking")
"""The parts of a config that decide how runs are shown and nothing about their scores."""
_SWEEP = "HARNESS_SWEEP"
"""The folder where the jobs of this invocation leave their outcomes; launchers pass the environment on."""


def main(arguments: Sequence[str], as_json: bool = False) -> int:
    """Run one config or a sweep of them and show the leaderboard; return the exit code."""
    schema.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing a traceback and exiting
    store = Path(os.environ.get("HARNESS_STORE", ".harness")).absolute()
    sweep = store / "sweeps" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    os.environ[_SWEEP] = str(sweep)
    sys.argv = ["harness run", *arguments]
    decorate: Callable[..., Callable[[], None]] = hydra.main(
        version_base="1.3", config_path=str(schema.conf_dir()), config_name="config"
    )(_job)
    try:
        decorate()
    except (HydraException, OmegaConfBaseException) as error:
        raise schema.explain(error) from error
    finally:
        code = _finish(sweep, as_json)
    return code


def _job(config: DictConfig) -> None:
    """Carry one composed config through; its outcome is a file, so that a launcher may run it anywhere."""
    job = HydraConfig.get().job
    outcome = Path(os.environ[_SWEEP]) / f"job-{int(job.num):05d}.json"
    overrides = [o for o in HydraConfig.get().overrides.task if not o.startswith("+sweep=")]
    command = shlex.join(["python", "-m", "harness", "run", *overrides])
    swept = _factors(overrides) if "sweep" in HydraConfig.get().runtime.choices else {}
    row: dict[str, object] = {"overrides": overrides}
    try:
        settings = schema.resolve(config)
        if settings.dry_run:
            pipeline.dry_run(settings)
            return
        run = pipeline.run(settings, command, swept)
        shown = {key: OmegaConf.to_container(config[key], resolve=True, enum_to_str=True) for key in _SHOWN}
        row |= {"run": str(run.folder), **shown}
    except HarnessError as error:
        row |= {"error": str(error), "exit_code": error.exit_code}
    except Exception as error:
        row |= {"error": f"{type(error).__name__}: {error}", "exit_code": 1}
        raise
    finally:
        if len(row) > 1:
            write_atomic(outcome, json.dumps(row, indent=2))


def _finish(sweep: Path, as_json: bool) -> int:
    """Show what the jobs of this invocation found; return 0, or the exit code of the first failure."""
    outcomes = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(sweep.glob("job-*.json"))]
    runs: list[StoredRun] = [load_run(Path(row["run"])) for row in outcomes if "run" in row]
    failures = [row for row in outcomes if "error" in row]
    if runs:
        shown = next(row for row in outcomes if "run" in row)
        report = schema.section(ReportConfig, shown["report"])
        tracking = schema.section(TrackingConfig, shown["tracking"])
        pipeline.show(runs, report, tracking, as_json)
    for row in failures:
        label = f"{shlex.join(row['overrides'])}: " if len(outcomes) > 1 else ""
        print(f"error: {label}{row['error']}", file=sys.stderr)
    return int(failures[0]["exit_code"]) if failures else 0


def _factors(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (o.split("=", 1) for o in overrides if "=" in o)
    return {key.lstrip("+"): value for key, value in pairs}
