"""Long tasks: their progress, and what the process does differently while they run.

Progress is live bars in a terminal, a line every ten seconds in a log, and nothing under two seconds. It is printed to
stderr, so stdout stays clean for `--json`. Tasks may be nested:

    with track("generate", total=64, unit="completions") as bar:
        bar.advance(8)
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.wording import printable

QUIET_SECONDS = 2.0
"""A task that takes less time leaves no line behind."""
LINE_SECONDS = 10.0
"""In a log, the least time between two lines of a task."""


class _Screen:
    """The live display of the process, which nested bars share because rich allows only one."""

    def __init__(self) -> None:
        self.live: Progress | None = None

    def add(self, label: str, total: int, unit: str) -> TaskID | None:
        """Add a bar; None if stderr is not a terminal."""
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
        """Remove a bar; the display ends with the last one."""
        if self.live is None:
            return
        self.live.remove_task(task)
        if not self.live.task_ids:
            self.live.stop()
            self.live = None


_SCREEN = _Screen()


class Bar:
    """The progress of one task; `total` 0 means that the amount is not known."""

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
        """Return the progress as one line."""
        elapsed = time.monotonic() - self._start
        amount = f" {self.done}/{self.total} {self.unit}" if self.total else ""
        remaining = ""
        if 0 < self.done < self.total:
            remaining = f", about {elapsed / self.done * (self.total - self.done):.0f} s left"
        note = f" · {self.note}" if self.note else ""
        return f"{self.label}:{amount} {elapsed:.0f} s{remaining}{note}"

    def close(self, finished: bool) -> None:
        """End the display; a long task leaves one line behind."""
        if self._task is not None:
            _SCREEN.remove(self._task)
        if time.monotonic() - self._start >= QUIET_SECONDS:
            print(self.line() if finished else f"{self.line()} (stopped)", file=sys.stderr, flush=True)


@contextmanager
def track(label: str, total: int = 0, unit: str = "") -> Iterator[Bar]:
    """Show the progress of the task inside the block; see `Bar.advance`."""
    bar = Bar(label, total, unit)
    finished = False
    try:
        yield bar
        finished = True
    finally:
        bar.close(finished)


def say(text: str) -> None:
    """Print lines to stderr, because stdout is reserved for results; control characters in them are only shown."""
    print(printable(text), file=sys.stderr, flush=True)


COLLECT_AFTER = 100_000
"""New objects after which Python looks for cyclic garbage; a request to an API takes about 50 of them."""


@contextmanager
def on_interrupt(first: Callable[[], None]) -> Iterator[None]:
    """Call `first` on the first Ctrl-C instead of raising KeyboardInterrupt; the next one raises it as usual.

    Does nothing outside the main thread, or where another handler is installed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return

    def handler(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        first()

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def few_collections() -> Iterator[None]:
    """Run the garbage collector less often inside: for work that makes many long-lived objects and few cycles."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
