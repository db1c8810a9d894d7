"""Cyclic garbage looked for less often, where work makes many objects that live on and few or no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

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
