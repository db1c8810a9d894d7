"""Where reports are written: each in a folder of its own, that no report of other runs overwrites.

A report is replaced by a newer one of the same runs: of the same ids, or of the same commands on data, models or code
that have changed. Any other report that has its name gets a number.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from harness.analysis.leaderboard import Leaderboard
from harness.config import ReportConfig
from harness.errors import ConfigError
from harness.progress import say
from harness.types import RunResult
from harness.wording import at_most

PAGE, REPORT = "index.html", "leaderboard.md"
RUN_LINE = "- run `"
"""How the line of the report starts that names one of its runs."""
COMMAND_LINE = "  - reproduce: `"
"""How the line of the report starts that holds the command of the run above it."""
SHOWING = ("tracking", "report.", "store=", "pricing=", "hydra.")
"""How the words of a command start that decide where and how a run is shown, and not what it is."""


def report_folder(config: ReportConfig, board: Leaderboard) -> Path:
    """Return the folder of a leaderboard's report, `<dir>/<task>/<name>`; the task's name is one folder."""
    task = re.sub(r"[/\\\0]", "-", board.task)
    return Path(config.dir) / (f"-{task}" if task in {".", ".."} else task) / config.name


def command_of(result: RunResult) -> str:
    """Return the command of a run as a report shows it."""
    return result.command.replace("`", "")


def require_name(name: str) -> None:
    """Raise a ConfigError unless a report's name leads to a folder inside that of its task."""
    path = Path(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ConfigError(f"report.name: expected the name of a folder, got {name!r}.")


def placed(boards: Sequence[Leaderboard], config: ReportConfig, named: bool) -> list[ReportConfig]:
    """Return the config of each leaderboard's report, with the name of the folder that is its own.

    With `named`, the name was chosen by the user: it is taken though the report of other runs has it, which is said.
    ConfigError if the folder cannot be written.
    """
    require_name(config.name)
    taken: set[Path] = set()
    configs = []
    for board in boards:
        here = _place(board, config, named, taken)
        folder = report_folder(here, board)
        taken.add(folder)
        configs.append(here)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"report.dir: {folder} cannot be written ({error}). Set another folder.") from error
    return configs


def _place(board: Leaderboard, config: ReportConfig, named: bool, taken: Collection[Path]) -> ReportConfig:
    others: list[str] = []
    for number in count(1):
        here = replace(config, name=config.name if number == 1 else f"{config.name}-{number}")
        folder = report_folder(here, board)
        if folder in taken:
            continue
        lost = _lost(folder, board)
        if lost and not named:
            others = others or [str(folder), *lost]
            continue
        if lost:
            say(f"report: {folder} was of other runs, which this one replaces: {', '.join(at_most(lost, 3))}")
        elif others:
            say(f"report: {others[0]} is of other runs ({', '.join(at_most(others[1:], 3))}); this one is {folder}")
        return here
    raise AssertionError("unreachable")


def _lost(folder: Path, board: Leaderboard) -> list[str]:
    """Return the runs whose report is in the folder and which the leaderboard has neither by id nor by command."""
    path = folder / REPORT
    if not path.exists():
        return [f"an {PAGE} without {REPORT}"] if (folder / PAGE).exists() else []
    results = [entry.run.result for entry in board.entries]
    ids, commands = {result.run_id for result in results}, {_deciding(command_of(result)) for result in results}
    lost = [run for run, command in _runs(path) if run not in ids and _deciding(command) not in commands]
    return list(dict.fromkeys(lost))


def _deciding(command: str) -> tuple[str, ...]:
    """Return the words of a command that decide what the run is, in any order."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quote went with the backticks
        words = command.split()
    return tuple(sorted(word for word in words if not word.lstrip("+").startswith(SHOWING)))


def _runs(path: Path) -> list[tuple[str, str]]:
    """Return the id and the command of every run of a report; the report of another version may name none."""
    runs: list[tuple[str, str]] = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        if line.startswith(RUN_LINE):
            runs.append((line.removeprefix(RUN_LINE).partition("`")[0], ""))
        elif line.startswith(COMMAND_LINE) and runs:
            runs[-1] = (runs[-1][0], line.removeprefix(COMMAND_LINE).rpartition("`")[0])
    return runs
