"""The statistics of many rows, worked out by several processes: rows are independent, so parts are concatenated.

Scoring text is Python at work, which one process does on one core. Part i goes to the same process every time, so that
what it worked out about its share of the references serves the next model as well.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import pairwise

import numpy as np

from harness.protocols import Metric
from harness.runtime import few_collections
from harness.types import Completion, Example, FinishReason, FloatArray

ROWS = 2_000
"""A process is worth its start from so many rows on."""


def stats(
    metrics: Sequence[Metric], completions: Sequence[Completion], examples: Sequence[Example]
) -> list[FloatArray]:
    """Return each metric's statistics of aligned completions and examples, shape (n, k); metrics must be `parallel`."""
    cuts = np.linspace(0, len(examples), _parts(len(examples)) + 1).astype(int).tolist()
    parts = [(completions[a:b], examples[a:b]) for a, b in pairwise(cuts)]
    try:
        others = [_process(i).submit(_of_texts, metrics, _texts(*part)) for i, part in enumerate(parts[1:])]
        found = [_part(metrics, *parts[0]), *(other.result() for other in others)]
    except BrokenProcessPool:  # killed, perhaps for memory: one process takes longer and less
        _process.cache_clear()
        return _part(metrics, completions, examples)
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def _part(
    metrics: Sequence[Metric], completions: Sequence[Completion], examples: Sequence[Example]
) -> list[FloatArray]:
    completions, examples = tuple(completions), tuple(examples)  # whose texts are read once for all metrics
    with few_collections():
        return [metric.stats(completions, examples) for metric in metrics]


def _texts(completions: Sequence[Completion], examples: Sequence[Example]) -> list[tuple[str, str, str, str | None]]:
    """Return what metrics of texts read, which is sent between processes ten times sooner than the whole rows."""
    return [(e.id, e.prompt, e.reference, c.text) for c, e in zip(completions, examples, strict=True)]


def _of_texts(metrics: Sequence[Metric], texts: Sequence[tuple[str, str, str, str | None]]) -> list[FloatArray]:
    with few_collections():
        completions = [Completion(name, text, FinishReason.UNKNOWN) for name, _, _, text in texts]
        return _part(metrics, completions, [Example(name, prompt, reference) for name, prompt, reference, _ in texts])


def _parts(rows: int) -> int:
    if multiprocessing.current_process().daemon:  # which may not have children
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, rows // ROWS))


@cache
def _process(_: int) -> ProcessPoolExecutor:
    """Return a process of its own; it is started by spawning, because a fork would inherit torch's threads."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _ignore_interrupts)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which says what happened."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
