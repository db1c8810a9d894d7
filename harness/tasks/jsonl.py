"""A task of your own: a file of prompts, completions and slices, or of chats in OpenAI's fine-tuning format.

    {"prompt": "Photosynthesis", "completion": "Photosynthesis is …", "topic": "Biology"}
    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], "topic": "Biology"}

The file may also be a JSON list, CSV, TSV or Parquet, and may be compressed. An optional `id` is kept; without one it
is made from the prompt. The whole file is checked before any work starts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.task import AUTO
from harness.paths import stem
from harness.tasks.files import NOTICES, located, read_bytes, rows_of
from harness.tasks.rows import CHAT_KEY, COMPLETION_KEYS, Columns, Origins, notices, parse
from harness.tasks.split import pools_by_size
from harness.tasks.tables import Cells
from harness.types import Corpus, Example, Notice


@dataclass(frozen=True, slots=True)
class Jsonl:
    """Rows of one file, which is split into both pools, or of a training file and a validation file.

    With a `train_path`, `path` is the validation file. `slices` are the keys to report by; None takes every other key
    with a scalar. `validation_pool` rows of a single file are set aside for validation; None follows its size and
    `n_validation`, by `harness.tasks.split.pool_size`. `sep` and `quote` are those of a text table.
    """

    path: str
    train_path: str | None = None
    prompt_key: str = "prompt"
    completion_key: str | None = None
    prediction_key: str | None = None
    slices: Sequence[str] | None = None
    sep: str | None = None
    quote: str = '"'
    n_validation: int | str | None = AUTO
    validation_pool: int | None = None
    split_seed: int = 0

    def load(self) -> Corpus:
        """Return the checked corpus; DataError reports file, line and fix for whatever cannot be used."""
        examples, file_notices = self._read(self.path, "task.path")
        if self.train_path:
            train, train_notices = self._read(self.train_path, "task.train_path")
            validation, file_notices = examples, (*file_notices, *train_notices)
        else:
            train, validation, split = pools_by_size(examples, self.validation_pool, self.n_validation, self.split_seed)
            file_notices = (*split, *file_notices)
        return Corpus(stem(self.path), self.path, "not stated", train, validation, file_notices)

    def _read(self, path: str, setting: str) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
        origins: Origins = defaultdict(list)
        data = read_bytes(located(path, setting), path)
        columns = Columns(self.prompt_key, self.completion_key, self.slices, self.prediction_key)
        rows = rows_of(data, path, Cells(self.sep, self.quote, columns_looked_for(columns)), origins)
        examples, row_notices = parse(path, rows, columns)
        return examples, (*notices(origins, NOTICES), *row_notices)


def columns_looked_for(columns: Columns) -> tuple[str, ...]:
    """Return the keys by which a table's separator is worked out."""
    completion = (columns.completion,) if columns.completion else COMPLETION_KEYS
    return (columns.prompt, *completion, CHAT_KEY)
