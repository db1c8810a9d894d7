"""The store of stages: each product under the digest of everything that decides it, written atomically.

This one mechanism gives resume after a crash, sharing of work between the runs of a sweep, caching and provenance.
`inputs.json` beside each product records the inputs of its key, so that a cache hit can be explained.

    <root>/runs/<run id>/                 config.yaml results.json predictions.jsonl stats.npz
    <root>/stages/completions/<key>/      completions.jsonl, appended as they come
    <root>/stages/likelihoods/<key>/      likelihoods.jsonl, appended as they come
    <root>/stages/scores/<key>/           stats.npy of one metric on one set of completions
    <root>/stages/finetune/<key>/         adapter or weights, and finetune.json, the record of the training
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter

from harness.errors import StoreError
from harness.store.digest import canonical, digest
from harness.types import Completion, FinishReason, Likelihood

T = TypeVar("T")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that neither a reader nor a crash ever leaves half of it visible."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a stage's folder; the operating system releases it when a process dies."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        yield


def store_root(option: str | None) -> Path:
    """Return the folder of the store: the value of --store, else $HARNESS_STORE, else .harness."""
    return Path(option or os.environ.get("HARNESS_STORE", ".harness"))


class Store:
    """A folder of content-addressed stages and of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def runs(self) -> Path:
        """The folder that holds one folder per run."""
        return self.root / "runs"

    def folder(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        """Return the folder that belongs to these inputs, whether or not it exists."""
        return self.root / "stages" / stage / digest(inputs)

    def build(
        self, stage: str, inputs: Mapping[str, Any], make: Callable[[Path], None], resume: bool = False
    ) -> tuple[Path, bool]:
        """Return the stage's folder and whether it already existed; `make` fills it when it did not.

        `make` works in a temporary folder that is renamed to its key only when it is complete. With `resume` that
        folder still holds what a killed `make` left. A second process that needs the same stage waits for the first.
        """
        folder = self.folder(stage, inputs)
        if folder.exists():
            return folder, True
        with locked(folder):
            if folder.exists():
                return folder, True
            unfinished = folder.with_name(f".{folder.name}.part")
            if not resume:
                shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True, exist_ok=True)
            make(unfinished)
            (unfinished / "inputs.json").write_text(canonical(inputs), encoding="utf-8")
            os.replace(unfinished, folder)
        return folder, False

    def completions(self, inputs: Mapping[str, Any]) -> Log[Completion]:
        """Open the log of the completions of one model under one set of decoding options."""
        return Log(self._log("completions", inputs), _row, _completion)

    def likelihoods(self, inputs: Mapping[str, Any]) -> Log[Likelihood]:
        """Open the log of the likelihoods of given completions under one model."""
        return Log(self._log("likelihoods", inputs), dataclasses.asdict, _likelihood_adapter().validate_python)

    def _log(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        folder = self.folder(stage, inputs)
        if not (folder / "inputs.json").exists():
            write_atomic(folder / "inputs.json", canonical(inputs))
        return folder / f"{stage}.jsonl"


class Log(Generic[T]):
    """An append-only JSONL file of values by key, such as completions, so that none is ever paid for twice."""

    def __init__(self, path: Path, row: Callable[[T], dict[str, Any]], value: Callable[[dict[str, Any]], T]) -> None:
        self.path, self._row, self._value = path, row, value

    def fill(
        self,
        keys: Collection[str],
        compute: Callable[[list[str]], Generator[tuple[str, T]]],
        missing_of: Callable[[Mapping[str, T]], list[str]] | None = None,
    ) -> tuple[dict[str, T], dict[str, T]]:
        """Return all stored values together with those that `compute` yields for missing keys, then these alone.

        Each value is appended as it comes, so that a kill loses nothing. Another process that computes values of the
        same log is waited for first, and its values are reused. `missing_of` returns the keys that the stored values do
        not serve; by default those that are not among them.
        """
        missing_of = missing_of or (lambda stored: [key for key in keys if key not in stored])
        stored = self.read()
        computed: dict[str, T] = {}
        if missing_of(stored):
            with locked(self.path.parent):
                stored = self.read()
                missing = missing_of(stored)
                with closing(compute(missing)) as values:
                    for key, value in values:
                        self.append(key, value)
                        computed[key] = value
        return stored | computed, computed

    def read(self) -> dict[str, T]:
        """Return the values by key, without failed ones, so that they are tried again.

        A last line that a crash truncated is skipped. Any other damage is a StoreError.
        """
        values: dict[str, T] = {}
        if not self.path.exists():
            return values
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                key, value = row.pop("key"), self._value(row)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if number == len(lines):
                    continue
                raise StoreError(
                    f"{self.path}:{number}: expected a JSON object of {self.path.stem}, got {line[:80]!r} ({error}). "
                    "Delete the line: its value is computed again."
                ) from error
            if row.get("error") is None:
                values[key] = value
        return values

    def append(self, key: str, value: T) -> None:
        """Add one line in a single write, which a kill leaves whole or truncated; a truncated line is removed first."""
        line = canonical({"key": key, **self._row(value)}).encode("utf-8", "surrogatepass") + b"\n"
        with self.path.open("ab") as stream:
            if stream.tell() and not self._ends_with_newline():
                whole = self.path.read_bytes().rfind(b"\n") + 1
                stream.truncate(whole)
            stream.write(line)

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"


def _row(completion: Completion) -> dict[str, Any]:
    optional = ("served", "cached_tokens", "reasoning")
    reported = {key: value for key in optional if (value := getattr(completion, key)) is not None}
    if completion.notes:
        reported["notes"] = list(completion.notes)
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "error": completion.error,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "seconds": completion.seconds,
        "wall_seconds": completion.wall_seconds,
        **reported,
    }


def _completion(row: dict[str, Any]) -> Completion:
    fixed = {"finish_reason": FinishReason(row["finish_reason"]), "notes": tuple(row.get("notes", ()))}
    return Completion(example_id="", **{**row, **fixed})


@cache
def _likelihood_adapter() -> TypeAdapter[Likelihood]:
    return TypeAdapter(Likelihood)
