"""Datasets of the Hugging Face hub, and local folders of parquet, CSV or JSON, through `datasets.load_dataset`.

Rows pass the same checks as those of a JSON lines file. Code that comes with a dataset is never run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError, require, unknown
from harness.paths import resolve
from harness.tasks.rows import BadRow, Columns, Row, parse
from harness.tasks.split import pools
from harness.types import Corpus, Example, Notice


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A dataset by hub id or local folder; class labels are read as their names.

    If `train_split` equals `validation_split`, that split is divided into both pools. `subset` and `revision` are the
    arguments name and revision of `load_dataset`.
    """

    path: str
    subset: str | None = None
    revision: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    prompt_key: str = "prompt"
    completion_key: str = "completion"
    slices: Sequence[str] | None = None
    validation_pool: int = 2000
    split_seed: int = 0

    def load(self) -> Corpus:
        """Return the checked corpus; DataError when it cannot be loaded or rows cannot be used."""
        splits, licence = self._download()
        train, notices = self._read(splits, self.train_split)
        if self.train_split == self.validation_split:
            train, validation = pools(train, self.validation_pool, self.split_seed)
        else:
            validation, validation_notices = self._read(splits, self.validation_split)
            notices = (*notices, *validation_notices)
        source = self.path + (f"@{self.revision}" if self.revision else "")
        return Corpus(self.path, source, licence or "not stated", train, validation, notices)

    def _download(self) -> tuple[Any, str]:
        require("datasets", "hub", instead="task=jsonl with your data as JSON lines")
        import datasets

        local = resolve(self.path)
        path = str(local) if local.exists() else self.path
        try:
            splits = datasets.load_dataset(path, self.subset, revision=self.revision)
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            raise DataError(
                f"{self.path}: expected a hub dataset or a local folder of parquet, CSV or JSON files, got {error}. "
                "Check task.path, task.subset and the network; HF_HUB_OFFLINE=1 allows only cached datasets."
            ) from error
        return splits, next(iter(splits.values())).info.license

    def _read(self, splits: Any, name: str) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
        if name not in splits:
            raise DataError(
                f"{self.path}: {unknown('split', name, splits)} Set task.train_split and task.validation_split; "
                "one name for both divides that split into two pools."
            )
        rows = _rows(f"{self.path}/{name}", splits[name])
        return parse(f"{self.path}/{name}", rows, Columns(self.prompt_key, self.completion_key, self.slices))


def _rows(source: str, split: Any) -> Iterator[Row]:
    labels = {key: feature for key, feature in split.features.items() if hasattr(feature, "int2str")}
    for number, values in enumerate(split, 1):
        origin = f"{source}:{number}"
        try:
            named = {key: label.int2str(values[key]) for key, label in labels.items() if values[key] is not None}
        except ValueError as error:  # -1, where a test split hides its labels
            yield Row(origin, BadRow(f"has a class label without a name ({error}); choose a split with labels"))
        else:
            yield Row(origin, {**values, **named})
