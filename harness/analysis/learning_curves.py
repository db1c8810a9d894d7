"""Diagnosis of learning curves: overfitting, oscillation, too little training, and whether the best weights were kept.

A change of the validation loss counts if it is larger than its error and at least 0.01 nats per token, which is 1% of
the perplexity: where the learning rate decays to 0, the last evaluations hardly differ. The error of a change is, in
this order:

- two standard errors of the change itself, if it was recorded. All evaluations use the same examples, so what makes
  some examples harder than others cancels.
- for a change over several evaluations, the sum of the errors of the changes between them, an upper bound.
- for curves without standard errors of changes, such as those of a service, one standard error of a level. If the
  losses of an example correlate by r between evaluations, a change has sqrt(2 (1 - r)) times the standard error of a
  level, so this is at least one standard error of the change if r >= 1/2, and at least two if r >= 7/8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from harness.types import CurvePoint, FineTuneRecord
from harness.wording import counted

MIN_EVALUATIONS = 6
"""With fewer evaluations, a steady curve cannot be distinguished from one that oscillates between them."""
STANDARD_ERRORS = 2.0
"""Standard errors of a change that count as its error."""
MIN_CHANGE = 0.01
"""The smallest change of the validation loss that counts, in nats per token."""
STEP_RATIO = 2.0
"""A step in the training loss is at least this many times as large as the changes beside it."""


class CurveFinding(StrEnum):
    """A property of a learning curve."""

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
    CurveFinding.OVERFITTING: "The validation loss rises by more than its error while the training loss keeps falling. "
    "Try fewer epochs, a lower learning rate or more examples.",
    CurveFinding.FALLING: "The validation loss still falls by more than its error at the end: more epochs may help.",
    CurveFinding.SETTLED: "At the end the validation loss changes by less than its error or by a negligible amount.",
    CurveFinding.OSCILLATING: "The validation loss goes up and down by more than its error. All evaluations use the "
    "same examples, so this is not sampling noise: try a lower learning rate.",
    CurveFinding.STEADY: "No change of the validation loss against its trend is both larger than its error and "
    "relevant.",
    CurveFinding.FEW: f"A curve of fewer than {MIN_EVALUATIONS} evaluations cannot show that it does not oscillate: "
    "increase finetune.n_evaluations.",
    CurveFinding.STEPS: f"Where the learning rate drops, the training loss falls at least {STEP_RATIO:.0f} times as "
    "much as just before and after.",
    CurveFinding.NO_STEPS: "The training loss does not fall in steps where the learning rate drops.",
    CurveFinding.KEPT: "The scored weights are those with the lowest validation loss.",
    CurveFinding.NOT_KEPT: "The scored weights are not those with the lowest validation loss.",
    CurveFinding.UNMEASURED: "There is no validation loss with a standard error: increase finetune.n_validation.",
}
"""The meaning of each finding, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding, and the figures of this run that it is based on."""

    finding: CurveFinding
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about one fine-tune's learning curve."""

    run_id: str
    name: str
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    step: int
    loss: float
    se: float
    change_se: float | None
    """The standard error of the change since the previous evaluation."""
    rise_se: float | None
    """The standard error of the change since the lowest loss so far."""
    train: float | None


def diagnose(record: FineTuneRecord) -> tuple[Remark, ...]:
    """Return the findings about the curve of a fine-tune: its end first, the kept checkpoint last."""
    evaluations = [
        _Evaluation(p.step, loss, se, p.validation_change_se, p.validation_rise_se, p.train_loss)
        for p in record.curve
        if (loss := p.validation_loss) is not None and (se := p.validation_loss_se) is not None
    ]
    if not evaluations:
        return (Remark(CurveFinding.UNMEASURED), *_steps(record.curve))
    best = min(range(len(evaluations)), key=lambda i: evaluations[i].loss)
    return (
        *_end(evaluations, best),
        _oscillation(evaluations, best),
        *_steps(record.curve),
        _kept(record, evaluations[best]),
    )


def _end(evaluations: Sequence[_Evaluation], best: int) -> Iterator[Remark]:
    """Compare the validation loss of the best evaluation with the last one."""
    lowest, last = evaluations[best], len(evaluations) - 1
    worse = [
        _counts(evaluations, best, i, point.loss - lowest.loss) and _less(point.train, lowest.train)
        for i, point in enumerate(evaluations)
    ]
    if worse[last]:
        start = evaluations[max(i for i, is_worse in enumerate(worse) if not is_worse) + 1]
        yield Remark(CurveFinding.OVERFITTING, f"from step {start.step}: {_change(evaluations, best, last)}")
    elif len(evaluations) > 1:
        before = min(best, last - 1)
        falling = _counts(evaluations, before, last, evaluations[before].loss - evaluations[last].loss)
        finding = CurveFinding.FALLING if falling else CurveFinding.SETTLED
        yield Remark(finding, _change(evaluations, before, last))


def _oscillation(evaluations: Sequence[_Evaluation], best: int) -> Remark:
    """Find the largest change against the trend: a rise before the best evaluation, or a fall after it."""
    against_trend = [(b.loss - a.loss) * (1 if i < best else -1) for i, (a, b) in enumerate(pairwise(evaluations))]
    beyond_error = [i for i, change in enumerate(against_trend) if _counts(evaluations, i, i + 1, change)]
    if beyond_error:
        largest = max(beyond_error, key=against_trend.__getitem__)
        return Remark(CurveFinding.OSCILLATING, _change(evaluations, largest, largest + 1))
    if len(evaluations) < MIN_EVALUATIONS:
        return Remark(CurveFinding.FEW, counted(len(evaluations), "evaluation"))
    return Remark(CurveFinding.STEADY, f"{max(0.0, *against_trend):.3f} at most")


def _steps(curve: Sequence[CurvePoint]) -> Iterator[Remark]:
    """Look for steps where the learning rate drops from one level to the next; a decaying rate has no levels."""
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
        n_steps = sum(fall > STEP_RATIO * beside for fall, beside in falls)
        finding = CurveFinding.STEPS if n_steps else CurveFinding.NO_STEPS
        yield Remark(finding, f"at {n_steps} of {counted(len(falls), 'drop')}")


def _kept(record: FineTuneRecord, best: _Evaluation) -> Remark:
    if record.best_step == best.step:
        return Remark(CurveFinding.KEPT, f"step {best.step}")
    return Remark(CurveFinding.NOT_KEPT, f"step {record.best_step} instead of {best.step}")


def _error(evaluations: Sequence[_Evaluation], a: int, b: int) -> float:
    """Return the error of the change between two evaluations."""
    first, last = min(a, b), max(a, b)
    rise_se = evaluations[last].rise_se
    from_lowest = first < last and evaluations[first].loss == min(point.loss for point in evaluations[:last])
    if rise_se is not None and from_lowest:
        return STANDARD_ERRORS * rise_se
    between = [point.change_se for point in evaluations[first + 1 : last + 1]]
    known = [se for se in between if se is not None]
    if len(known) == len(between):
        return STANDARD_ERRORS * sum(known)
    return max(evaluations[a].se, evaluations[b].se)


def _counts(evaluations: Sequence[_Evaluation], a: int, b: int, change: float) -> bool:
    """Whether a change between two evaluations is larger than its error and than the smallest relevant change."""
    return change > max(MIN_CHANGE, _error(evaluations, a, b))


def _change(evaluations: Sequence[_Evaluation], a: int, b: int) -> str:
    change = f"{evaluations[b].loss - evaluations[a].loss:+.3f} ± {_error(evaluations, a, b):.3f}"
    return f"{change} between steps {evaluations[a].step} and {evaluations[b].step}"


def _less(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b
