"""Datasets of the Hugging Face hub, and local folders of Parquet, CSV or JSON, through `datasets`.

Rows pass the same checks as those of a file. Files of text (CSV, TSV, JSON) are read by `harness.tasks.files`, because
`datasets` guesses types, by which 007 becomes 7 and True a boolean. Code that comes with a dataset is never run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.task import AUTO
from harness.errors import DataError, require, unknown
from harness.paths import data_ending, resolve
from harness.tasks.files import NOTICES, read_bytes, rows_of
from harness.tasks.jsonl import columns_looked_for
from harness.tasks.rows import BadRow, Columns, Origins, Row, notices, parse
from harness.tasks.split import pools_by_size
from harness.tasks.tables import Cells, plain
from harness.types import Corpus, Example, Notice

_TEXT_BUILDERS = ("csv", "json")
"""The builders of `datasets` for files of text."""


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A dataset by hub id or local folder; class labels are read as their names.

    If `train_split` equals `validation_split`, or there is only one split, that split is divided into both pools.
    `subset` and `revision` are the arguments name and revision of `load_dataset`.
    """

    path: str
    subset: str | None = None
    revision: str | None = None
    train_split: str | None = None
    validation_split: str | None = None
    prompt_key: str = "prompt"
    completion_key: str | None = None
    slices: Sequence[str] | None = None
    n_validation: int | str | None = AUTO
    validation_pool: int | None = None
    split_seed: int = 0

    def load(self) -> Corpus:
        """Return the checked corpus; DataError when it cannot be loaded or rows cannot be used."""
        origins: Origins = defaultdict(list)
        splits, licence = self._splits(origins)
        train_name = self._split_name(splits, self.train_split, "train")
        validation_name = self._split_name(splits, self.validation_split, "validation")
        train, row_notices = self._read(splits, train_name)
        if train_name == validation_name:
            train, validation, split = pools_by_size(train, self.validation_pool, self.n_validation, self.split_seed)
            row_notices = (*split, *row_notices)
        else:
            validation, validation_notices = self._read(splits, validation_name)
            row_notices = (*row_notices, *validation_notices)
        source = self.path + (f"@{self.revision}" if self.revision else "")
        row_notices = (*row_notices, *notices(origins, NOTICES))
        return Corpus(self.path, source, licence or "not stated", train, validation, row_notices)

    def _splits(self, origins: Origins) -> tuple[Mapping[str, Iterable[Row]], str]:
        """Return the rows of each split, read when they are iterated over, and the licence."""
        require("datasets", "hub", instead="task=jsonl with one file of your data")
        import datasets

        local = resolve(self.path)
        path = str(local) if local.exists() else self.path
        try:
            builder = datasets.load_dataset_builder(path, self.subset, revision=self.revision)
            if files := _text_files(builder):
                return {name: self._rows(split, origins) for name, split in files.items()}, builder.info.license
            loaded = datasets.load_dataset(path, self.subset, revision=self.revision)
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            raise DataError(
                f"{self.path}: expected a hub dataset or a local folder of Parquet, CSV or JSON files, got {error}. "
                "Check task.path, task.subset and the network; HF_HUB_OFFLINE=1 allows only cached datasets."
            ) from error
        rows = {str(name): _typed_rows(f"{self.path}/{name}", split) for name, split in loaded.items()}
        return rows, next(iter(loaded.values())).info.license

    def _split_name(self, splits: Mapping[str, object], name: str | None, usual: str) -> str:
        """Return the split that is named, else the usual one, else the only one; DataError where it is not there."""
        chosen = name or (next(iter(splits)) if len(splits) == 1 else usual)
        if chosen not in splits:
            raise DataError(
                f"{self.path}: {unknown('split', chosen, splits)} Set task.train_split and task.validation_split; "
                "one name for both divides that split into two pools."
            )
        return chosen

    def _read(self, splits: Mapping[str, Iterable[Row]], name: str) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
        return parse(f"{self.path}/{name}", splits[name], self._columns)

    @property
    def _columns(self) -> Columns:
        return Columns(self.prompt_key, self.completion_key, self.slices)

    def _rows(self, files: Sequence[tuple[str, Path]], origins: Origins) -> Iterator[Row]:
        for name, file in files:
            data = read_bytes(file, name)
            yield from rows_of(data, name, Cells(keys=columns_looked_for(self._columns)), origins)


def _text_files(builder: Any) -> dict[str, list[tuple[str, Path]]]:
    """Return the files of each split with their names, where they are text of no declared types; else nothing."""
    is_text = type(builder).__module__.rpartition(".")[2] in _TEXT_BUILDERS
    if not is_text or builder.info.features or not builder.config.data_files or getattr(builder.config, "field", None):
        return {}
    if not all(data_ending(str(path)) for paths in builder.config.data_files.values() for path in paths):
        return {}  # archives, which datasets unpacks
    import datasets

    manager = datasets.DownloadManager(dataset_name=builder.dataset_name)
    names = {str(split): list(map(str, paths)) for split, paths in builder.config.data_files.items()}
    files = {split: manager.download(paths) for split, paths in names.items()}
    return {split: list(zip(names[split], map(Path, files[split]), strict=True)) for split in names}


def _typed_rows(source: str, split: Any) -> Iterator[Row]:
    labels = {key: feature for key, feature in split.features.items() if hasattr(feature, "int2str")}
    for number, values in enumerate(split, 1):
        origin = f"{source}:{number}"
        try:
            named = {key: label.int2str(values[key]) for key, label in labels.items() if values[key] is not None}
            yield Row(origin, {key: plain(value, key) for key, value in {**values, **named}.items()})
        except BadRow as problem:
            yield Row(origin, problem)
        except ValueError as error:  # -1, where a test split hides its labels
            yield Row(origin, BadRow(f"has a class label without a name ({error}); choose a split with labels"))
