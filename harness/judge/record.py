"""The record of what an LLM judge found about two runs, with the numbers that say whether it can be believed.

<store>/judgements/<key>.json    a `Judgement`; its JSON schema is `judgement_schema()`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.judge.pairwise import Judged
from harness.store.stages import Store, write_atomic
from harness.types import ModelIdentity, Score

SCHEMA_VERSION = 1
COIN = 0.5
"""The flip rate of a judge that tosses a coin for every answer."""
MANY = 0.1
"""A share of pairs without a verdict from which on they are warned about."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often the completion that the judge named is the one that a metric scores better."""

    metric: str
    signature: str
    share: Score
    """Of the examples that the judge decided and the metric does not tie."""
    ties: int
    """Examples that the judge decided and the metric ties."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The judged examples, each of them one of `wins`, `losses`, `ties` and `no_verdict`, for the first run."""

    wins: int
    losses: int
    ties: int
    """The judge's own, `flips`, and those that are the `same`."""
    flips: int
    """The verdict changed with the order."""
    same: int
    """Both completions are one text; the judge was not asked."""
    no_verdict: int
    """An answer is missing or names no choice; left out of the win rate."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whether the judge can be believed: shares with their Wilson intervals."""

    flip_rate: Score
    """Of the pairs that were asked and have a verdict, those whose verdict changed with the order: 1 minus the
    consistency of Zheng et al."""
    first_place: Score
    """Of the answers that name a completion, those that name the one shown first; 0.5 is no position bias."""
    longer: Score
    """Of the decided examples, those that went to the longer text; far above 0.5 may be verbosity bias."""
    agreement: tuple[Agreement, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judge's comparison of `runs[0]` with `runs[1]`."""

    schema_version: int
    key: str
    """The digest of all that decides this record."""
    signature: str
    """Equal signatures mean the same judge, question and rule."""
    runs: tuple[str, str]
    models: tuple[ModelIdentity, ModelIdentity]
    task: str
    judge: ModelIdentity
    template: str
    max_tokens: int
    left_out: str
    """Which of the runs' examples could not be used, in words."""
    counts: Counts
    win_rate: Score
    """(wins + ties / 2) / n of the first run, where 0.5 is no difference; `worst` and `best` are with every
    `no_verdict` lost and won."""
    p: float | None
    """Two-sided, of "as many wins as losses"."""
    interval: str
    """How the win rate's interval was made, or why there is none."""
    test: str
    """How `p` was made."""
    confidence: float
    trust: Trust
    examples: tuple[Judged, ...]
    warnings: tuple[str, ...] = ()
    """Reasons not to believe the judge, in plain sentences."""


def warnings(found: Judgement) -> Iterator[str]:
    """Yield the reasons not to believe the judge; none where there are none."""
    flips, places, counts = found.trust.flip_rate, found.trust.first_place, found.counts
    if flips.value is not None and flips.high is not None and flips.high >= COIN:
        what = f"it contradicted itself in {flips.value:.0%} of {flips.n} pairs when the answers changed places"
        if flips.value >= COIN:
            yield f"The judge is guessing: {what}, and a coin does so in 50%. Its win rate means nothing."
        else:
            yield f"Too few pairs to tell the judge from guessing: {what}, and a coin does so in 50%."
    if places.value is not None and places.low is not None and places.high is not None:
        place = "first" if places.low > COIN else "second" if places.high < COIN else ""
        if place:
            share = places.value if place == "first" else 1 - places.value
            yield f"The judge favours the {place} place: {share:.0%} of its choices are what was shown there."
    asked = sum(each.asked for each in found.examples)
    if counts.no_verdict > MANY * asked:
        yield (
            f"{counts.no_verdict} of {asked} pairs have no verdict: the judge failed or did not answer A, B or tie. "
            "Its answers are in the record; a larger max_tokens= helps where they are cut short."
        )
    own = [run_id for run_id, model in zip(found.runs, found.models, strict=True) if _same_base(model, found.judge)]
    if own:
        yield f"The judge is the base model of {' and '.join(own)}: models tend to favour their own answers."


def save(found: Judgement, store: Store) -> Path:
    """Write the record whole, and return its path."""
    path = store.root / "judgements" / f"{found.key}.json"
    write_atomic(path, _adapter().dump_json(found, indent=2) + b"\n")
    return path


def judgement_json(found: Judgement) -> dict[str, Any]:
    """Return the record as plain JSON values."""
    values: dict[str, Any] = _adapter().dump_python(found, mode="json")
    return values


def judgement_schema() -> dict[str, Any]:
    """Return the JSON schema of a stored judgement."""
    return _adapter().json_schema()


def _same_base(model: ModelIdentity, judge: ModelIdentity) -> bool:
    return (model.backend, model.base, model.weights) == (judge.backend, judge.base, judge.weights)


@cache
def _adapter() -> TypeAdapter[Judgement]:
    return TypeAdapter(Judgement)
