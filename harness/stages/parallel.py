"""The statistics of many rows, computed by several processes: rows are independent, so their parts are concatenated.

Scoring text is pure Python, which one process runs on one core. Part i always goes to the same process, so that what
it cached about its share of the references serves the next model as well.
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

from harness.errors import ConfigError
from harness.progress import few_collections
from harness.protocols import Metric
from harness.types import Completion, Example, FinishReason, FloatArray

ROWS = 2_000
"""The fewest rows that a process of their own is worth starting for."""


def stats(
    metrics: Sequence[Metric], completions: Sequence[Completion], examples: Sequence[Example]
) -> list[FloatArray]:
    """Return each metric's statistics of aligned completions and examples, shape (n, k); metrics must be `parallel`."""
    bounds = np.linspace(0, len(examples), _parts(len(examples)) + 1).astype(int).tolist()
    parts = [(completions[start:end], examples[start:end]) for start, end in pairwise(bounds)]
    try:
        futures = [_process(i).submit(_of_texts, metrics, _texts(*part)) for i, part in enumerate(parts[1:])]
        by_part = [_part(metrics, *parts[0]), *(future.result() for future in futures)]
    except BrokenProcessPool:  # killed, perhaps for memory: one process takes longer, and less memory
        _process.cache_clear()
        return _part(metrics, completions, examples)
    return [np.concatenate(arrays) for arrays in zip(*by_part, strict=True)]


def checked_stats(metric: Metric, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
    """Return a metric's statistics as float64 of shape (n, k); ConfigError where a metric returns anything else."""
    array = np.asarray(metric.stats(completions, examples))
    if array.ndim != 2 or len(array) != len(examples) or not np.issubdtype(array.dtype, np.number):
        raise ConfigError(
            f"metric {metric.name!r}: stats returned an array of shape {array.shape} and type {array.dtype}, expected "
            f"numbers of shape (n, k), one row for each of the {len(examples)} completions."
        )
    return array.astype(np.float64, copy=False)


def _part(
    metrics: Sequence[Metric], completions: Sequence[Completion], examples: Sequence[Example]
) -> list[FloatArray]:
    rows = tuple(completions), tuple(examples)  # the same objects for all metrics, which read their texts once
    with few_collections():
        return [checked_stats(metric, *rows) for metric in metrics]


def _texts(completions: Sequence[Completion], examples: Sequence[Example]) -> list[tuple[str, str, str, str | None]]:
    """Return only what metrics of texts read, which is ten times faster to send to a process than whole rows."""
    return [(e.id, e.prompt, e.reference, c.text) for c, e in zip(completions, examples, strict=True)]


def _of_texts(metrics: Sequence[Metric], texts: Sequence[tuple[str, str, str, str | None]]) -> list[FloatArray]:
    with few_collections():
        completions = [Completion(name, text, FinishReason.UNKNOWN) for name, _, _, text in texts]
        return _part(metrics, completions, [Example(name, prompt, reference) for name, prompt, reference, _ in texts])


def _parts(rows: int) -> int:
    if multiprocessing.current_process().daemon:  # a daemon may not have children
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, rows // ROWS))


@cache
def _process(_: int) -> ProcessPoolExecutor:
    """Return the executor of one process; it is spawned, because a fork would inherit torch's threads."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _ignore_interrupts)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
