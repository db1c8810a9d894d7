"""What a learning curve says in words: train longer or shorter, and how far the curve itself can be believed.

A change counts when it is larger than one standard error of the validation loss. That error is over examples, and
every evaluation is on the same examples, so that what is hard in them cancels from one evaluation to the next: where an
example's losses correlate by r, a change has sqrt(2 (1 - r)) times the error of a level. One standard error of a level
is then at least one of a change from r = 1/2 on, and two from r = 7/8 on. The paired error itself cannot be had from a
record, which keeps no loss of single examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from harness.types import CurvePoint, FineTuneRecord

ENOUGH = 6
"""With fewer evaluations, a curve that does not oscillate cannot be told from one seen too seldom."""
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
    Finding.OVERFITTING: "The validation loss rises beyond its standard error while the training loss falls on: "
    "fewer epochs, a lower rate or more examples would do.",
    Finding.FALLING: "The validation loss still falls by more than its standard error: more epochs may help.",
    Finding.SETTLED: "At the end the validation loss changes by less than its standard error.",
    Finding.OSCILLATING: "The validation loss goes up and down by more than its standard error. The evaluations share "
    "their examples, so the weights move and not the sample: a lower rate would calm them.",
    Finding.STEADY: "No move of the validation loss against its trend is larger than its standard error.",
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
    train: float | None


def diagnose(record: FineTuneRecord) -> tuple[Remark, ...]:
    """Return what the curve of a fine-tune says: first how it ended, last how it was kept."""
    seen = [
        _Evaluation(p.step, p.validation_loss, p.validation_loss_se, p.train_loss)
        for p in record.curve
        if p.validation_loss is not None and p.validation_loss_se is not None
    ]
    if not seen:
        return (Remark(Finding.UNMEASURED), *_steps(record.curve))
    best = min(range(len(seen)), key=lambda i: seen[i].loss)
    return (*_end(seen, best), _oscillation(seen, best), *_steps(record.curve), _kept(record, seen[best]))


def _end(seen: Sequence[_Evaluation], best: int) -> Iterator[Remark]:
    """Say how the validation loss went from its best evaluation to the last one."""
    lowest, last = seen[best], seen[-1]
    worse = [e.loss - lowest.loss > max(e.se, lowest.se) and _less(e.train, lowest.train) for e in seen]
    if worse[-1]:
        start = seen[max(i for i, each in enumerate(worse) if not each) + 1]
        yield Remark(Finding.OVERFITTING, f"from step {start.step}: {_change(lowest, last)}")
    elif len(seen) > 1:
        before = seen[-2] if lowest is last else lowest
        falling = before.loss - last.loss > max(before.se, last.se)
        yield Remark(Finding.FALLING if falling else Finding.SETTLED, _change(before, last))


def _oscillation(seen: Sequence[_Evaluation], best: int) -> Remark:
    """Compare the largest move against the trend, a rise before the best evaluation or a fall after it."""
    against = [
        ((b.loss - a.loss) * (1 if i < best else -1), max(a.se, b.se), a, b) for i, (a, b) in enumerate(pairwise(seen))
    ]
    beyond = max((found for found in against if found[0] > found[1]), key=lambda found: found[0], default=None)
    if beyond:
        return Remark(Finding.OSCILLATING, _change(beyond[2], beyond[3]))
    if len(seen) < ENOUGH:
        return Remark(Finding.FEW, f"{len(seen)} evaluations")
    return Remark(Finding.STEADY, f"{max(0.0, max(found[0] for found in against)):.3f} at most")


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


def _change(a: _Evaluation, b: _Evaluation) -> str:
    return f"{a.loss:.3f} at step {a.step}, {b.loss:.3f} ± {b.se:.3f} at step {b.step}"


def _less(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b
