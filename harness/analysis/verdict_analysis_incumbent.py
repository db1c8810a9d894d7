"""The run in use: found by name or id, and brought in from the store where it is not among the runs of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import ConfigError, unknown
from harness.store.runs import StoredRun, find_runs
from harness.types import RunResult


def with_incumbent(runs: Sequence[StoredRun], folder: Path, incumbent: str) -> list[StoredRun]:
    """Return the runs with the incumbent beside them; `folder` is where runs are kept.

    StoreError where there is no such run, ConfigError where it was scored on other examples than all of these.
    """
    if not incumbent or any(is_meant(run.result, incumbent) for run in runs):
        return list(runs)
    here = {_examples(run.result) for run in runs}
    found = [run for run in find_runs(folder, [incumbent]) if _examples(run.result) in here]
    if not found:
        raise ConfigError(
            f"incumbent: expected a run on the same examples as the others, {incumbent!r} was scored on others. "
            "Run it with their task, seed and n_validation."
        )
    return [*runs, *found]


def position(results: Sequence[RunResult], incumbent: str) -> int:
    """Return which of the runs is meant by a name, an id or the start of an id; ConfigError unless it is one."""
    found = [i for i, result in enumerate(results) if incumbent in (result.name, result.run_id)]
    found = found or [i for i, result in enumerate(results) if is_meant(result, incumbent)]
    if not found:
        raise ConfigError(f"incumbent: {unknown('run', incumbent, [result.name for result in results])}")
    if len(found) > 1:
        ids = ", ".join(results[i].run_id for i in found)
        raise ConfigError(f"incumbent: expected one run, {incumbent!r} is {len(found)} of them: {ids}. Give one id.")
    return found[0]


def is_meant(result: RunResult, incumbent: str) -> bool:
    """Say whether a run goes by this name, id or start of an id."""
    return result.name == incumbent or result.run_id.startswith(incumbent)


def _examples(result: RunResult) -> tuple[str, str]:
    return result.task, result.dataset.fingerprint
