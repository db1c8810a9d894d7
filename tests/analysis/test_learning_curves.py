"""The diagnosis of learning curves with known properties."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.analysis.learning_curves import MEANING, CurveFinding, diagnose
from harness.types import CurvePoint, FineTuneRecord

SE = 0.05


def record(
    validation: Sequence[float | None],
    train: Sequence[float],
    rates: Sequence[float | None] = (),
    best_step: int | None = None,
    change_se: float | None = None,
    rise_se: float | None = None,
) -> FineTuneRecord:
    learning_rates = rates or [1.0 / (i + 1) for i in range(len(train))]
    curve = tuple(
        CurvePoint(
            10 * (i + 1),
            40 * (i + 1),
            rate,
            loss,
            held_out,
            None if held_out is None else SE,
            validation_change_se=change_se if i else None,
            validation_rise_se=rise_se if i else None,
        )
        for i, (rate, loss, held_out) in enumerate(zip(learning_rates, train, validation, strict=True))
    )
    seen = [(p.validation_loss, p.step) for p in curve if p.validation_loss is not None]
    best = min(seen)[1] if seen else curve[-1].step
    return FineTuneRecord("lora", 40, 1.0, 1, 1, best if best_step is None else best_step, curve)


FALLING_TRAIN = [2.0, 1.7, 1.4, 1.1, 0.8, 0.5]
CASES: dict[str, tuple[list[float | None], CurveFinding]] = {
    "rises while training falls": ([2.0, 1.8, 1.81, 1.9, 2.0, 2.1], CurveFinding.OVERFITTING),
    "rises within its error": ([2.0, 1.8, 1.80, 1.81, 1.82, 1.83], CurveFinding.SETTLED),
    "falls to the last": ([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], CurveFinding.FALLING),
    "flat at the end": ([2.0, 1.9, 1.8, 1.75, 1.74, 1.73], CurveFinding.SETTLED),
    "up and down": ([2.0, 1.8, 2.0, 1.8, 2.0, 1.79], CurveFinding.OSCILLATING),
    "calm": ([2.0, 1.9, 1.92, 1.8, 1.79, 1.78], CurveFinding.STEADY),
    "calm, but seen four times": ([2.0, 1.9, 1.8, 1.7], CurveFinding.FEW),
    "up and down, seen four times": ([2.0, 1.8, 2.0, 1.79], CurveFinding.OSCILLATING),
    "seen once": ([2.0], CurveFinding.FEW),
    "never measured": ([None, None], CurveFinding.UNMEASURED),
}


@pytest.mark.parametrize("case", CASES)
def test_diagnosis(case: str) -> None:
    validation, expected = CASES[case]
    findings = [remark.finding for remark in diagnose(record(validation, FALLING_TRAIN[: len(validation)]))]
    assert expected in findings
    exclusive = {CurveFinding.OSCILLATING, CurveFinding.STEADY, CurveFinding.FEW}
    assert len(exclusive & set(findings)) == (expected is not CurveFinding.UNMEASURED)
    assert len({CurveFinding.OVERFITTING, CurveFinding.FALLING, CurveFinding.SETTLED} & set(findings)) <= 1


def test_overfitting_reports_the_step_from_which_it_persists() -> None:
    [first, *_] = diagnose(record([2.0, 1.8, 1.9, 1.82, 1.9, 2.1], FALLING_TRAIN))
    assert first.finding is CurveFinding.OVERFITTING
    assert first.detail == "from step 50: +0.300 ± 0.050 between steps 20 and 60"


@pytest.mark.parametrize(
    ("validation", "change_se", "expected"),
    [
        ([2.0, 1.9, 1.8, 1.75, 1.76, 1.78], None, CurveFinding.SETTLED),
        ([2.0, 1.9, 1.8, 1.75, 1.76, 1.78], 0.005, CurveFinding.OVERFITTING),
        ([2.0, 1.9, 1.8, 1.75, 1.76, 1.78], 0.01, CurveFinding.SETTLED),
        ([2.0, 1.9, 1.8, 1.75, 1.77, 1.74], 0.005, CurveFinding.OSCILLATING),
        ([2.0, 1.9, 1.8, 1.75, 1.77, 1.74], 0.02, CurveFinding.STEADY),
        ([2.0, 1.9, 1.8, 1.75, 1.74, 1.71], 0.01, CurveFinding.FALLING),
        ([2.0, 1.9, 1.8, 1.75, 1.74, 1.731], 0.001, CurveFinding.SETTLED),
        ([2.0, 1.9, 1.8, 1.75, 1.758, 1.74], 0.001, CurveFinding.STEADY),
    ],
)
def test_known_standard_errors_of_changes_are_doubled_and_added(
    validation: list[float | None], change_se: float | None, expected: CurveFinding
) -> None:
    assert expected in {remark.finding for remark in diagnose(record(validation, FALLING_TRAIN, change_se=change_se))}


def test_a_rise_since_the_best_evaluation_has_its_own_error() -> None:
    losses = [2.0, 1.9, 1.8, 1.81, 1.83, 1.86]
    assert diagnose(record(losses, FALLING_TRAIN, change_se=0.02))[0].finding is CurveFinding.SETTLED
    [first, *_] = diagnose(record(losses, FALLING_TRAIN, change_se=0.02, rise_se=0.02))
    assert first.finding is CurveFinding.OVERFITTING
    assert first.detail == "from step 60: +0.060 ± 0.040 between steps 30 and 60"


def test_a_rise_without_a_falling_training_loss_is_not_overfitting() -> None:
    findings = {remark.finding for remark in diagnose(record([2.0, 1.8, 1.9, 2.0, 2.1, 2.2], [2.0] * 6))}
    assert CurveFinding.OVERFITTING not in findings


@pytest.mark.parametrize(
    ("rates", "train", "expected"),
    [
        ([1, 1, 1, 0.1, 0.1, 0.1], [2.0, 1.9, 1.85, 1.5, 1.48, 1.47], CurveFinding.STEPS),
        ([1, 1, 1, 0.1, 0.1, 0.1], [2.0, 1.9, 1.8, 1.7, 1.6, 1.5], CurveFinding.NO_STEPS),
        ([1, 0.8, 0.6, 0.4, 0.2, 0.0], [2.0, 1.9, 1.8, 1.2, 1.1, 1.0], None),
        ([1, 1, 1, 1, 1, 1], [2.0, 1.9, 1.8, 1.2, 1.1, 1.0], None),
        ([None] * 6, [2.0, 1.9, 1.8, 1.2, 1.1, 1.0], None),
    ],
)
def test_steps_are_only_detected_where_the_rate_drops(
    rates: list[float | None], train: list[float], expected: CurveFinding | None
) -> None:
    findings = {remark.finding for remark in diagnose(record([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], train, rates))}
    assert findings & {CurveFinding.STEPS, CurveFinding.NO_STEPS} == ({expected} if expected else set())


def test_whether_the_best_checkpoint_was_kept() -> None:
    losses = [2.0, 1.8, 1.9]
    assert diagnose(record(losses, FALLING_TRAIN[:3]))[-1].finding is CurveFinding.KEPT
    remark = diagnose(record(losses, FALLING_TRAIN[:3], best_step=30))[-1]
    assert (remark.finding, remark.detail) == (CurveFinding.NOT_KEPT, "step 30 instead of 20")


def test_every_finding_is_explained() -> None:
    assert set(MEANING) == set(CurveFinding)
