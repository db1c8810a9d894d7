"""The files of fine-tuning jobs: the training files that come in, and the learning curve that goes out.

A line of a training file is a chat as OpenAI's fine-tuning takes it, of which only the last message is learned, or
{"prompt", "completion"}. It is read and checked as a task's JSON lines are, and then has no keys besides these.
"""

from __future__ import annotations

import base64
import csv
import io
from collections import defaultdict
from pathlib import Path

from harness.errors import DataError
from harness.tasks.json_rows import json_lines
from harness.tasks.rows import CHAT_KEY, MAX_SHOWN, BadRow, chat_turns, checked_text, json_type
from harness.types import FineTuneRecord, Prompt, TrainingPair
from harness.wording import at_most, counted

FORMS = ({CHAT_KEY}, {"prompt", "completion"})
COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


def read_pairs(path: Path, name: str) -> list[TrainingPair]:
    """Return the pairs of a file that messages call `name`; DataError reports its bad lines."""
    pairs: list[TrainingPair] = []
    problems: list[str] = []
    for row in json_lines(path, name, defaultdict(list)):
        line = f"line {row.origin.rpartition(':')[2]}"
        try:
            pairs.append(_pair(row.values, line))
        except BadRow as problem:
            problems.append(f"{line}: {problem}")
    if problems:
        raise DataError(f"{name}: {counted(len(problems), 'bad line')}. {'; '.join(at_most(problems, MAX_SHOWN))}")
    return pairs


def _pair(values: object, example_id: str) -> TrainingPair:
    if isinstance(values, BadRow):
        raise values
    if not isinstance(values, dict):
        raise BadRow(f"expected a JSON object, got {json_type(values)}")
    if set(values) not in FORMS:
        forms = " or ".join(" and ".join(sorted(form, reverse=True)) for form in FORMS)
        raise BadRow(f"expected the keys {forms}, got {', '.join(sorted(values)) or 'none'}"[:300])
    if CHAT_KEY in values:
        turns, answer = chat_turns(values[CHAT_KEY])
        return TrainingPair(Prompt(example_id, messages=turns), answer)
    completion = checked_text(values["completion"], "completion").removeprefix(" ")  # which training adds
    return TrainingPair(Prompt(example_id, text=checked_text(values["prompt"], "prompt")), completion)


def step_metrics(record: FineTuneRecord) -> bytes:
    """Return the result file of a finished fine-tune: a CSV of its learning curve, in base64 as at OpenAI.

    The accuracy on the training examples is not measured, so its column is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for point in record.curve:
        numbers = (point.train_loss, None, point.validation_loss, point.token_accuracy)
        writer.writerow([point.step, *("" if number is None else repr(float(number)) for number in numbers)])
    return base64.b64encode(text.getvalue().encode())
