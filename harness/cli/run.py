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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness import pipeline
from harness.cli import sweep
from harness.cli.dry_run import DryRunPlan, plan, print_plans
from harness.cli.show_prompts import print_prompts, shown_prompts
from harness.cli.sweep import JobResult
from harness.config import HarnessConfig, ReportConfig, TrackingConfig, compose
from harness.errors import ConfigError, HarnessError, ModelError
from harness.reports.folders import require_name
from harness.stages.prepare import with_baselines
from harness.store.runs import find_runs, load_run
from harness.store.stages import store_root
from harness.wording import counted


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
    words = sorted(words, key=lambda word: word not in ("-m", "--multirun"))  # Hydra takes these before overrides only
    words = compose.with_own_keys(words)
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
        report = OmegaConf.to_container(config.report, resolve=False)
        result |= {"name": settings.name, "report_named": not report or report["name"] != _RUNS_NAME}  # type: ignore[call-overload,index]
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
_RUNS_NAME = "${name}"
"""What `report.name` is in conf/config.yaml: the name of the run."""


def _run_all(settings: HarnessConfig, command: str) -> dict[str, Any]:
    if settings.show_prompts:
        return {"prompts": tuple(asdict(prompt) for prompt in shown_prompts(settings))}
    _require_places(settings)
    if settings.dry_run:
        return {"plans": tuple(asdict(plan(config)) for config in with_baselines(settings))}
    return {"runs": tuple(str(pipeline.run(config, command).folder) for config in with_baselines(settings))}


def _require_places(settings: HarnessConfig) -> None:
    """Raise the error that showing the runs would raise after all the work: for the incumbent and the report folder."""
    require_name(settings.report.name)
    place = Path(settings.report.dir).absolute()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ConfigError(
            f"report.dir: {settings.report.dir} cannot be written, {existing} is in the way. Set another."
        )
    incumbent, alone = settings.report.incumbent, HydraConfig.get().mode is not RunMode.MULTIRUN
    made_here = any(incumbent.startswith(config.name) for config in with_baselines(settings))
    if incumbent and alone and not made_here:
        find_runs(Path(settings.store) / "runs", [incumbent])


def _command(overrides: Sequence[str]) -> str:
    """Return the command that repeats this run, without the rest of its sweep."""
    alone = ["hydra.mode=RUN"] if any(o.startswith("+sweep=") for o in overrides) else []
    return shlex.join(["python", "-m", "harness", "run", *overrides, *alone])


def _finish(folder: Path, as_json: bool) -> int:
    """Show the results of this invocation's jobs; return 0, or the exit code of the first failure."""
    results = sweep.job_results(folder)
    if prompts := [prompt for result in results for prompt in result.prompts]:
        print(json.dumps(prompts, indent=2, ensure_ascii=False)) if as_json else print_prompts(prompts)
    elif plans := [DryRunPlan.of(values) for result in results for values in result.plans]:
        print_plans(plans, as_json)
    unanswered = list(_show(results, as_json))
    errors = [(_labelled(result, results), result.exit_code) for result in results if result.error] + unanswered
    for message, _ in errors:
        print(f"error: {message}", file=sys.stderr)
    return next((code for _, code in errors), 0)


def _labelled(result: JobResult, results: Sequence[JobResult]) -> str:
    return f"{shlex.join(result.overrides)}: {result.error}" if len(results) > 1 else result.error


def _show(results: Sequence[JobResult], as_json: bool) -> Iterator[tuple[str, int]]:
    """Show the runs of the jobs; yield a message and an exit code for each run without a single completion."""
    job = next((result for result in results if result.shown and result.runs), None)
    if job is None or job.shown is None:
        return
    name, named = sweep.report_name(results, job)
    report = compose.section(ReportConfig, {**job.shown["report"], "name": name})
    tracking = compose.section(TrackingConfig, job.shown["tracking"])
    runs = [load_run(Path(run)) for run in dict.fromkeys(run for result in results for run in result.runs)]
    pipeline.show(runs, report, tracking, as_json, named)
    for run in runs:
        usage = run.result.usage
        if usage.errors and usage.errors == usage.n:
            first = next(p.completion.error for p in run.predictions() if p.completion.error)
            message = f"{run.result.run_id}: all {counted(usage.n, 'completion')} failed, the first with: {first}"
            yield f"{message}. Run the same command again to retry them.", ModelError.exit_code
