"""Training files: JSON lines in OpenAI's chat form, or {"prompt", "completion"}, as the pairs that a fine-tune takes.

Only the last message of a chat is learned; the ones before it are its prompt.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.tasks import rows_datasets_chat as chat
from harness.tasks.fields import BadRow, checked, kind
from harness.errors import DataError
from harness.types import Prompt, TrainingPair

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
        messages, answer = chat.turns(row["messages"])
        return TrainingPair(Prompt(example_id, messages=messages), answer)
    completion = checked(row["completion"], "completion").removeprefix(" ")  # the space that training puts there
    return TrainingPair(Prompt(example_id, text=checked(row["prompt"], "prompt")), completion)
