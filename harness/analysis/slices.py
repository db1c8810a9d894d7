"""What the models know, by subject: every run's score in each slice, and which differences are more than chance.

Each run is compared, within each slice, with one reference: the incumbent, or else the best run overall. All these
comparisons are adjusted together by Benjamini and Hochberg's method: of the marked cells, one in twenty is expected to
be chance at 95%. The best run was chosen on the same examples, so differences to it are a little too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import Aligned
from harness.protocols import Metric
from harness.stats.comparison import Comparison
from harness.stats.multiplicity import benjamini_hochberg
from harness.types import MetricResult, RunResult, Score

LEAST = 10
"""With fewer shared examples a cell is not tested: of 5 pairs no test has a p-value below 0.06."""


class Mark(StrEnum):
    """What may be said of a run in a slice, beside its score."""

    BETTER = "better"
    """Better there than the reference, after adjustment."""
    WORSE = "worse"
    """Worse there than the reference, after adjustment."""
    NONE = ""
    """Not told apart from the reference, or nothing to compare with."""
    TOO_FEW = "too few"
    """Fewer than `LEAST` examples: not tested."""


@dataclass(frozen=True, slots=True)
class SliceCell:
    """One run in one slice."""

    score: Score | None
    """On all examples of the slice that the run completed; None where the run was not scored."""
    mark: Mark = Mark.NONE
    comparison: Comparison | None = None
    """The run minus the reference, on the examples that all runs completed; None where it was not tested."""
    p_adjusted: float | None = None
    """Benjamini and Hochberg's, over all tested cells of all slices."""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """All runs in one slice, in the order of the leaderboard."""

    value: str
    n: int
    """Examples, failed completions included."""
    cells: tuple[SliceCell, ...]


@dataclass(frozen=True, slots=True)
class SliceTable:
    """All runs in all slices of one key, such as `topic`."""

    key: str
    rows: tuple[SliceRow, ...]
    reference: int | None = None
    """The position of the run that the others are compared with; None where nothing could be compared."""


def slice_tables(results: Sequence[RunResult], metric: str) -> tuple[SliceTable, ...]:
    """Return every run's score in each slice; nothing is compared."""
    found = [result.metric(metric) for result in results]
    keys = dict.fromkeys(key for each in found if each for key in each.slices)
    return tuple(SliceTable(key, tuple(_rows(found, key))) for key in keys)


def compared(tables: Sequence[SliceTable], aligned: Aligned, metric: Metric, reference: int) -> tuple[SliceTable, ...]:
    """Return the tables with every run compared with the one at position `reference`."""
    parts = {
        (table.key, row.value): part
        for table in tables
        for row in table.rows
        if (part := aligned.parts.get((table.key, row.value))) is not None and len(part) >= LEAST
    }
    others = [i for i in range(len(aligned.runs)) if i != reference]
    if not others:
        return tuple(tables)
    tests = _tests(aligned, metric, parts, [(i, reference) for i in others])
    sign = -1 if metric.higher_is_better is False else 1
    return tuple(
        replace(
            table,
            reference=reference,
            rows=tuple(
                replace(row, cells=_cells(row, others, tests.get((table.key, row.value)), sign)) for row in table.rows
            ),
        )
        for table in tables
    )


Test = tuple[Comparison, float]
"""A comparison and its adjusted p-value, nan where there is none."""


def _tests(
    aligned: Aligned,
    metric: Metric,
    parts: dict[tuple[str, str], NDArray[np.intp]],
    pairs: Sequence[tuple[int, int]],
) -> dict[tuple[str, str], list[Test]]:
    found = aligned.compare_in_parts(metric, list(parts.values()), pairs)
    p = [np.nan if each.p is None else each.p for part in found for each in part]
    adjusted = iter(benjamini_hochberg(p).tolist())
    return {name: [(each, next(adjusted)) for each in part] for name, part in zip(parts, found, strict=True)}


def _rows(results: Sequence[MetricResult | None], key: str) -> list[SliceRow]:
    columns = [dict(result.slices.get(key, {})) if result else {} for result in results]
    rows = []
    for value in sorted({value for column in columns for value in column}):
        scores = [column.get(value) for column in columns]
        n = max(score.n + score.errors for score in scores if score)
        rows.append(SliceRow(value, n, tuple(SliceCell(score) for score in scores)))
    return rows


def _cells(row: SliceRow, others: Sequence[int], tests: Sequence[Test] | None, sign: int) -> tuple[SliceCell, ...]:
    cells = list(row.cells)
    if tests is None:
        for i in others:
            cells[i] = replace(cells[i], mark=Mark.TOO_FEW)
        return tuple(cells)
    for i, (comparison, p) in zip(others, tests, strict=True):
        known = None if np.isnan(p) else p
        cells[i] = replace(cells[i], mark=_mark(comparison, known, sign), comparison=comparison, p_adjusted=known)
    return tuple(cells)


def _mark(comparison: Comparison, p: float | None, sign: int) -> Mark:
    if p is None or not comparison.difference or p > 1 - comparison.question.confidence:
        return Mark.NONE
    return Mark.BETTER if sign * comparison.difference > 0 else Mark.WORSE
