"""`python -m harness run`: compose a config or a sweep with Hydra, run it, show the leaderboard.

A failed or killed job costs a sweep only its own row: the leaderboard is made from the results that the jobs wrote,
however the sweep ended.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness import pipeline
from harness.cli import sweep
from harness.cli.dry_run import DryRunPlan, plan, print_plans
from harness.cli.show_prompts import print_prompts, shown_prompts
from harness.cli.sweep import JobResult
from harness.config import HarnessConfig, ReportConfig, TrackingConfig, compose
from harness.errors import ConfigError, HarnessError
from harness.stages.prepare import with_baselines
from harness.store.runs import load_run
from harness.store.stages import store_root


def main(options: argparse.Namespace) -> int:
    """Run one config or a sweep of them and show the leaderboard; return the exit code."""
    arguments = _hydra_arguments(options)
    compose.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing a traceback and exiting
    folder = sweep.begin(store_root(None))
    sys.argv = ["harness run", *arguments]
    decorate: Callable[..., Callable[[], None]] = hydra.main(
        version_base="1.3", config_path=str(compose.conf_dir()), config_name="config"
    )(_job)
    try:
        decorate()
    except (HydraException, OmegaConfBaseException) as error:
        raise compose.explain(error, config_dirs=_config_dirs(arguments)) from error
    finally:
        code = _finish(folder, options.json)
    return code


def _hydra_arguments(options: argparse.Namespace) -> list[str]:
    """Return the words of the command line for Hydra, with the harness's own options as settings."""
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--json", action="store_true")
    own.add_argument("--dry-run", action="store_true")
    own.add_argument("--show-prompts", type=int)
    _, words = own.parse_known_args(options.words)
    if options.show_prompts is not None and options.show_prompts < 1:
        raise ConfigError(f"--show-prompts: expected 1 or more, got {options.show_prompts}")
    words += ["dry_run=true"] if options.dry_run else []
    return words + ([f"show_prompts={options.show_prompts}"] if options.show_prompts is not None else [])


def _config_dirs(arguments: Sequence[str]) -> list[str]:
    """Return the folders that `--config-dir` or `-cd` name among Hydra's own options."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--config-dir", "-cd", action="append", default=[])
    folders: list[str] = options.parse_known_args(arguments)[0].config_dir
    return folders


def _job(config: DictConfig) -> None:
    """Run one composed config with its baselines, and write the result of the job."""
    start, number = time.monotonic(), int(HydraConfig.get().job.num)
    overrides = tuple(HydraConfig.get().overrides.task)
    result: dict[str, Any] = {}
    try:
        settings = compose.resolve(config)
        if not (settings.dry_run or settings.show_prompts):
            sweep.announce(number, overrides)
        result = _run_all(settings, _command(overrides))
        result["shown"] = {key: OmegaConf.to_container(config[key], resolve=True, enum_to_str=True) for key in _SHOWN}
    except HarnessError as error:
        result = {"error": str(error), "exit_code": error.exit_code}
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}", "exit_code": 1}
        raise
    finally:
        if result:
            sweep.record(number, JobResult(overrides, time.monotonic() - start, **result))


_SHOWN = ("report", "tracking")
"""The groups of a config that decide how runs are shown."""


def _run_all(settings: HarnessConfig, command: str) -> dict[str, Any]:
    if settings.show_prompts:
        return {"prompts": tuple(asdict(prompt) for prompt in shown_prompts(settings))}
    if settings.dry_run:
        return {"plans": tuple(asdict(plan(config)) for config in with_baselines(settings))}
    return {"runs": tuple(str(pipeline.run(config, command).folder) for config in with_baselines(settings))}


def _command(overrides: Sequence[str]) -> str:
    """Return the command that repeats this run, without the rest of its sweep."""
    alone = ["hydra.mode=RUN"] if any(o.startswith("+sweep=") for o in overrides) else []
    return shlex.join(["python", "-m", "harness", "run", *overrides, *alone])


def _finish(folder: Path, as_json: bool) -> int:
    """Show the results of this invocation's jobs; return 0, or the exit code of the first failure."""
    results = sweep.job_results(folder)
    failures = [result for result in results if result.error]
    folders = dict.fromkeys(run for result in results for run in result.runs)
    shown = next((result.shown for result in results if result.shown), None)
    if prompts := [prompt for result in results for prompt in result.prompts]:
        print(json.dumps(prompts, indent=2, ensure_ascii=False)) if as_json else print_prompts(prompts)
    elif plans := [DryRunPlan.of(values) for result in results for values in result.plans]:
        print_plans(plans)
    elif shown:
        report = compose.section(ReportConfig, shown["report"])
        tracking = compose.section(TrackingConfig, shown["tracking"])
        pipeline.show([load_run(Path(run)) for run in folders], report, tracking, as_json)
    for result in failures:
        label = f"{shlex.join(result.overrides)}: " if len(results) > 1 else ""
        print(f"error: {label}{result.error}", file=sys.stderr)
    return failures[0].exit_code if failures else 0
