"""What a learning curve says in words: train longer or shorter, and how far the curve itself can be believed.

A change counts when it is larger than its error: two standard errors of the change itself, which is over the same
examples each time, so that what is hard in them cancels. Where it is not known, because the change is over several
evaluations, theirs add up, which is the most that they can come to. However sure, a change of less than 0.01 nats a
token, 1% of the perplexity, is none: where the learning rate glides to 0, the last evaluations hardly differ. Curves
that tell no error of a change, such as those of a service, have one standard error of a level instead: where an
example's losses correlate by r, a change has sqrt(2 (1 - r)) times the error of a level, so that this is at least one
standard error of a change from r = 1/2 on, and two from r = 7/8 on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from harness.types import CurvePoint, FineTuneRecord

ENOUGH = 6
"""With fewer evaluations, a curve that does not oscillate cannot be told from one seen too seldom."""
SURE = 2.0
"""So many standard errors of a change are its error."""
MATERIAL = 0.01
"""Nats a token that a change has to come to."""
CLEAR = 2.0
"""A step in the training loss is so many times as deep as the changes beside it."""


class Finding(StrEnum):
    """What can be found in a learning curve."""

    OVERFITTING = "over-fitting"
    FALLING = "still falling at the end"
    SETTLED = "settled"
    OSCILLATING = "oscillating"
    STEADY = "not oscillating"
    FEW = "too few evaluations to tell whether it oscillates"
    STEPS = "in steps"
    NO_STEPS = "not in steps"
    KEPT = "best checkpoint kept"
    NOT_KEPT = "best checkpoint not kept"
    UNMEASURED = "not measured"


MEANING = {
    Finding.OVERFITTING: "The validation loss rises beyond its error while the training loss falls on: "
    "fewer epochs, a lower rate or more examples would do.",
    Finding.FALLING: "The validation loss still falls by more than its error: more epochs may help.",
    Finding.SETTLED: "At the end the validation loss changes by less than its error, or by next to nothing.",
    Finding.OSCILLATING: "The validation loss goes up and down by more than its error. The evaluations share "
    "their examples, so the weights move and not the sample: a lower rate would calm them.",
    Finding.STEADY: "No move of the validation loss against its trend is larger than its error and worth a word.",
    Finding.FEW: f"A curve of fewer than {ENOUGH} evaluations cannot show that it is calm: raise "
    "finetune.n_evaluations.",
    Finding.STEPS: f"The training loss falls at the drops of the learning rate {CLEAR:.0f} times as much as beside "
    "them, or more.",
    Finding.NO_STEPS: "The training loss does not fall in steps at the drops of the learning rate.",
    Finding.KEPT: "The weights with the lowest validation loss are the ones that were scored.",
    Finding.NOT_KEPT: "Other weights were scored than those with the lowest validation loss.",
    Finding.UNMEASURED: "There is no validation loss with a standard error: raise finetune.n_validation.",
}
"""What each finding means, in a sentence."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding, and the figures of this run that it rests on."""

    finding: Finding
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that one fine-tune's learning curve says."""

    run_id: str
    name: str
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    step: int
    loss: float
    se: float
    change_se: float | None
    rise_se: float | None
    train: float | None


def diagnose(record: FineTuneRecord) -> tuple[Remark, ...]:
    """Return what the curve of a fine-tune says: first how it ended, last how it was kept."""
    seen = [
        _Evaluation(p.step, loss, se, p.validation_change_se, p.validation_rise_se, p.train_loss)
        for p in record.curve
        if (loss := p.validation_loss) is not None and (se := p.validation_loss_se) is not None
    ]
    if not seen:
        return (Remark(Finding.UNMEASURED), *_steps(record.curve))
    best = min(range(len(seen)), key=lambda i: seen[i].loss)
    return (*_end(seen, best), _oscillation(seen, best), *_steps(record.curve), _kept(record, seen[best]))


def _end(seen: Sequence[_Evaluation], best: int) -> Iterator[Remark]:
    """Say how the validation loss went from its best evaluation to the last one."""
    lowest, last = seen[best], len(seen) - 1
    worse = [
        _counts(seen, best, i, each.loss - lowest.loss) and _less(each.train, lowest.train)
        for i, each in enumerate(seen)
    ]
    if worse[last]:
        start = seen[max(i for i, each in enumerate(worse) if not each) + 1]
        yield Remark(Finding.OVERFITTING, f"from step {start.step}: {_change(seen, best, last)}")
    elif len(seen) > 1:
        before = min(best, last - 1)
        falling = _counts(seen, before, last, seen[before].loss - seen[last].loss)
        yield Remark(Finding.FALLING if falling else Finding.SETTLED, _change(seen, before, last))


def _oscillation(seen: Sequence[_Evaluation], best: int) -> Remark:
    """Compare the largest move against the trend, a rise before the best evaluation or a fall after it."""
    against = [(b.loss - a.loss) * (1 if i < best else -1) for i, (a, b) in enumerate(pairwise(seen))]
    beyond = [i for i, move in enumerate(against) if _counts(seen, i, i + 1, move)]
    if beyond:
        largest = max(beyond, key=against.__getitem__)
        return Remark(Finding.OSCILLATING, _change(seen, largest, largest + 1))
    if len(seen) < ENOUGH:
        return Remark(Finding.FEW, f"{len(seen)} evaluations")
    return Remark(Finding.STEADY, f"{max(0.0, *against):.3f} at most")


def _steps(curve: Sequence[CurvePoint]) -> Iterator[Remark]:
    """Look for steps where the learning rate falls from one level to the next; a rate that glides has no drops."""
    points = [
        (p.learning_rate, p.train_loss) for p in curve if p.train_loss is not None and p.learning_rate is not None
    ]
    levels = [(rate, [loss for _, loss in group]) for rate, group in groupby(points, key=lambda point: point[0])]
    falls = [
        (a[-1] - b[0], max(a[-2] - a[-1], b[0] - b[1], 0.0))
        for (high, a), (low, b) in pairwise(levels)
        if low < high and len(a) > 1 and len(b) > 1
    ]
    if falls:
        clear = sum(fall > CLEAR * beside for fall, beside in falls)
        yield Remark(Finding.STEPS if clear else Finding.NO_STEPS, f"at {clear} of {len(falls)} drops")


def _kept(record: FineTuneRecord, best: _Evaluation) -> Remark:
    if record.best_step == best.step:
        return Remark(Finding.KEPT, f"step {best.step}")
    return Remark(Finding.NOT_KEPT, f"step {record.best_step} instead of {best.step}")


def _error(seen: Sequence[_Evaluation], a: int, b: int) -> float:
    """Return the error of the change between two evaluations."""
    first, last = min(a, b), max(a, b)
    rise_se = seen[last].rise_se
    if rise_se is not None and first < last and seen[first].loss == min(each.loss for each in seen[:last]):
        return SURE * rise_se
    between = [each.change_se for each in seen[first + 1 : last + 1]]
    known = [se for se in between if se is not None]
    return SURE * sum(known) if len(known) == len(between) else max(seen[a].se, seen[b].se)


def _counts(seen: Sequence[_Evaluation], a: int, b: int, change: float) -> bool:
    """Say whether a change between two evaluations is surely one and large enough to matter."""
    return change > max(MATERIAL, _error(seen, a, b))


def _change(seen: Sequence[_Evaluation], a: int, b: int) -> str:
    change = f"{seen[b].loss - seen[a].loss:+.3f} ± {_error(seen, a, b):.3f}"
    return f"{change} between steps {seen[a].step} and {seen[b].step}"


def _less(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b
