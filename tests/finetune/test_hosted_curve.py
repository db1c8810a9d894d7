"""The result file of a hosted fine-tune: its forms, and what of it becomes a learning curve."""

from __future__ import annotations

import base64

import pytest

from harness.errors import FineTuneError
from harness.finetune.hosted_curve import best_step, curve

PART = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.0,0.5,1.9,0.55\n2,1.0,0.75,,\n"
FULL = (
    "step,train_loss,valid_loss,valid_mean_token_accuracy,full_valid_loss,full_valid_mean_token_accuracy\n"
    "1,2.0,1.2,0.9,,\n2,1.0,3.0,0.1,1.5,0.625\n"
)


@pytest.mark.parametrize("content", [PART.encode(), base64.b64encode(PART.encode()), b"\xef\xbb\xbf" + PART.encode()])
def test_both_forms_are_read(content: bytes) -> None:
    points = curve(content, 4)
    assert [(p.step, p.examples, p.train_loss, p.validation_loss, p.token_accuracy) for p in points] == [
        (1, 4, 2.0, 1.9, 0.55),
        (2, 8, 1.0, None, None),
    ]
    assert all(p.learning_rate is None and p.validation_loss_se is None for p in points)
    assert best_step(points) == 2


def test_losses_of_the_whole_file_are_not_mixed_with_those_of_a_few_examples() -> None:
    assert [(p.validation_loss, p.token_accuracy) for p in curve(FULL.encode(), 1)] == [(None, None), (1.5, 0.625)]


@pytest.mark.parametrize("content", [b"", b"step,train_loss\n"])
def test_an_empty_file_is_an_empty_curve(content: bytes) -> None:
    assert curve(content, 4) == ()


def test_numbers_that_are_none_are_none() -> None:
    (point,) = curve(b"step,train_loss,valid_loss\n3,nan,-\n", 2)
    assert (point.step, point.train_loss, point.validation_loss) == (3, None, None)


def test_another_file_is_refused() -> None:
    with pytest.raises(FineTuneError, match="expected a column step, got when, loss"):
        curve(b"when,loss\n1,2\n", 4)
