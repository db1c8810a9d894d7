"""The part of the report that says what the differences rest on: factors, and what each metric can show."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.factors import Effect, Interaction
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.metric_agreement import Agreement
from harness.analysis.metric_validity import Validity
from harness.reports.formatting import markdown, number, table


def evidence_section(board: Leaderboard) -> Iterator[str]:
    """Yield the lines of the sections that have something to say about these runs."""
    yield from _factors(board)
    yield from _validity(board)


def _factors(board: Leaderboard) -> Iterator[str]:
    if not board.effects:
        return
    yield "\n## What each setting bought\n"
    yield f"The change in {markdown(board.primary)} between runs that differ in one setting alone, averaged over them;"
    yield "the interval is over examples, for these fine-tunes, and not over other training seeds. Intervals are of one"
    yield "effect each; p is adjusted over the table (Benjamini-Hochberg).\n"
    rows = []
    for effect in board.effects:
        change = f"{markdown(effect.against)} → {markdown(effect.level)}"
        rows.append([markdown(effect.factor), change, *_difference(effect), str(effect.pairs)])
    yield from table(["setting", "change", "effect", "p", "pairs of runs"], rows)
    yield from _interactions(board)


def _interactions(board: Leaderboard) -> Iterator[str]:
    if not board.interactions:
        return
    yield "\nHow much more the first change brings together with the second one than without it:\n"
    rows = []
    for each in board.interactions:
        changes = [
            f"{markdown(factor)} {markdown(against)} → {markdown(level)}"
            for factor, against, level in zip(each.factors, each.against, each.levels, strict=True)
        ]
        rows.append([*changes, *_difference(each), str(each.squares)])
    yield from table(["change", "together with", "brings more by", "p", "fours of runs"], rows)


def _difference(found: Effect | Interaction) -> tuple[str, str]:
    """Return a difference with its interval, and its adjusted p-value."""
    bounds = "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    p = found.p_adjusted
    return f"{found.difference:+.3f}{bounds}", "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _validity(board: Leaderboard) -> Iterator[str]:
    if not board.validity:
        return
    yield "\n## What each metric can show here\n"
    yield f"Pairs of runs told apart on these {board.n} examples after Holm's adjustment, and the examples that the"
    yield "median difference between two runs would need to show by itself."
    blunt = [v.metric for v in board.validity if v.saturation]
    if blunt:
        names = ", ".join(markdown(name) for name in blunt)
        yield f"At the floor or the ceiling for every run, so useless for choosing: **{names}**."
    if board.agreement:
        yield from _agreement(board.agreement)
    yield ""
    header = ["metric", "scores", "pairs told apart", "saturation", "examples needed", "most like (examples / runs)"]
    yield from table(header, [_validity_row(each, board.agreement) for each in board.validity])


def _agreement(found: Agreement) -> Iterator[str]:
    yield "The last column is the metric that ranks the examples most alike, with Spearman's rank correlation over the"
    yield f"examples within a run, and over the {found.runs} runs."
    if found.has_few_runs:
        yield f"With {found.runs} runs the second says little."
    for group in found.redundant:
        *others, last = [markdown(name) for name in group.metrics]
        yield f"**{', '.join(others)} and {last}** say the same here: keep {markdown(group.keep)}."


def _validity_row(found: Validity, agreement: Agreement | None) -> list[str]:
    places = 1 if found.highest is not None and abs(found.highest) >= 5 else 3
    scores = "–" if found.lowest is None else f"{number(found.lowest, places)} to {number(found.highest, places)}"
    nearest = agreement.nearest(found.metric) if agreement else None
    alike = "–"
    if nearest:
        alike = f"{markdown(nearest.metric)} ({nearest.over_examples:.2f} / {number(nearest.over_runs, 2)})"
    return [
        markdown(found.metric),
        scores,
        f"{found.separated} of {found.pairs}" if found.pairs else "–",
        found.saturation or "–",
        "–" if found.n_needed is None else f"{found.n_needed:,}",
        alike,
    ]
