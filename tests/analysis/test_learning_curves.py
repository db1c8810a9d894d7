"""Learning curves whose story is known beforehand are told as it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.analysis.learning_curves import MEANING, Finding, diagnose
from harness.types import CurvePoint, FineTuneRecord

SE = 0.05


def record(
    validation: Sequence[float | None],
    train: Sequence[float],
    rates: Sequence[float | None] = (),
    kept: int | None = None,
    change_se: float | None = None,
    rise_se: float | None = None,
) -> FineTuneRecord:
    given = rates or [1.0 / (i + 1) for i in range(len(train))]
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
        for i, (rate, loss, held_out) in enumerate(zip(given, train, validation, strict=True))
    )
    seen = [(p.validation_loss, p.step) for p in curve if p.validation_loss is not None]
    best = min(seen)[1] if seen else curve[-1].step
    return FineTuneRecord("lora", 40, 1.0, 1, 1, best if kept is None else kept, curve)


FALLING_TRAIN = [2.0, 1.7, 1.4, 1.1, 0.8, 0.5]
CASES: dict[str, tuple[list[float | None], Finding]] = {
    "rises while training falls": ([2.0, 1.8, 1.81, 1.9, 2.0, 2.1], Finding.OVERFITTING),
    "rises within its error": ([2.0, 1.8, 1.80, 1.81, 1.82, 1.83], Finding.SETTLED),
    "falls to the last": ([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], Finding.FALLING),
    "flat at the end": ([2.0, 1.9, 1.8, 1.75, 1.74, 1.73], Finding.SETTLED),
    "up and down": ([2.0, 1.8, 2.0, 1.8, 2.0, 1.79], Finding.OSCILLATING),
    "calm": ([2.0, 1.9, 1.92, 1.8, 1.79, 1.78], Finding.STEADY),
    "calm, but seen four times": ([2.0, 1.9, 1.8, 1.7], Finding.FEW),
    "up and down, seen four times": ([2.0, 1.8, 2.0, 1.79], Finding.OSCILLATING),
    "seen once": ([2.0], Finding.FEW),
    "never measured": ([None, None], Finding.UNMEASURED),
}


@pytest.mark.parametrize("case", CASES)
def test_a_curve_is_told_as_it_is(case: str) -> None:
    validation, expected = CASES[case]
    found = [remark.finding for remark in diagnose(record(validation, FALLING_TRAIN[: len(validation)]))]
    assert expected in found
    exclusive = {Finding.OSCILLATING, Finding.STEADY, Finding.FEW}
    assert len(exclusive & set(found)) == (expected is not Finding.UNMEASURED)
    assert len({Finding.OVERFITTING, Finding.FALLING, Finding.SETTLED} & set(found)) <= 1


def test_over_fitting_says_from_which_step_it_holds_to_the_end() -> None:
    [first, *_] = diagnose(record([2.0, 1.8, 1.9, 1.82, 1.9, 2.1], FALLING_TRAIN))
    assert first.finding is Finding.OVERFITTING
    assert first.detail == "from step 50: +0.300 ± 0.050 between steps 20 and 60"


@pytest.mark.parametrize(
    ("validation", "change_se", "expected"),
    [
        ([2.0, 1.9, 1.8, 1.75, 1.76, 1.78], None, Finding.SETTLED),
        ([2.0, 1.9, 1.8, 1.75, 1.76, 1.78], 0.005, Finding.OVERFITTING),
        ([2.0, 1.9, 1.8, 1.75, 1.76, 1.78], 0.01, Finding.SETTLED),
        ([2.0, 1.9, 1.8, 1.75, 1.77, 1.74], 0.005, Finding.OSCILLATING),
        ([2.0, 1.9, 1.8, 1.75, 1.77, 1.74], 0.02, Finding.STEADY),
        ([2.0, 1.9, 1.8, 1.75, 1.74, 1.71], 0.01, Finding.FALLING),
        ([2.0, 1.9, 1.8, 1.75, 1.74, 1.731], 0.001, Finding.SETTLED),
        ([2.0, 1.9, 1.8, 1.75, 1.758, 1.74], 0.001, Finding.STEADY),
    ],
)
def test_where_the_error_of_a_change_is_known_two_of_it_count_and_add_up(
    validation: list[float | None], change_se: float | None, expected: Finding
) -> None:
    assert expected in {each.finding for each in diagnose(record(validation, FALLING_TRAIN, change_se=change_se))}


def test_a_rise_since_the_best_evaluation_has_its_own_error() -> None:
    losses = [2.0, 1.9, 1.8, 1.81, 1.83, 1.86]
    assert diagnose(record(losses, FALLING_TRAIN, change_se=0.02))[0].finding is Finding.SETTLED
    [first, *_] = diagnose(record(losses, FALLING_TRAIN, change_se=0.02, rise_se=0.02))
    assert first.finding is Finding.OVERFITTING
    assert first.detail == "from step 60: +0.060 ± 0.040 between steps 30 and 60"


def test_a_rise_with_a_training_loss_that_does_not_fall_is_no_over_fitting() -> None:
    found = {remark.finding for remark in diagnose(record([2.0, 1.8, 1.9, 2.0, 2.1, 2.2], [2.0] * 6))}
    assert Finding.OVERFITTING not in found


@pytest.mark.parametrize(
    ("rates", "train", "expected"),
    [
        ([1, 1, 1, 0.1, 0.1, 0.1], [2.0, 1.9, 1.85, 1.5, 1.48, 1.47], Finding.STEPS),
        ([1, 1, 1, 0.1, 0.1, 0.1], [2.0, 1.9, 1.8, 1.7, 1.6, 1.5], Finding.NO_STEPS),
        ([1, 0.8, 0.6, 0.4, 0.2, 0.0], [2.0, 1.9, 1.8, 1.2, 1.1, 1.0], None),
        ([1, 1, 1, 1, 1, 1], [2.0, 1.9, 1.8, 1.2, 1.1, 1.0], None),
        ([None] * 6, [2.0, 1.9, 1.8, 1.2, 1.1, 1.0], None),
    ],
)
def test_steps_are_looked_for_only_where_the_rate_drops(
    rates: list[float | None], train: list[float], expected: Finding | None
) -> None:
    found = {remark.finding for remark in diagnose(record([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], train, rates))}
    assert found & {Finding.STEPS, Finding.NO_STEPS} == ({expected} if expected else set())


def test_the_best_checkpoint_is_said_to_be_kept_or_not() -> None:
    losses = [2.0, 1.8, 1.9]
    assert diagnose(record(losses, FALLING_TRAIN[:3]))[-1].finding is Finding.KEPT
    lost = diagnose(record(losses, FALLING_TRAIN[:3], kept=30))[-1]
    assert (lost.finding, lost.detail) == (Finding.NOT_KEPT, "step 30 instead of 20")


def test_every_finding_is_explained() -> None:
    assert set(MEANING) == set(Finding)
