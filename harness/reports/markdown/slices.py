"""The section of the report on slices: every run's score in each slice, with marks on significant differences."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.slices import MIN_EXAMPLES, Mark, SliceCell, SliceTable
from harness.reports.formatting import SIGNS, decimals, markdown, table, with_interval
from harness.wording import UNKNOWN, counted

FEW = " †"
"""What stands behind the number of examples of a slice that is too small to test."""


def slice_section(board: Leaderboard) -> Iterator[str]:
    """Yield the lines of one section per slice key."""
    for by_key in board.slices:
        yield f"\n## {markdown(board.primary)} by {markdown(by_key.key)}\n"
        yield from _caption(board, by_key)
        names = [markdown(entry.name) for entry in board.entries]
        if by_key.reference is not None:
            names[by_key.reference] += " (reference)"
        yield from table([markdown(by_key.key), "n", *names], _rows(board, by_key))


def _caption(board: Leaderboard, by_key: SliceTable) -> Iterator[str]:
    if by_key.reference is None:
        return
    marks = [cell.mark for row in by_key.rows for cell in row.cells]
    tested = sum(cell.comparison is not None for row in by_key.rows for cell in row.cells)
    name = markdown(board.entries[by_key.reference].name)
    chosen = "the incumbent" if board.incumbent is not None else "the best overall"
    if not tested:
        yield f"No slice has the {MIN_EXAMPLES} examples needed for a comparison with {name}, {chosen}.\n"
        return
    significant = sum(mark in (Mark.BETTER, Mark.WORSE) for mark in marks)
    better, worse = SIGNS[Mark.BETTER].strip(), SIGNS[Mark.WORSE].strip()
    yield f"{better} significantly better, {worse} significantly worse than {name}, {chosen}, after Benjamini-Hochberg"
    yield f"adjustment over all slices: {significant} of {counted(tested, 'tested cell')}."
    if Mark.TOO_FEW in marks:
        yield f"{FEW.strip()} fewer than {MIN_EXAMPLES} examples: not tested, so do not interpret their differences."
    yield ""


def _rows(board: Leaderboard, by_key: SliceTable) -> Iterator[list[str]]:
    places = decimals(metric for entry in board.entries if (metric := entry.run.result.metric(board.primary)))
    for row in by_key.rows:
        few = any(cell.mark is Mark.TOO_FEW for cell in row.cells)
        yield [markdown(row.value), f"{row.n:,}{FEW if few else ''}", *(_cell(cell, places) for cell in row.cells)]


def _cell(cell: SliceCell, places: int) -> str:
    return f"{with_interval(cell.score, places) if cell.score else UNKNOWN}{SIGNS[cell.mark]}"
