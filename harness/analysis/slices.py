"""Every run's score in each slice, such as a topic, and which differences within a slice are significant.

Each run is compared, within each slice, with one reference run: the incumbent, or else the best run overall. All these
comparisons are adjusted together by Benjamini and Hochberg's method: at 95%, one in twenty of the marked cells is
expected to be chance. The best run was chosen on the same examples, so differences from it are slightly too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import Aligned
from harness.protocols import Metric
from harness.stats.comparison import Comparison, direction
from harness.stats.multiplicity import benjamini_hochberg, is_significant
from harness.types import MetricResult, RunResult, Score

MIN_EXAMPLES = 10
"""With fewer shared examples, or clusters of them, a cell is not tested; with 5 no p-value can be below 0.06."""


class Mark(StrEnum):
    """The result of comparing a run with the reference in one slice."""

    BETTER = "better"
    """Significantly better than the reference in this slice, after adjustment."""
    WORSE = "worse"
    """Significantly worse than the reference in this slice, after adjustment."""
    NONE = ""
    """Not significantly different from the reference, or nothing to compare with."""
    TOO_FEW = "too few"
    """Fewer than `MIN_EXAMPLES` examples: not tested."""


@dataclass(frozen=True, slots=True)
class SliceCell:
    """One run in one slice."""

    score: Score | None
    """On all examples of the slice that the run completed; None if the run was not scored."""
    mark: Mark = Mark.NONE
    comparison: Comparison | None = None
    """The run minus the reference, on the examples that all runs completed; None if it was not tested."""
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
    """The position of the run that the others are compared with; None if nothing could be compared."""


def slice_tables(results: Sequence[RunResult], metric: str) -> tuple[SliceTable, ...]:
    """Return every run's score in each slice, without comparisons."""
    scored = [result.metric(metric) for result in results]
    keys = dict.fromkeys(key for metric_result in scored if metric_result for key in metric_result.slices)
    return tuple(SliceTable(key, tuple(_rows(scored, key))) for key in keys)


def compare_slices(
    tables: Sequence[SliceTable], aligned: Aligned, metric: Metric, reference: int
) -> tuple[SliceTable, ...]:
    """Return the tables with every run compared with the one at position `reference`."""
    parts = {
        (table.key, row.value): part
        for table in tables
        for row in table.rows
        if (part := aligned.parts.get((table.key, row.value))) is not None and aligned.n_units(part) >= MIN_EXAMPLES
    }
    others = [i for i in range(len(aligned.runs)) if i != reference]
    if not others:
        return tuple(tables)
    tests = _tests(aligned, metric, parts, [(i, reference) for i in others])
    sign = direction(metric.higher_is_better)
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


_Test = tuple[Comparison, float | None]
"""A comparison and its adjusted p-value."""


def _tests(
    aligned: Aligned,
    metric: Metric,
    parts: dict[tuple[str, str], NDArray[np.intp]],
    pairs: Sequence[tuple[int, int]],
) -> dict[tuple[str, str], list[_Test]]:
    results = aligned.compare_in_parts(metric, list(parts.values()), pairs)
    adjusted = iter(benjamini_hochberg([comparison.p for comparisons in results for comparison in comparisons]))
    return {
        name: [(comparison, next(adjusted)) for comparison in comparisons]
        for name, comparisons in zip(parts, results, strict=True)
    }


def _rows(results: Sequence[MetricResult | None], key: str) -> list[SliceRow]:
    columns = [dict(result.slices.get(key, {})) if result else {} for result in results]
    rows = []
    for value in sorted({value for column in columns for value in column}):
        scores = [column.get(value) for column in columns]
        n = max(score.n + score.errors for score in scores if score)
        rows.append(SliceRow(value, n, tuple(SliceCell(score) for score in scores)))
    return rows


def _cells(row: SliceRow, others: Sequence[int], tests: Sequence[_Test] | None, sign: int) -> tuple[SliceCell, ...]:
    cells = list(row.cells)
    if tests is None:
        for i in others:
            cells[i] = replace(cells[i], mark=Mark.TOO_FEW)
        return tuple(cells)
    for i, (comparison, p) in zip(others, tests, strict=True):
        cells[i] = replace(cells[i], mark=_mark(comparison, p, sign), comparison=comparison, p_adjusted=p)
    return tuple(cells)


def _mark(comparison: Comparison, p: float | None, sign: int) -> Mark:
    if not comparison.difference or not is_significant(p, comparison.question.confidence):
        return Mark.NONE
    return Mark.BETTER if sign * comparison.difference > 0 else Mark.WORSE
