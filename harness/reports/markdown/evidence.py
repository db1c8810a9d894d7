"""The sections of the report on the evidence: the effect of each setting, and the power of each metric."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.factors import Effect, Interaction
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.metric_agreement import MetricAgreement
from harness.analysis.metric_validity import Validity
from harness.reports.formatting import decimals_of, markdown, number, table
from harness.wording import UNKNOWN, counted, difference, p_value


def evidence_section(board: Leaderboard) -> Iterator[str]:
    """Yield the lines of the effects of settings and of the power of metrics, where they are known."""
    yield from _effects(board)
    yield from _validity(board)


def _effects(board: Leaderboard) -> Iterator[str]:
    if not board.effects:
        return
    yield "\n## Effect of each setting\n"
    yield f"The mean difference in {markdown(board.primary)} between runs that differ only in this setting. Intervals"
    yield "are over examples, for these fine-tunes, not over training seeds, and are not adjusted for multiplicity;"
    yield "p-values are adjusted over the table (Benjamini-Hochberg).\n"
    rows = []
    for effect in board.effects:
        change = f"{markdown(effect.against)} → {markdown(effect.level)}"
        rows.append([markdown(effect.factor), change, *_difference(effect), str(effect.pairs)])
    yield from table(["setting", "change", "effect", "p adjusted", "pairs of runs"], rows, left=(0, 1))
    yield from _interactions(board)


def _interactions(board: Leaderboard) -> Iterator[str]:
    if not board.interactions:
        return
    yield "\n### Interactions\n"
    yield "How much larger the effect of the first change is with the second change than without it, averaged over sets"
    yield "of four runs that differ only in both.\n"
    rows = []
    for interaction in board.interactions:
        changes = [
            f"{markdown(factor)} {markdown(against)} → {markdown(level)}"
            for factor, against, level in zip(interaction.factors, interaction.against, interaction.levels, strict=True)
        ]
        rows.append([*changes, *_difference(interaction), str(interaction.squares)])
    yield from table(["change", "with", "interaction", "p adjusted", "sets of runs"], rows, left=(0, 1))


def _difference(effect: Effect | Interaction) -> tuple[str, str]:
    """Return a difference with its interval, and its adjusted p-value."""
    return difference(effect.difference, effect.low, effect.high), p_value(effect.p_adjusted)


def _validity(board: Leaderboard) -> Iterator[str]:
    if not board.validity:
        return
    yield "\n## Discriminative power of each metric\n"
    yield f"How many pairs of runs differ significantly on {board.size()} after Holm's adjustment, and"
    yield "the number of examples with which one test detects the median difference between two runs with 80% power."
    saturated = [v.metric for v in board.validity if v.saturation]
    if saturated:
        names = ", ".join(markdown(name) for name in saturated)
        yield f"Saturated, at the floor or the ceiling for every run, so useless for choosing: **{names}**."
    if board.agreement:
        yield from _agreement(board.agreement)
    yield ""
    header = [
        "metric",
        "range of scores",
        "significant pairs",
        "saturation",
        "n for 80% power",
        "closest metric (ρ over examples / runs)",
    ]
    yield from table(header, [_validity_row(validity, board.agreement) for validity in board.validity], left=(0, 3, 5))


def _agreement(agreement: MetricAgreement) -> Iterator[str]:
    yield "The last column is the metric that ranks the examples most similarly, with Spearman's rank correlation ρ"
    yield f"over the examples within a run, and over the {counted(agreement.runs, 'run')}."
    if agreement.has_few_runs:
        yield f"Over {counted(agreement.runs, 'run')} the latter is unreliable."
    for group in agreement.redundant:
        *others, last = [markdown(name) for name in group.metrics]
        yield f"**{', '.join(others)} and {last}** are redundant here: keep {markdown(group.keep)}."


def _validity_row(validity: Validity, agreement: MetricAgreement | None) -> list[str]:
    places = decimals_of(validity.highest)
    scores = UNKNOWN
    if validity.lowest is not None:
        scores = f"{number(validity.lowest, places)} to {number(validity.highest, places)}"
    nearest = agreement.nearest(validity.metric) if agreement else None
    closest = UNKNOWN
    if nearest:
        closest = f"{markdown(nearest.metric)} ({nearest.over_examples:.2f} / {number(nearest.over_runs, 2)})"
    return [
        markdown(validity.metric),
        scores,
        f"{validity.separated} of {validity.pairs}" if validity.pairs else UNKNOWN,
        validity.saturation or UNKNOWN,
        UNKNOWN if validity.n_needed is None else f"{validity.n_needed:,}",
        closest,
    ]
