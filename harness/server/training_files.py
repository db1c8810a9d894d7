"""Training files: JSON lines in OpenAI's chat form, or {"prompt", "completion"}, as the pairs that a fine-tune takes.

Only the last message of a chat is learned; the ones before it are its prompt.

A job's result file as OpenAI gives it: a CSV of its learning curve, in base64, which W&B's sync and others expect.

An accuracy on the training examples is not measured here, so that its column is empty.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

from harness.errors import DataError
from harness.tasks.fields import BadRow, checked, kind
from harness.tasks.rows import chat_turns
from harness.types import FineTuneRecord, Prompt, TrainingPair

FORMS = ({"messages"}, {"prompt", "completion"})
SHOWN = 5
"""How many bad lines a message names."""


def read_pairs(path: Path, name: str) -> list[TrainingPair]:
    """Return the pairs of a file that is called `name`; DataError names its bad lines."""
    pairs: list[TrainingPair] = []
    problems: list[str] = []
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                pairs.append(_pair(line, f"line {number}"))
            except BadRow as error:
                problems.append(f"line {number}: {error}")
    if problems:
        more = f", and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DataError(f"{name}: {len(problems)} bad lines. {'; '.join(problems[:SHOWN])}{more}")
    if not pairs:
        raise DataError(f"{name}: expected a line an example, got an empty file.")
    return pairs


def _pair(line: bytes, example_id: str) -> TrainingPair:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow(f"expected a JSON object ({error})") from error
    if not isinstance(row, dict):
        raise BadRow(f"expected a JSON object, got {kind(row)}")
    if set(row) not in FORMS:
        forms = " or ".join(" and ".join(sorted(form, reverse=True)) for form in FORMS)
        raise BadRow(f"expected the keys {forms}, got {', '.join(sorted(row)) or 'none'}"[:300])
    if "messages" in row:
        messages, answer = chat_turns(row["messages"])
        return TrainingPair(Prompt(example_id, messages=messages), answer)
    completion = checked(row["completion"], "completion").removeprefix(" ")  # the space that training puts there
    return TrainingPair(Prompt(example_id, text=checked(row["prompt"], "prompt")), completion)


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
