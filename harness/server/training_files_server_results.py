"""A job's result file as OpenAI gives it: a CSV of its learning curve, in base64, which W&B's sync and others expect.

An accuracy on the training examples is not measured here, so that its column is empty.
"""

from __future__ import annotations

import base64
import csv
import io

from harness.types import FineTuneRecord

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


def encoded(record: FineTuneRecord) -> bytes:
    """Return the content of the result file of a finished fine-tune."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for point in record.curve:
        numbers = (point.train_loss, None, point.validation_loss, point.token_accuracy)
        writer.writerow([point.step, *("" if number is None else repr(float(number)) for number in numbers)])
    return base64.b64encode(text.getvalue().encode())
