"""The stored record of an LLM judge's comparison of two runs, with measures of the judge's reliability.

<store>/judgements/<key>.json    a `Judgement`; its JSON schema is `judgement_schema()`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.judge.pairwise import JudgedExample
from harness.store.files import write_atomic
from harness.store.stages import Store
from harness.types import ModelIdentity, Score
from harness.wording import counted

SCHEMA_VERSION = 1
RANDOM_FLIP_RATE = 0.5
"""The flip rate of a judge that chooses A or B at random."""
MAX_NO_VERDICT = 0.1
"""The largest share of pairs without a verdict that is accepted without a warning."""


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """How often the judge prefers the completion that scores better on a metric."""

    metric: str
    signature: str
    share: Score
    """Over the examples that neither the judge nor the metric ties."""
    ties: int
    """Examples that the metric ties and the judge does not."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of examples by outcome for the first run: `wins`, `losses`, `ties` and `no_verdict` add up to all."""

    wins: int
    losses: int
    ties: int
    """Ties by the judge, `flips` and `same` together."""
    flips: int
    """Examples where the verdict changed with the order of the answers."""
    same: int
    """Examples where both completions are the same text; the judge was not asked."""
    no_verdict: int
    """Examples where an answer is missing or is not a choice; excluded from the win rate."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Measures of the judge's reliability: shares with their Wilson intervals."""

    flip_rate: Score
    """The share of judged pairs whose verdict changed with the order: 1 minus the consistency of Zheng et al."""
    first_place: Score
    """The share of choices for the completion shown first; 0.5 is no position bias."""
    longer: Score
    """The share of decided examples that the longer completion won; far above 0.5 may be verbosity bias."""
    agreement: tuple[JudgeAgreement, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judge's comparison of `runs[0]` with `runs[1]`."""

    schema_version: int
    key: str
    """The digest of all inputs of this record."""
    signature: str
    """Equal signatures mean the same judge, template and decoding."""
    runs: tuple[str, str]
    models: tuple[ModelIdentity, ModelIdentity]
    task: str
    judge: ModelIdentity
    template: str
    max_tokens: int
    left_out: str
    """Which of the runs' examples were excluded, as text."""
    counts: Counts
    win_rate: Score
    """(wins + ties / 2) / n of the first run; 0.5 is no difference. `worst` and `best` count every `no_verdict` as a
    loss and as a win."""
    p: float | None
    """The two-sided p-value of no difference between wins and losses."""
    interval: str
    """The method of the win rate's interval, or why there is none."""
    test: str
    """The test behind `p`."""
    confidence: float
    trust: Trust
    examples: tuple[JudgedExample, ...]
    warnings: tuple[str, ...] = ()
    """Reasons to doubt the judge."""


def warnings(judgement: Judgement) -> Iterator[str]:
    """Yield the reasons to doubt the judge."""
    flips, first, counts = judgement.trust.flip_rate, judgement.trust.first_place, judgement.counts
    if flips.value is not None and flips.high is not None and flips.high >= RANDOM_FLIP_RATE:
        what = (
            f"it contradicted itself in {flips.value:.0%} of {counted(flips.n, 'pair')} when the answers were swapped; "
            f"random answers do so in {RANDOM_FLIP_RATE:.0%}"
        )
        if flips.value >= RANDOM_FLIP_RATE:
            yield f"The judge is no better than random: {what}. Its win rate is meaningless."
        else:
            yield f"Too few pairs to distinguish the judge from random: {what}."
    if first.value is not None and first.low is not None and first.high is not None:
        if first.low > 0.5:
            yield f"The judge favours the answer shown first: {first.value:.0%} of its choices."
        elif first.high < 0.5:
            yield f"The judge favours the answer shown second: {1 - first.value:.0%} of its choices."
    n_asked = sum(example.asked for example in judgement.examples)
    if counts.no_verdict > MAX_NO_VERDICT * n_asked:
        yield (
            f"No verdict for {counts.no_verdict} of {counted(n_asked, 'pair')}: the judge failed or did not answer A, "
            "B or tie. Its answers are in the record; if they are truncated, raise max_tokens."
        )
    runs = zip(judgement.runs, judgement.models, strict=True)
    own = [run_id for run_id, model in runs if _same_base(model, judgement.judge)]
    if own:
        yield f"The judge is the base model of {' and '.join(own)}: models tend to favour their own answers."


def save(judgement: Judgement, store: Store) -> Path:
    """Write the record atomically and return its path."""
    path = store.root / "judgements" / f"{judgement.key}.json"
    write_atomic(path, _adapter().dump_json(judgement, indent=2) + b"\n")
    return path


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """Return the record as plain JSON values."""
    values: dict[str, Any] = _adapter().dump_python(judgement, mode="json")
    return values


def judgement_schema() -> dict[str, Any]:
    """Return the JSON schema of a stored judgement."""
    return _adapter().json_schema()


def _same_base(model: ModelIdentity, judge: ModelIdentity) -> bool:
    return (model.backend, model.base, model.weights) == (judge.backend, judge.base, judge.weights)


@cache
def _adapter() -> TypeAdapter[Judgement]:
    return TypeAdapter(Judgement)
