"""The part of the report that says what the models know by subject: every slice, with marks where a run stands out."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.slices import LEAST, Mark, SliceCell, SliceTable
from harness.reports.formatting import decimals, markdown, table, with_interval

SIGNS = {Mark.BETTER: " ▲", Mark.WORSE: " ▼", Mark.NONE: "", Mark.TOO_FEW: ""}
FEW = " †"


def slice_section(board: Leaderboard) -> Iterator[str]:
    """Yield the lines of one section a slice key."""
    for found in board.slices:
        yield f"\n## {markdown(board.primary)} by {markdown(found.key)}\n"
        yield from _caption(board, found)
        names = [markdown(entry.run.result.name) for entry in board.entries]
        if found.reference is not None:
            names[found.reference] += " (reference)"
        yield from table([markdown(found.key), "n", *names], _rows(board, found))


def _caption(board: Leaderboard, found: SliceTable) -> Iterator[str]:
    if found.reference is None:
        return
    marks = [cell.mark for row in found.rows for cell in row.cells]
    tested = sum(cell.comparison is not None for row in found.rows for cell in row.cells)
    name = markdown(board.entries[found.reference].run.result.name)
    chosen = "the incumbent" if board.incumbent is not None else "the best overall"
    if not tested:
        yield f"No slice has the {LEAST} examples that a comparison with {name}, {chosen}, would take.\n"
        return
    told = sum(mark in (Mark.BETTER, Mark.WORSE) for mark in marks)
    yield f"{SIGNS[Mark.BETTER].strip()} better and {SIGNS[Mark.WORSE].strip()} worse there than {name}, {chosen},"
    yield f"after Benjamini-Hochberg's adjustment over all slices: {told} of {tested} tested cells."
    if Mark.TOO_FEW in marks:
        yield f"{FEW.strip()} fewer than {LEAST} examples: too few to test; do not read their differences."
    yield ""


def _rows(board: Leaderboard, found: SliceTable) -> Iterator[list[str]]:
    places = decimals(metric for entry in board.entries if (metric := entry.run.result.metric(board.primary)))
    for row in found.rows:
        few = any(cell.mark is Mark.TOO_FEW for cell in row.cells)
        yield [markdown(row.value), f"{row.n:,}{FEW if few else ''}", *(_cell(cell, places) for cell in row.cells)]


def _cell(cell: SliceCell, places: int) -> str:
    return f"{with_interval(cell.score, places) if cell.score else '–'}{SIGNS[cell.mark]}"
