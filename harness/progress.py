"""Progress on long work: live bars in a terminal, a line every ten seconds in a log, nothing under two seconds.

Everything goes to stderr, so that stdout stays clean for `--json`. Work is wrapped where it happens, and may nest:

    with track("generate", total=64, unit="completions") as bar:
        bar.advance(8)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

QUIET_SECONDS = 2.0
"""Work that ends sooner leaves no line behind."""
LINE_SECONDS = 10.0
"""In a log, at most one line in this time."""


class _Screen:
    """The one live display of the process: rich allows no second one, so nested bars share it."""

    def __init__(self) -> None:
        self.live: Progress | None = None

    def add(self, label: str, total: int, unit: str) -> TaskID | None:
        """Show one more bar; None where stderr is no terminal."""
        if not sys.stderr.isatty():
            return None
        if self.live is None:
            self.live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", style="dim", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self.live.start()
        return self.live.add_task(label, total=total or None, unit=unit, note="")

    def remove(self, task: TaskID) -> None:
        """Take a bar away; the display ends with the last one."""
        if self.live is None:
            return
        self.live.remove_task(task)
        if not self.live.task_ids:
            self.live.stop()
            self.live = None


_SCREEN = _Screen()


class Bar:
    """The progress of one piece of work; `total` 0 means that the amount is not known."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.note = 0, ""
        self._start = self._last_line = time.monotonic()
        self._task = _SCREEN.add(label, total, unit)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more units as done, and show `note` (such as tokens per second) beside them."""
        self.done += n
        self.note = note or self.note
        now = time.monotonic()
        if self._task is not None and _SCREEN.live is not None:
            _SCREEN.live.update(self._task, completed=self.done, note=self.note)
        elif now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """Say in one line how far the work is."""
        elapsed = time.monotonic() - self._start
        amount = f" {self.done}/{self.total} {self.unit}" if self.total else ""
        left = ""
        if 0 < self.done < self.total:
            left = f", about {elapsed / self.done * (self.total - self.done):.0f} s left"
        note = f" · {self.note}" if self.note else ""
        return f"{self.label}:{amount} {elapsed:.0f} s{left}{note}"

    def close(self, finished: bool) -> None:
        """End the display; long work leaves one line behind."""
        if self._task is not None:
            _SCREEN.remove(self._task)
        if time.monotonic() - self._start >= QUIET_SECONDS:
            print(self.line() if finished else f"{self.line()} (stopped)", file=sys.stderr, flush=True)


@contextmanager
def track(label: str, total: int = 0, unit: str = "") -> Iterator[Bar]:
    """Show the progress of the work inside the block; see `Bar.advance`."""
    bar = Bar(label, total, unit)
    finished = False
    try:
        yield bar
        finished = True
    finally:
        bar.close(finished)


def say(text: str) -> None:
    """Tell the user one line beside the results, which have stdout to themselves."""
    print(text, file=sys.stderr, flush=True)
