"""Ctrl-C as a request to come to an end, while there is something to bring home.

Cyclic garbage looked for less often, where work makes many objects that live on and few or no cycles.
"""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_interrupt(first: Callable[[], None]) -> Iterator[None]:
    """Call `first` on Ctrl-C instead of raising it wherever the program is; the next one is raised as ever."""
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


COLLECT_AFTER = 100_000
"""New objects after which Python looks for cyclic garbage; some 50 belong to a request on its way to an API."""


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for garbage less often inside, and as often as before afterwards."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
