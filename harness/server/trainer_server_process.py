"""The worker process as the server sees it: started when a job needs it, asked, ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.server.settings import KEY_VARIABLE


class Worker:
    """The one process that trains; see `harness.server.training_worker`. Its log is worker.log in the data folder."""

    def __init__(self, folder: Path) -> None:
        self.command: Sequence[str] = (sys.executable, "-m", "harness.server.training_worker")
        """What is started; the data folder follows it."""
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def ready(self) -> subprocess.Popen[str]:
        """Return the process, started where there is none; no part of the terminal's signals, or of the key, is its."""
        if self._process is None or self._process.poll() is not None:
            self.end()
            with (self._folder / "worker.log").open("w") as log:
                self._process = subprocess.Popen(
                    [*self.command, str(self._folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env={name: value for name, value in os.environ.items() if name != KEY_VARIABLE},
                    start_new_session=True,
                )
        return self._process

    def end(self) -> None:
        """Kill the process; its job can be gone on with."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None


def ask(process: subprocess.Popen[str], job_id: str) -> bool:
    """Have a worker do a job; False when it dies over it."""
    try:
        if process.stdin is None or process.stdout is None:
            return False
        process.stdin.write(f"{job_id}\n")
        process.stdin.flush()
        return process.stdout.readline().split() == ["done", job_id]
    except (OSError, ValueError):
        return False
